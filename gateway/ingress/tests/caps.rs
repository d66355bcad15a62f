use super::house::{GUARD, House};
use crate::GuardSettings;

#[tokio::test]
async fn no_client_has_more_connections_than_one_may_have() {
    let house = House::plain(GuardSettings { connections_per_ip: 2, ..GUARD });
    let (mut first, mut second) = (house.connect().await, house.connect().await);
    first.get("/").await;
    second.get("/").await;
    let mut third = house.connect().await;
    assert!(third.rest().await.0.starts_with("HTTP/1.1 503 "));
    assert_eq!((house.counters().refused_client, house.counters().refused_full), (1, 0));
    drop(first);
    house.eventually(|house| house.counters().open == 1).await;
    house.connect().await.get("/").await;
}

#[tokio::test]
async fn there_are_never_more_connections_than_there_may_be() {
    let house = House::plain(GuardSettings { connections: 3, ..GUARD });
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(house.connect().await);
    }
    house.eventually(|house| house.counters().accepted == 10).await;
    assert_eq!((house.counters().refused_full, house.counters().open), (7, 3));
    clients.clear();
    house.eventually(|house| house.counters().open == 0).await;
    house.connect().await.get("/").await;
}

#[tokio::test]
async fn a_client_too_many_on_tls_is_closed_before_the_handshake() {
    let house = House::tls(GuardSettings { connections: 0, ..GUARD });
    assert_eq!(house.connect().await.rest().await.0, "");
    assert_eq!(house.counters().refused_full, 1);
}
