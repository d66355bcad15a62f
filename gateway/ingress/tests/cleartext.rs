use super::house::{GUARD, House, ms};
use super::http2::{PREFACE, SETTINGS, answers, frame, get};
use crate::{Cleartext, GuardSettings, UnparsedWhy};

#[tokio::test]
async fn a_client_that_begins_with_http_2_gets_it_without_tls_and_others_get_http_1() {
    let house = House::plain(GUARD);
    let opening = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &get(1, "/one"), &get(3, "/three")].concat();
    for sizes in [1, 2, 3, 4, 5, 24, 1000] {
        let mut client = house.connect().await;
        for piece in opening.chunks(sizes) {
            client.send(piece).await;
        }
        let said = answers(&mut client, &[1, 3]).await;
        assert!(said[&1].starts_with("/one ") && said[&3].starts_with("/three "), "in pieces of {sizes}: {said:?}");
    }
    // All of these begin as the preface does, and go on otherwise.
    for method in ["P", "PR", "PRI-", "PRIVATE", "PUT", "POST"] {
        let mut client = house.connect().await;
        for byte in format!("{method} /{method} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n").bytes() {
            client.send([byte]).await;
        }
        assert!(client.answer().await.starts_with(&format!("/{method} 1 ")));
        assert!(client.get("/next").await.starts_with("/next 2 "));
    }
    assert_eq!(house.unparsed().await, []);
}

#[tokio::test]
async fn a_listener_for_http_1_alone_takes_the_preface_of_http_2_for_garbage() {
    let house = House::speaking(GUARD, Cleartext::Http1);
    let mut client = house.connect().await;
    client.send([PREFACE, &frame(SETTINGS, 0, 0, &[]), &get(1, "/")].concat()).await;
    let answer = client.rest().await.0;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
    assert_eq!(house.unparsed().await, [UnparsedWhy::Garbage]);
}

#[tokio::test]
async fn the_first_bytes_count_against_the_deadline_of_the_head() {
    let house = House::plain(GuardSettings { head: ms(200), ..GUARD });
    for (sent, answered) in [("", ""), ("P", "HTTP/1.1 408 "), ("PRI", "HTTP/1.1 408 "), ("PRI * HTTP", "\0\0")] {
        let mut client = house.connect().await;
        client.send(sent).await;
        let (answer, waited) = client.rest().await;
        assert!(answer.starts_with(answered) && answer.is_empty() == answered.is_empty(), "{sent:?}: {answer:?}");
        assert!(waited >= ms(150), "{sent:?}: {waited:?}");
    }
    assert_eq!(house.unparsed().await, [UnparsedWhy::HeadTimeout; 3]);
    assert_eq!((house.counters().head_timeouts, house.counters().idle_timeouts), (3, 1));
}

#[tokio::test]
async fn a_client_that_leaves_in_its_first_bytes_is_told_once() {
    let house = House::plain(GUARD);
    for (sent, count) in [("", 0), ("P", 1), ("PRI", 2)] {
        let mut client = house.connect().await;
        client.send(sent).await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.0).await.unwrap();
        client.rest().await;
        assert_eq!(house.unparsed().await.len(), count, "{sent:?}");
    }
}
