//! What backends do to us: for each way to fail, what the client gets, what is on record, and what is counted.

mod h2c;
mod retries;
mod room;
mod time;

use std::time::{Duration, Instant};

use crate::harness::{Gateway, Play, Recorded, Recorder, Setup};

/// What came of one request.
#[derive(Debug, Eq, PartialEq)]
struct Outcome {
    /// The status that the client got, if it got one.
    status: Option<u16>,
    /// Whether the body came to its end.
    whole: bool,
    reason: String,
    attempts: u64,
    end: String,
}

/// Sends one request and looks at both ends of it.
async fn ask(gateway: &Gateway, method: &str, path: &str) -> Outcome {
    let token = gateway.token("acme", "ada", &["clerk"]);
    let response = gateway.request(method, "acme", path).bearer_auth(token).send().await;
    let (status, whole) = match response {
        Ok(response) => (Some(response.status().as_u16()), response.bytes().await.is_ok()),
        Err(_) => (None, false),
    };
    let records = gateway.records(&[]);
    let record = *records.finals().last().unwrap();
    let text = |name: &str| record[name].as_str().unwrap_or_default().to_string();
    Outcome {
        status,
        whole,
        reason: text("reason"),
        attempts: record["attempts"].as_u64().unwrap_or(0),
        end: text("end"),
    }
}

#[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::spawn(task)
}

fn outcome(status: u16, reason: &str, attempts: u64, end: &str) -> Outcome {
    Outcome { status: Some(status), whole: true, reason: reason.into(), attempts, end: end.into() }
}

fn patient(setup: Setup) -> Setup {
    setup.timeouts("{ connect: 1s, read: 1s, write: 1s, idle: 5s }").defence("retries: { per_second: 1000 }")
}

/// The last segment of the path says what goes wrong.
fn script(request: &Recorded) -> Vec<Play> {
    let fault = request.target.rsplit('/').next().unwrap_or_default();
    let after_body = |plays: &[Play]| [&[Play::Body], plays].concat();
    let head = |text: &str| after_body(&[Play::bytes(text)]);
    match fault {
        "resets" => vec![Play::Reset],
        "half-closes" => after_body(&[Play::Close]),
        "hangs" => after_body(&[Play::Pause(Duration::from_secs(30))]),
        "slow" => [vec![Play::Body, Play::Pause(Duration::from_millis(300))], Play::answer("late")].concat(),
        "garbage" => head("\u{16}\u{3}\u{1}nothing that HTTP knows\r\n\r\n"),
        "dies-in-the-body" => {
            after_body(&[Play::bytes("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf"), Play::Close])
        }
        "dies-in-a-chunk" => {
            after_body(&[Play::bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"), Play::Close])
        }
        "oversized-head" => head(&format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(2 << 20))),
        "two-lengths" => head("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"),
        "too-long" => head("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more"),
        "says-503" => head("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
        _ => Play::answer("ok"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backend_that_fails_does_to_its_client_is_bounded_and_on_record() {
    let backend = Recorder::playing(script).await;
    let gateway = patient(Gateway::test()).upstream(backend.address).start().await;
    let (unavailable, malformed, failed) = ("upstream.unavailable", "upstream.malformed", "upstream_failed");
    let broken = |attempts| Outcome { whole: false, ..outcome(200, unavailable, attempts, failed) };
    // What goes wrong; what comes of a GET, which may be sent again, and of a POST, which may not.
    let table = [
        ("fine", outcome(200, "allowed", 1, "complete"), outcome(200, "allowed", 1, "complete")),
        ("resets", outcome(502, unavailable, 3, failed), outcome(502, unavailable, 1, failed)),
        ("half-closes", outcome(502, unavailable, 3, failed), outcome(502, unavailable, 1, failed)),
        ("hangs", outcome(504, "upstream.timeout", 1, failed), outcome(504, "upstream.timeout", 1, failed)),
        ("slow", outcome(200, "allowed", 1, "complete"), outcome(200, "allowed", 1, "complete")),
        ("garbage", outcome(502, malformed, 1, failed), outcome(502, malformed, 1, failed)),
        ("dies-in-the-body", broken(1), broken(1)),
        ("dies-in-a-chunk", broken(1), broken(1)),
        ("oversized-head", outcome(502, malformed, 1, failed), outcome(502, malformed, 1, failed)),
        ("two-lengths", outcome(502, malformed, 1, failed), outcome(502, malformed, 1, failed)),
        ("too-long", outcome(200, "allowed", 1, "complete"), outcome(200, "allowed", 1, "complete")),
        ("says-503", outcome(503, "allowed", 1, "complete"), outcome(503, "allowed", 1, "complete")),
    ];
    let mut differ = Vec::new();
    for (fault, get, post) in table {
        for (method, expected) in [("GET", get), ("POST", post)] {
            let started = Instant::now();
            let came = ask(&gateway, method, &format!("/orders/{fault}")).await;
            if came != expected {
                differ.push(format!("{method} {fault}: {came:?}, not {expected:?}"));
            }
            assert!(started.elapsed() < Duration::from_secs(5), "{method} {fault} took {:?}", started.elapsed());
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert_eq!(gateway.metric("cloister_upstream_breaker"), 0.0, "one tenant alone opens no breaker");
    assert_eq!(gateway.metric("cloister_upstream_in_flight"), 0.0);
}
