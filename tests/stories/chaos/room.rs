//! How much of a backend one tenant may have.

use std::time::{Duration, Instant};

use super::{script, spawn};
use crate::harness::{Gateway, Recorder};

#[tokio::test(flavor = "multi_thread")]
async fn the_slow_queries_of_one_tenant_do_not_take_the_others_down() {
    let backend = Recorder::playing(script).await;
    let setup = Gateway::test().defence("max_in_flight: 8").defence("max_in_flight_per_tenant: 4");
    let gateway = setup.defence("queue: { length: 8, wait: 200ms }").upstream(backend.address).start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let hanging: Vec<_> = (0..12)
        .map(|_| gateway.request("GET", "acme", "/orders/hangs").bearer_auth(&token))
        .map(|request| spawn(tokio::time::timeout(Duration::from_secs(2), request.send())))
        .collect();
    gateway.eventually("acme has all that it may have", || gateway.metric("cloister_upstream_in_flight") == 4.0);
    for _ in 0..20 {
        let started = Instant::now();
        assert_eq!(gateway.get("globex", "/orders/1").await.status, 200);
        assert!(started.elapsed() < Duration::from_secs(1), "globex waits for acme");
    }
    let (mut held, mut refused) = (0, Vec::new());
    for answer in hanging {
        match answer.await.unwrap() {
            Err(_) => held += 1,
            Ok(answer) => refused.push(answer.unwrap()),
        }
    }
    assert_eq!((held, refused.len()), (4, 8));
    for answer in refused {
        let retry_after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert_eq!(answer.status().as_u16(), 429);
        assert!((1..=3).contains(&retry_after), "nobody was called for 200 ms, and eight wait");
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_string();
        let records = gateway.records(&["--id", &id]);
        assert_eq!(records.of(&id)["reason"], "limit.concurrency");
        assert!(records.of(&id)["attempts"].is_null(), "no backend was asked");
    }
    assert!(gateway.metric("cloister_upstream_wait_seconds_count") >= 8.0);
    gateway.eventually("clients that left gave their places back", || {
        gateway.metric("cloister_upstream_in_flight") == 0.0
    });
    assert_eq!(gateway.metric("cloister_upstream_waiting"), 0.0);
    assert_eq!(gateway.metric("cloister_upstream_breaker_opened_total"), 0.0, "a client that left is no failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backend_is_told_as_an_outage_and_not_as_the_clients_fault() {
    let backend = Recorder::playing(script).await;
    let setup = Gateway::test().defence("max_in_flight: 1").defence("queue: { length: 0 }");
    let gateway = setup.upstream(backend.address).start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let hanging = gateway.request("GET", "acme", "/orders/hangs").bearer_auth(token);
    let hanging = spawn(tokio::time::timeout(Duration::from_secs(2), hanging.send()));
    gateway.eventually("the only place is taken", || gateway.metric("cloister_upstream_in_flight") == 1.0);
    let answer = gateway.get("globex", "/orders/1").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "upstream_busy"));
    assert_eq!(answer.field("retry-after"), Some("1"));
    assert!(hanging.await.unwrap().is_err(), "nothing came");
    assert_eq!(gateway.reason(&answer), "upstream.busy");
}
