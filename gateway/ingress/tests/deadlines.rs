use tokio::io::AsyncWriteExt;

use super::house::{GUARD, House, ms};
use crate::{GuardSettings, UnparsedWhy};

#[tokio::test]
async fn a_head_that_drips_in_is_cut_and_told_why() {
    for tls in [false, true] {
        let guard = GuardSettings { head: ms(200), ..GUARD };
        let house = if tls { House::tls(guard) } else { House::plain(guard) };
        let head = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}", "x".repeat(1000));
        let (answer, waited) = if tls {
            drip(house.connect_tls(&["http/1.1"]).await.0, &head).await
        } else {
            drip(house.connect().await.0, &head).await
        };
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
        assert!(waited >= ms(150), "{waited:?}");
        assert_eq!(house.unparsed().await, [UnparsedWhy::HeadTimeout]);
        assert_eq!(house.counters().head_timeouts, 1);
        assert!(house.logged().is_empty());
    }
}

/// A byte every 20 ms, for as long as somebody takes them.
async fn drip<S>(stream: S, head: &str) -> (String, std::time::Duration)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (reader, mut writer) = tokio::io::split(stream);
    let head = head.to_owned();
    let dripping = tokio::runtime::Handle::current().spawn(async move {
        for byte in head.bytes() {
            if writer.write_all(&[byte]).await.is_err() || writer.flush().await.is_err() {
                return;
            }
            tokio::time::sleep(ms(20)).await;
        }
    });
    let read = super::house::Client(tokio::io::join(reader, tokio::io::sink())).rest().await;
    dripping.abort();
    read
}

#[tokio::test]
async fn the_next_head_on_a_connection_has_the_deadline_of_a_head_and_not_of_idling() {
    let house = House::plain(GuardSettings { head: ms(150), ..GUARD });
    let mut client = house.connect().await;
    client.get("/first").await;
    client.send("GET /second HT").await;
    let (answer, waited) = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    assert!(waited >= ms(120), "{waited:?}");
    assert_eq!(house.unparsed().await, [UnparsedWhy::HeadTimeout]);
    assert_eq!(house.logged(), ["/first"]);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_without_a_record() {
    for tls in [false, true] {
        let guard = GuardSettings { head: ms(150), ..GUARD };
        let house = if tls { House::tls(guard) } else { House::plain(guard) };
        let (answer, waited) =
            if tls { house.connect_tls(&["http/1.1"]).await.rest().await } else { house.connect().await.rest().await };
        assert_eq!(answer, "");
        assert!(waited >= ms(120), "{waited:?}");
        assert_eq!(house.unparsed().await, []);
        assert_eq!((house.counters().idle_timeouts, house.counters().silent), (1, 1));
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_record() {
    let house = House::plain(GuardSettings { idle: ms(150), ..GUARD });
    let mut client = house.connect().await;
    client.get("/").await;
    let (answer, waited) = client.rest().await;
    assert_eq!(answer, "");
    assert!(waited >= ms(120), "{waited:?}");
    assert_eq!(house.unparsed().await, []);
    assert_eq!((house.counters().idle_timeouts, house.counters().silent), (1, 0));
}

#[tokio::test]
async fn a_request_that_runs_is_never_cut() {
    let house = House::plain(GuardSettings { head: ms(150), idle: ms(150), ..GUARD });
    let mut client = house.connect().await;
    assert!(client.get("/wait/500").await.starts_with("/wait/500"));
    assert!(client.get("/wait/400").await.starts_with("/wait/400"));
    assert_eq!(house.counters().idle_timeouts, 0);
}

#[tokio::test]
async fn a_handshake_has_a_deadline() {
    let house = House::tls(GuardSettings { handshake: ms(150), ..GUARD });
    let mut silent = house.connect().await;
    let mut half = house.connect().await;
    half.send([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await;
    assert!(silent.rest().await.1 >= ms(120));
    half.rest().await;
    assert_eq!(house.unparsed().await, []);
    assert_eq!(house.counters().handshake_timeouts, 2);
}

#[tokio::test]
async fn a_deadline_of_zero_is_not_forever() {
    let house = House::plain(GuardSettings { head: ms(0), idle: ms(0), ..GUARD });
    let mut client = house.connect().await;
    assert_eq!(client.rest().await.0, "");
}
