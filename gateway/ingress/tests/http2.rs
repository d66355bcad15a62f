use std::collections::HashMap;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::house::{Client, GUARD, House, PATIENCE, ms};
use crate::{GuardSettings, UnparsedWhy};

type Http2 = Client<TlsStream<TcpStream>>;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const SETTINGS: u8 = 4;
pub(super) const HEADERS: u8 = 1;
pub(super) const END_OF_HEAD_AND_STREAM: u8 = 5;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A GET in HPACK (RFC 7541): indexed fields of the static table, and literals for what it has not.
pub(super) fn get(stream: u32, path: &str) -> Vec<u8> {
    let literal = |index: u8, value: &str| [&[index, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
    let block = [vec![0x82, 0x87], literal(0x44, path), literal(0x41, "a.test")].concat();
    frame(HEADERS, END_OF_HEAD_AND_STREAM, stream, &block)
}

async fn open(house: &House) -> Http2 {
    let mut client = house.connect_tls(&["h2"]).await;
    client.send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
    client
}

/// Reads until each of these streams has ended, and gives what they said. A reset is said as `reset`.
pub(super) async fn answers<S>(client: &mut Client<S>, streams: &[u32]) -> HashMap<u32, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut said, mut open) = (HashMap::<u32, String>::new(), streams.to_vec());
    while !open.is_empty() {
        let mut head = [0; 9];
        tokio::time::timeout(PATIENCE, client.0.read_exact(&mut head)).await.unwrap().unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags, stream) = (head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        let mut payload = vec![0; length];
        client.0.read_exact(&mut payload).await.unwrap();
        match kind {
            0 => said.entry(stream).or_default().push_str(&String::from_utf8(payload).unwrap()),
            3 => said.entry(stream).or_default().push_str("reset"),
            _ => {}
        }
        let ends = kind == 3 || (matches!(kind, 0 | HEADERS) && flags & 1 == 1);
        open.retain(|open| !(ends && *open == stream));
    }
    said
}

#[tokio::test]
async fn the_client_chooses_between_http_1_and_2() {
    let house = House::tls(GUARD);
    let mut one = house.connect_tls(&["http/1.1"]).await;
    assert_eq!(one.0.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let facts = "TLSv1_3 a.test Listener none Some(Inet(127.0.0.1:";
    let answer = one.get("/one").await;
    assert!(answer.starts_with(&format!("/one 1 {facts}")), "{answer}");

    let mut none = house.connect_tls(&[]).await;
    assert!(none.get("/none").await.starts_with("/none 1 "));

    let mut both = house.connect_tls(&["h2", "http/1.1"]).await;
    assert_eq!(both.0.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    both.send([PREFACE, &frame(SETTINGS, 0, 0, &[]), &get(1, "/two"), &get(3, "/three")].concat()).await;
    let said = answers(&mut both, &[1, 3]).await;
    assert!(said[&1].starts_with("/two ") && said[&1].contains(facts), "{said:?}");
    assert!(said[&3].starts_with("/three "), "{said:?}");

    drop((one, none, both));
    assert_eq!(house.unparsed().await, []);
    assert_eq!(house.logged().len(), 4);
}

/// pingora's own bounds end where options are given (CVE-2026-105297), so what a client is told is looked at.
#[tokio::test]
async fn a_client_is_told_how_many_streams_and_how_long_heads_it_may_send() {
    let house = House::tls(GUARD);
    let mut client = open(&house).await;
    let mut head = [0; 9];
    client.0.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], SETTINGS);
    let mut payload = vec![0; usize::from(head[2])];
    client.0.read_exact(&mut payload).await.unwrap();
    let settings: HashMap<u16, u32> = payload
        .chunks(6)
        .map(|s| (u16::from_be_bytes([s[0], s[1]]), u32::from_be_bytes([s[2], s[3], s[4], s[5]])))
        .collect();
    let (max_concurrent_streams, initial_window_size, max_header_list_size) = (3, 4, 6);
    assert_eq!(settings[&max_concurrent_streams], 100);
    assert_eq!(settings[&initial_window_size], 256 * 1024);
    assert_eq!(settings[&max_header_list_size], 8 * 1024);
}

#[tokio::test]
async fn half_a_preface_is_cut_and_told_once() {
    let house = House::tls(GuardSettings { head: ms(150), ..GUARD });
    let mut client = house.connect_tls(&["h2"]).await;
    client.send(&PREFACE[..10]).await;
    assert!(client.rest().await.1 >= ms(120));
    assert_eq!(house.unparsed().await, [UnparsedWhy::HeadTimeout]);
}

#[tokio::test]
async fn no_preface_at_all_is_cut_without_a_record() {
    let house = House::tls(GuardSettings { head: ms(150), ..GUARD });
    assert!(house.connect_tls(&["h2"]).await.rest().await.1 >= ms(120));
    assert_eq!(house.unparsed().await, []);
    assert_eq!(house.counters().silent, 1);
}

#[tokio::test]
async fn what_is_no_preface_is_told_once() {
    let house = House::tls(GUARD);
    let mut client = house.connect_tls(&["h2"]).await;
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    client.rest().await;
    assert_eq!(house.unparsed().await, [UnparsedWhy::Garbage]);
}

#[tokio::test]
async fn a_connection_without_streams_is_cut_and_one_with_a_stream_is_not() {
    let house = House::tls(GuardSettings { idle: ms(150), ..GUARD });
    let mut unused = open(&house).await;
    assert!(unused.rest().await.1 >= ms(120));

    let mut client = open(&house).await;
    client.send([get(1, "/wait/500"), get(3, "/")].concat()).await;
    let said = answers(&mut client, &[1, 3]).await;
    assert!(said[&1].starts_with("/wait/500 "), "{said:?}");
    client.send(get(5, "/wait/300")).await;
    assert!(answers(&mut client, &[5]).await[&5].starts_with("/wait/300 "));
    assert!(client.rest().await.1 >= ms(120));
    assert_eq!(house.unparsed().await, []);
    assert_eq!(house.counters().idle_timeouts, 2);
}

#[tokio::test]
async fn a_connection_is_not_kept_by_what_is_no_request() {
    let house = House::tls(GuardSettings { idle: ms(200), ..GUARD });
    let mut client = open(&house).await;
    let start = std::time::Instant::now();
    let ping = frame(6, 0, 0, &[7; 8]);
    while tokio::io::AsyncWriteExt::write_all(&mut client.0, &ping).await.is_ok() {
        assert!(start.elapsed() < PATIENCE, "pings kept it");
        tokio::time::sleep(ms(20)).await;
    }
    assert!(start.elapsed() >= ms(150));
}

#[tokio::test]
async fn a_stream_that_the_parser_refuses_is_told_once_and_the_others_are_not() {
    let house = House::tls(GUARD);
    let mut client = open(&house).await;
    let no_host = frame(HEADERS, END_OF_HEAD_AND_STREAM, 3, &[0x82, 0x84, 0x87]);
    client.send([get(1, "/one"), no_host, get(5, "/three")].concat()).await;
    let said = answers(&mut client, &[1, 3, 5]).await;
    assert!(said[&1].starts_with("/one ") && said[&5].starts_with("/three "), "{said:?}");
    drop(client);
    assert_eq!(house.unparsed().await, [UnparsedWhy::RefusedStream]);
    assert_eq!(house.logged().len(), 2);
}

#[tokio::test]
async fn a_client_that_leaves_at_once_still_has_its_requests_counted_once() {
    for _ in 0..20 {
        let house = House::tls(GUARD);
        let mut client = open(&house).await;
        client.send([get(1, "/wait/1"), get(3, "/wait/1"), get(5, "/wait/1")].concat()).await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.0).await.unwrap();
        client.rest().await;
        house.eventually(|house| house.counters().accepted == 1 && house.counters().open == 0).await;
        house.eventually(|house| house.logged().len() as u64 + house.counters().unparsed >= 3).await;
        tokio::time::sleep(ms(10)).await;
        assert_eq!(house.logged().len() as u64 + house.counters().unparsed, 3);
    }
}

#[tokio::test]
async fn a_shutdown_says_goodbye_and_lets_streams_end() {
    let mut house = House::tls(GUARD);
    let mut client = open(&house).await;
    client.send(get(1, "/wait/300")).await;
    house.eventually(|house| house.counters().open == 1).await;
    tokio::time::sleep(ms(50)).await; // until it runs
    house.shutdown.send(true).unwrap();
    assert!(answers(&mut client, &[1]).await[&1].starts_with("/wait/300 "));
    drop(client);
    tokio::time::timeout(PATIENCE, &mut house.service).await.unwrap().unwrap();
}
