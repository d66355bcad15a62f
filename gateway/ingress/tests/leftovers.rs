use super::house::{GUARD, House};
use crate::{Cleartext, GuardSettings, UnparsedWhy};

#[tokio::test]
async fn what_is_no_request_is_told_once() {
    for garbage in [
        "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        "hello\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
    ] {
        let house = House::speaking(GUARD, Cleartext::Http1);
        let mut client = house.connect().await;
        client.send(garbage).await;
        let (answer, _) = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 40"), "{garbage:?}: {answer:?}");
        assert_eq!(house.unparsed().await, [UnparsedWhy::Garbage], "{garbage:?}");
        assert!(house.logged().is_empty(), "{garbage:?}");
    }
}

#[tokio::test]
async fn garbage_after_a_request_is_told_and_the_request_is_not() {
    let house = House::plain(GUARD);
    let mut client = house.connect().await;
    client.get("/good").await;
    client.send("garbage\r\n\r\n").await;
    client.rest().await;
    assert_eq!(house.unparsed().await, [UnparsedWhy::Garbage]);
    assert_eq!(house.logged(), ["/good"]);
}

#[tokio::test]
async fn half_a_head_is_told_once_and_nothing_at_all_is_not() {
    let house = House::plain(GUARD);
    let mut client = house.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a.te").await;
    house.eventually(|house| house.counters().open == 1).await;
    drop(client);
    assert_eq!(house.unparsed().await, [UnparsedWhy::Incomplete]);
    drop(house.connect().await);
    house.eventually(|house| house.counters().silent == 1).await;
    assert_eq!(house.unparsed().await.len(), 1);
}

#[tokio::test]
async fn a_head_that_is_too_long_is_cut_and_told_why() {
    for tls in [false, true] {
        let guard = GuardSettings { head_bytes: 5000, ..GUARD };
        let house = if tls { House::tls(guard) } else { House::plain(guard) };
        let head = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}", "x".repeat(20_000));
        let answer = if tls {
            let mut client = house.connect_tls(&["http/1.1"]).await;
            client.send(&head).await;
            client.rest().await.0
        } else {
            let mut client = house.connect().await;
            client.send(&head).await;
            client.rest().await.0
        };
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
        assert_eq!(house.unparsed().await, [UnparsedWhy::HeadTooLarge]);
        assert_eq!(house.counters().heads_too_large, 1);
    }
}

#[tokio::test]
async fn a_head_may_be_as_long_as_is_looked_at_and_its_body_does_not_count() {
    let house = House::plain(GuardSettings { head_bytes: 5000, ..GUARD });
    let start = "POST /long HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9000\r\nX: ";
    let padding = "x".repeat(5000 - start.len() - 4);
    let mut client = house.connect().await;
    client.send(format!("{start}{padding}\r\n\r\n{}", "b".repeat(9000))).await;
    assert!(client.answer().await.starts_with("/long"));
    let mut client = house.connect().await;
    client.send(format!("{start}{padding}x\r\n\r\n{}", "b".repeat(9000))).await;
    assert!(client.rest().await.0.starts_with("HTTP/1.1 431 "));
    assert_eq!(house.unparsed().await, [UnparsedWhy::HeadTooLarge]);
}
