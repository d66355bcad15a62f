//! What is asked again, how often, and when a backend is left alone.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::{ask, outcome, patient};
use crate::harness::{Answer, Gateway, Play, Recorded, Recorder};

/// An address where nobody listens, and nobody will by chance: whoever has it may listen there later.
async fn nobody() -> (SocketAddr, tokio::net::TcpSocket) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    (socket.local_addr().unwrap(), socket)
}

/// Fails so many times, and then answers.
fn at_last(times: usize, fault: Play) -> impl Fn(&Recorded) -> Vec<Play> + Send + Sync + 'static {
    let asked = AtomicUsize::new(0);
    move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        number if number < times => vec![Play::Body, fault.clone(), Play::Close],
        _ => Play::answer("at last"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_does_not_stand_is_tried_elsewhere_whatever_was_asked() {
    let backend = Recorder::start().await;
    let (nobody, _held) = nobody().await;
    let gateway = patient(Gateway::test()).addresses(&[nobody, backend.address]).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    for method in ["GET", "POST", "PUT", "DELETE"].repeat(2) {
        let request = gateway.request(method, "acme", "/orders/1").bearer_auth(&token).body("whole");
        let answer = gateway.send(request).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{method}");
    }
    assert!(backend.requests().iter().all(|request| request.body == b"whole" && request.whole));
    assert!(gateway.metric("cloister_retries_total") > 0.0);
    let records = gateway.records(&[]);
    let attempts: Vec<_> = records.finals().iter().map(|record| record["attempts"].as_u64().unwrap()).collect();
    assert!(attempts.contains(&2) && attempts.iter().all(|attempts| *attempts <= 2), "{attempts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_listed_is_asked_again_and_the_client_sees_the_last_one() {
    for (fails, status, attempts) in [(2, 200, 3), (3, 503, 3)] {
        let backend =
            Recorder::playing(at_last(fails, Play::bytes("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"))).await;
        let setup = Gateway::test().defence("retries: { per_second: 1000, statuses: [503] }");
        let gateway = setup.upstream(backend.address).start().await;
        assert_eq!(ask(&gateway, "GET", "/orders/1").await, outcome(status, "allowed", attempts, "complete"));
        assert_eq!(backend.requests().len(), 3);
    }
    let backend = Recorder::playing(at_last(1, Play::bytes("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"))).await;
    let setup = Gateway::test().defence("retries: { per_second: 1000, statuses: [503] }");
    let gateway = setup.upstream(backend.address).start().await;
    assert_eq!(ask(&gateway, "POST", "/orders/1").await, outcome(503, "allowed", 1, "complete"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_body_has_left_is_not_sent_again_and_a_route_may_forbid_it_for_all() {
    let backend = Recorder::playing(|_| vec![Play::Body, Play::Reset]).await;
    let never = crate::harness::POLICIES.replace("    max_body: 64MiB", "    max_body: 64MiB\n    retry: never");
    let gateway = patient(Gateway::test()).policies(&never).upstream(backend.address).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    for (method, path, body, attempts) in
        [("PUT", "/orders/1", "a body", 1), ("PUT", "/orders/1", "", 3), ("PUT", "/upload", "", 1)]
    {
        let before = backend.requests().len();
        let answer = gateway.send(gateway.request(method, "acme", path).bearer_auth(&token).body(body)).await;
        assert_eq!((answer.status, backend.requests().len() - before), (502, attempts), "{method} {path} {body:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_end_with_their_budget() {
    let backend = Recorder::playing(|_| vec![Play::Body, Play::Reset]).await;
    let setup = Gateway::test().defence("retries: { percent: 0, per_second: 1, wait: 1ms }");
    let gateway = setup.upstream(backend.address).start().await;
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(gateway.get("acme", "/orders/1").await.status, 502);
    }
    let most = 20 + 1 + started.elapsed().as_secs() as usize;
    let asked = backend.requests().len();
    assert!((21..=most).contains(&asked), "{asked} attempts, {most} at most");
    assert!(gateway.admin("/metrics").1.contains(r#"cloister_retries_total{outcome="no_budget",upstream="backend"}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_down_is_left_alone_and_found_again_when_it_is_back() {
    let (address, socket) = nobody().await;
    let setup = patient(Gateway::test()).defence("breaker: { consecutive: 5, open: 1s, tries: 2 }");
    let gateway = setup.upstream(address).start().await;
    let turned_away = |answer: &Answer| answer.code() == "upstream_unavailable" && answer.status == 503;
    let mut asked = 0;
    let answer = loop {
        asked += 1;
        let answer = gateway.get("acme", "/orders/1").await;
        if turned_away(&answer) {
            break answer;
        }
        assert!(answer.status == 502 && asked < 10, "{answer:?}");
    };
    assert_eq!(answer.field("retry-after"), Some("1"));
    let records = gateway.records(&["--id", &answer.request_id()]);
    let record = records.of(&answer.request_id());
    assert_eq!((&record["reason"], &record["attempts"]), (&"upstream.open".into(), &().into()), "{record}");
    assert_eq!(gateway.metric("cloister_upstream_breaker"), 2.0);
    assert_eq!(gateway.metric("cloister_upstream_breaker_opened_total"), 1.0);
    assert!(gateway.metric("cloister_upstream_shed_total") >= 1.0);

    let listener: TcpListener = socket.listen(16).unwrap();
    let _backend = Recorder::listening(listener, |_| Play::answer("back"));
    let deadline = Instant::now() + Duration::from_secs(10);
    while gateway.get("globex", "/orders/1").await.status != 200 {
        assert!(Instant::now() < deadline, "it never came back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..5 {
        assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    }
    assert_eq!(gateway.metric("cloister_upstream_breaker"), 0.0);
}
