use super::house::{GUARD, House, PATIENCE, ms};
use terms::{Clients, Network, Networks};

use crate::{GuardSettings, Strangers};

const V1: &str = "PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x12\x34\x01\xbb";

#[tokio::test]
async fn the_client_is_whom_the_proxy_names_and_no_byte_behind_its_header_is_lost() {
    let request = "GET /first HTTP/1.1\r\nHost: a.test\r\n\r\n";
    for header in [V1.as_bytes(), V2] {
        let house = House::behind_proxies(GUARD, "127.0.0.0/8");
        // In one piece, cut behind the header, and byte for byte.
        for sizes in [1000, header.len(), 1] {
            let mut client = house.connect().await;
            for piece in [header, request.as_bytes()].concat().chunks(sizes) {
                client.send(piece).await;
            }
            let answer = client.answer().await;
            assert!(answer.starts_with("/first 1 ") && answer.contains("192.0.2.1:4660"), "{answer}");
            assert!(client.get("/second").await.starts_with("/second 2 "));
        }
        assert_eq!((house.counters().refused_proxy_header, house.counters().accepted), (0, 3));
    }
}

#[tokio::test]
async fn the_header_comes_before_the_handshake() {
    let house = House::behind_proxies_tls(GUARD, "127.0.0.1");
    let mut client = house.connect_tls_behind(V2, &["h2"]).await;
    assert_eq!(client.0.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    client.send("garbage").await;
    client.rest().await;
    let mut client = house.connect_tls_behind(V1.as_bytes(), &["http/1.1"]).await;
    assert!(client.get("/").await.contains("192.0.2.1:4660"));
    let mut bare = house.connect().await;
    bare.send([0x16, 3, 1, 0, 1, 1]).await;
    assert_eq!(bare.rest().await.0, "");
    assert_eq!((house.counters().refused_proxy_header, house.counters().handshake_failures), (1, 0));
}

#[tokio::test]
async fn a_proxy_that_speaks_for_itself_is_itself() {
    let house = House::behind_proxies(GUARD, "127.0.0.1");
    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let mut client = house.connect().await;
        client.send(header).await;
        assert!(client.get("/").await.contains("Inet(127.0.0.1:"));
    }
}

#[tokio::test]
async fn who_is_no_proxy_is_not_heard_whatever_it_says() {
    for house in [House::behind_proxies(GUARD, "192.0.2.0/24"), House::behind_proxies_tls(GUARD, "192.0.2.0/24")] {
        let mut client = house.connect().await;
        // It may be closed before it has said anything.
        let _sent = tokio::io::AsyncWriteExt::write_all(&mut client.0, V2).await;
        assert_eq!(client.rest().await.0, "");
        assert_eq!((house.counters().refused_stranger, house.counters().open), (1, 0));
    }
}

#[tokio::test]
async fn a_proxy_that_sends_no_header_is_not_served() {
    let house = House::behind_proxies(GUARD, "127.0.0.1");
    for (sent, refused) in [("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", 1), ("PROXY TCP5 1 2 3 4\r\n", 2)] {
        let mut client = house.connect().await;
        client.send(sent).await;
        assert_eq!(client.rest().await.0, "");
        assert_eq!(house.counters().refused_proxy_header, refused);
    }
    assert!(house.logged().is_empty());
    assert_eq!(house.unparsed().await, [], "nobody knows whose request it would have been");
}

#[tokio::test]
async fn a_header_has_a_deadline_of_its_own() {
    let house = House::behind_proxies(GuardSettings { proxy_header: ms(150), ..GUARD }, "127.0.0.1");
    let (mut silent, mut half) = (house.connect().await, house.connect().await);
    half.send(&V2[..20]).await;
    assert!(silent.rest().await.1 >= ms(120));
    half.rest().await;
    assert_eq!(house.counters().proxy_header_timeouts, 2);
    house.eventually(|house| house.counters().open == 0).await;
}

#[tokio::test]
async fn the_connections_of_one_client_are_counted_as_one_clients_behind_a_proxy() {
    let house = House::behind_proxies(GuardSettings { connections_per_ip: 1, ..GUARD }, "127.0.0.1");
    let mut first = house.connect().await;
    first.send(V1).await;
    first.get("/").await;
    let mut second = house.connect().await;
    second.send(V2).await;
    assert!(second.rest().await.0.starts_with("HTTP/1.1 503 "));
    let mut other = house.connect().await;
    other.send("PROXY TCP4 192.0.2.2 198.51.100.2 4660 443\r\n").await;
    other.get("/").await;
    assert_eq!((house.counters().refused_client, house.counters().open), (1, 2));
    drop(first);
    tokio::time::timeout(PATIENCE, house.eventually(|house| house.counters().open == 1)).await.unwrap();
}

#[tokio::test]
async fn a_client_on_no_list_of_clients_is_closed_without_a_word_and_a_believed_proxy_is_heard() {
    let networks = |text: &str| [text.parse::<Network>().unwrap()].into_iter().collect::<Networks>();
    let deny = |text| Clients::new(None, networks(text));
    let allow = |text| Clients::new(Some(networks(text)), Networks::default());
    let loopback = || Some(networks("127.0.0.1"));
    for (clients, trusted, proxies, served) in [
        (deny("127.0.0.0/8"), Networks::default(), None, false),
        (deny("127.0.0.0/8"), networks("127.0.0.1"), None, true), // each request is asked instead
        (deny("192.0.2.0/24"), Networks::default(), None, true),
        (allow("192.0.2.0/24"), Networks::default(), None, false),
        (deny("192.0.2.0/24"), Networks::default(), loopback(), false),
        (allow("192.0.2.0/24"), Networks::default(), loopback(), true),
        (allow("127.0.0.1"), Networks::default(), loopback(), false),
    ] {
        let strangers = Strangers { trusted, clients };
        let house = House::wary(strangers.clone(), proxies.clone());
        let mut client = house.connect().await;
        if proxies.is_some() {
            client.send(V1).await;
        }
        if served {
            client.get("/").await;
        } else {
            assert_eq!(client.rest().await.0, "", "{strangers:?} {proxies:?}");
        }
        assert_eq!(house.counters().refused_denied, u64::from(!served), "{strangers:?} {proxies:?}");
        drop(client);
        house.eventually(|house| house.counters().open == 0).await;
    }
}
