use std::sync::Arc;

use terms::SystemClock;
use tokio::net::TcpStream;

use super::house::{GUARD, House, PATIENCE, ms};
use crate::{BindError, Cleartext, ListenerSettings, Listeners};

#[tokio::test]
async fn many_requests_run_on_one_connection_one_after_the_other() {
    let house = House::plain(GUARD);
    let mut client = house.connect().await;
    for n in 1..=10 {
        let answer = client.get(&format!("/{n}")).await;
        assert!(answer.starts_with(&format!("/{n} {n} plain Some(Inet(127.0.0.1:")), "{answer}");
    }
    drop(client);
    assert_eq!(house.unparsed().await, []);
    assert_eq!(house.logged().len(), 10);
}

#[tokio::test]
async fn many_requests_may_come_at_once() {
    let house = House::plain(GUARD);
    let mut client = house.connect().await;
    let requests: String = (1..=10).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a.test\r\n\r\n")).collect();
    client.send(requests).await;
    for n in 1..=10 {
        let answer = client.answer().await;
        assert!(answer.starts_with(&format!("/{n} {n} ")), "{answer}");
    }
    drop(client);
    assert_eq!(house.unparsed().await, []);
    assert_eq!(house.logged().len(), 10);
}

#[tokio::test]
async fn long_answers_arrive_whole() {
    let (plain, tls) = (House::plain(GUARD), House::tls(GUARD));
    let expected = |count| (0..count).map(|n| char::from(b'a' + (n % 26) as u8)).collect::<String>();
    for count in [0, 1, 1200, 1300, 1460, 10_000, 3_000_000_usize] {
        let path = format!("/bytes/{count}");
        assert_eq!(plain.connect().await.get(&path).await, expected(count), "{count}");
        assert_eq!(tls.connect_tls(&["http/1.1"]).await.get(&path).await, expected(count), "{count}");
    }
}

/// Neither the time for a handshake nor that for a head holds up an end.
#[tokio::test]
async fn a_shutdown_closes_who_has_not_said_a_word() {
    for house in [House::plain(GUARD), House::tls(GUARD), House::behind_proxies(GUARD, "127.0.0.1")] {
        let mut silent = house.connect().await;
        house.eventually(|house| house.counters().open == 1).await;
        tokio::time::sleep(ms(50)).await; // until it is listened to
        house.shutdown.send(true).unwrap();
        assert_eq!(silent.rest().await.0, "");
        let House { service, .. } = house;
        tokio::time::timeout(PATIENCE / 4, service).await.expect("it ends at once").unwrap();
    }
}

#[tokio::test]
async fn a_shutdown_lets_requests_end_and_closes_what_is_idle() {
    let mut house = House::plain(GUARD);
    let (mut idle, mut busy) = (house.connect().await, house.connect().await);
    idle.get("/").await;
    busy.send("GET /wait/400 HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    house.eventually(|house| house.counters().open == 2).await;
    tokio::time::sleep(ms(50)).await; // until it runs
    house.shutdown.send(true).unwrap();
    assert_eq!(idle.rest().await.0, "");
    assert_eq!(house.logged(), ["/"], "the idle one did not wait for the busy one");
    assert!(TcpStream::connect(house.address).await.is_err(), "it listens no more");
    assert!(busy.answer().await.starts_with("/wait/400"));
    tokio::time::timeout(PATIENCE, &mut house.service).await.unwrap().unwrap();
    assert_eq!(house.counters().open, 0);
}

#[test]
fn an_address_in_use_is_named() {
    let clock = Arc::new(SystemClock);
    let settings = ListenerSettings {
        bind: "127.0.0.1:0".parse().unwrap(),
        proxies: None,
        cleartext: Cleartext::Http1,
        tls: None,
    };
    let first = Listeners::bind(&[settings], &[], clock.clone()).unwrap();
    let taken = first.addresses().unwrap()[0];
    let settings = ListenerSettings { bind: taken, proxies: None, cleartext: Cleartext::Http1, tls: None };
    let error = Listeners::bind(&[settings], &[], clock).unwrap_err();
    assert!(matches!(error, BindError::Bind { address, .. } if address == taken));
    assert!(terms::chain(&error).starts_with(&format!("cannot listen on `{taken}`: ")), "{}", terms::chain(&error));
}
