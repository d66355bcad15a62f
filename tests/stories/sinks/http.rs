use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

use super::*;
use crate::harness::private;

/// One that takes what is posted to it, and answers what it is told to.
#[derive(Clone, Default)]
pub struct Receiver(Arc<Mutex<Inbox>>);

#[derive(Default)]
struct Inbox {
    took: Vec<(HeaderMap, Bytes)>,
    /// What is answered before anything is taken.
    answers: Vec<(StatusCode, Option<&'static str>)>,
    hangs: bool,
    asked: usize,
}

impl Receiver {
    async fn start() -> (Self, std::net::SocketAddr) {
        Self::default().on(std::net::SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    async fn on(self, address: std::net::SocketAddr) -> (Self, std::net::SocketAddr) {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/events", post(take)).with_state(self.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (self, address)
    }

    fn records(&self) -> Vec<String> {
        let took = self.0.lock().unwrap();
        let events =
            took.took.iter().flat_map(|(_, body)| json(std::str::from_utf8(body).unwrap()).as_array().unwrap().clone());
        events.map(|event| event["data"].to_string()).collect()
    }

    fn indexes(&self) -> Vec<u64> {
        let took = self.0.lock().unwrap();
        let events =
            took.took.iter().flat_map(|(_, body)| json(std::str::from_utf8(body).unwrap()).as_array().unwrap().clone());
        events.map(|event| event["logindex"].as_str().unwrap().parse().unwrap()).collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> (StatusCode, HeaderMap) {
    let hangs = {
        let mut inbox = receiver.0.lock().unwrap();
        inbox.asked += 1;
        inbox.hangs
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    let mut inbox = receiver.0.lock().unwrap();
    if let Some((status, after)) = inbox.answers.pop() {
        let after = after.map(|after| (axum::http::header::RETRY_AFTER, after.parse().unwrap()));
        return (status, after.into_iter().collect());
    }
    inbox.took.push((headers, body));
    (StatusCode::ACCEPTED, HeaderMap::new())
}

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn sink(address: std::net::SocketAddr, more: &str) -> String {
    let url = format!("http://{address}/events");
    format!(
        "{{ name: siem, http: {{ url: \"{url}\", key: \"${{env:WEBHOOK_KEY}}\" }}, batch: {{ wait: 10ms }}{more} }}"
    )
}

/// The signature, verified by a program that knows nothing of ours.
const VERIFIER: &str = "
import base64, hashlib, hmac, sys
key, mid, timestamp, signature = sys.argv[1:5]
body = sys.stdin.buffer.read()
mac = hmac.new(base64.b64decode(key.removeprefix('whsec_')), f'{mid}.{timestamp}.'.encode() + body, hashlib.sha256)
sys.exit(0 if signature == 'v1,' + base64.b64encode(mac.digest()).decode() else 1)
";

fn verifies(headers: &HeaderMap, body: &[u8]) -> bool {
    let field = |name: &str| headers[name].to_str().unwrap().to_owned();
    let mut python = Command::new("python3")
        .args(["-c", VERIFIER, KEY, &field("webhook-id"), &field("webhook-timestamp"), &field("webhook-signature")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(body).unwrap();
    python.wait().unwrap().success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_gets_every_record_as_a_cloudevent_in_batches_that_it_can_verify() {
    let (receiver, address) = Receiver::start().await;
    let gateway = Gateway::test().environment("WEBHOOK_KEY", KEY).sink(&sink(address, "")).start().await;
    for _ in 0..10 {
        gateway.get("acme", "/orders/1").await;
    }
    gateway.eventually("all records are there", || receiver.records().len() == records(&gateway).len());
    let in_log: Vec<_> = records(&gateway).iter().map(|record| json(record).to_string()).collect();
    assert_eq!(receiver.records(), in_log);
    let took = receiver.0.lock().unwrap();
    for (headers, body) in &took.took {
        assert_eq!(headers["content-type"], "application/cloudevents-batch+json");
        assert!(verifies(headers, body));
        assert!(!verifies(headers, &[body, &b" "[..]].concat()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_busy_is_asked_again_and_one_that_is_not_there_yet_too() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let gateway = Gateway::test().environment("WEBHOOK_KEY", KEY).sink(&sink(address, "")).start().await;
    gateway.eventually("nobody is there", || gateway.metric("cloister_audit_sink_failing") == 1.0);
    let receiver = Receiver::default();
    receiver.0.lock().unwrap().answers = vec![
        (StatusCode::TOO_MANY_REQUESTS, Some("1")),
        (StatusCode::INTERNAL_SERVER_ERROR, None),
        (StatusCode::SERVICE_UNAVAILABLE, None),
    ];
    let (receiver, _) = receiver.on(address).await;
    gateway.get("acme", "/orders/1").await;
    gateway.eventually("all records are there", || receiver.indexes().len() == records(&gateway).len());
    assert_eq!(receiver.indexes(), (0..receiver.indexes().len() as u64).collect::<Vec<_>>());
    let (_, metrics) = gateway.admin("/metrics");
    assert!(
        metrics.contains("cloister_audit_sink_failures_total{sink=\"siem\",why=\"busy\",class=\"default\"} 3"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_does_not_let_us_in_or_sends_us_elsewhere_is_told_of_and_gets_nothing_elsewhere() {
    let (receiver, address) = Receiver::start().await;
    receiver.0.lock().unwrap().answers = vec![(StatusCode::PERMANENT_REDIRECT, None), (StatusCode::UNAUTHORIZED, None)];
    let gateway = Gateway::test().environment("WEBHOOK_KEY", KEY).sink(&sink(address, "")).start().await;
    gateway.eventually("all records are there", || receiver.indexes().len() == records(&gateway).len());
    let (_, metrics) = gateway.admin("/metrics");
    assert!(
        metrics.contains("cloister_audit_sink_failures_total{sink=\"siem\",why=\"denied\",class=\"default\"} 2"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_served_and_the_gateway_ends_in_time_while_a_receiver_hangs_and_nothing_is_lost() {
    let (receiver, address) = Receiver::start().await;
    receiver.0.lock().unwrap().hangs = true;
    let mut gateway = Gateway::test().environment("WEBHOOK_KEY", KEY).sink(&sink(address, "")).start().await;
    gateway.eventually("it hangs", || receiver.0.lock().unwrap().asked > 0);
    for _ in 0..50 {
        assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    }
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    receiver.0.lock().unwrap().hangs = false;
    gateway.start_again();
    gateway.eventually("all records are there", || receiver.indexes().len() == records(&gateway).len());
    assert_eq!(receiver.indexes(), (0..receiver.indexes().len() as u64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_signs_from_the_moment_it_is_there() {
    let (receiver, address) = Receiver::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("webhook.key");
    private(&file, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let sink = sink(address, "").replace("${env:WEBHOOK_KEY}", &format!("${{file:{}}}", file.display()));
    let gateway = Gateway::test().sink(&sink).start().await;
    gateway.get("acme", "/orders/1").await;
    gateway.eventually("it gets something", || !receiver.indexes().is_empty());
    private(&file, KEY);
    let is_verified = || {
        let took = receiver.0.lock().unwrap();
        took.took.last().is_some_and(|(headers, body)| verifies(headers, body))
    };
    gateway.eventually("the new key signs", || {
        tokio::runtime::Handle::current().block_on(gateway.get("acme", "/orders/1"));
        is_verified()
    });
}
