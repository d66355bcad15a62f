//! How long anything may take, and what a client hears when it took longer.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Outcome, ask, outcome};
use crate::harness::{Gateway, POLICIES, Play, Recorded, Recorder, Setup};

const UNAVAILING: &str =
    "retries: { attempts: 3, per_second: 1000, statuses: [503], wait: 400ms, longest_wait: 400ms }";

fn pieces(head: &str, piece: &str, count: usize) -> Vec<Play> {
    let piece = [Play::Pause(Duration::from_millis(100)), Play::bytes(piece)];
    [vec![Play::Body, Play::bytes(head)], std::iter::repeat_n(piece, count).flatten().collect()].concat()
}

fn script(request: &Recorded) -> Vec<Play> {
    match request.target.rsplit('/').next().unwrap_or_default() {
        "drips-its-head" => pieces("HTTP/1.1 200 OK\r\nX-Long: ", "x", 300),
        "drips-its-body" => pieces("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", "x", 300),
        "stalls" => {
            let head = Play::bytes("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf");
            vec![Play::Body, head, Play::Pause(Duration::from_secs(30))]
        }
        "events" => {
            pieces("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n", "data: x\n\n", 25)
        }
        _ => vec![Play::Body, Play::Pause(Duration::from_secs(30))],
    }
}

fn hurried(setup: Setup) -> Setup {
    setup.timeouts("{ connect: 1s, read: 700ms, write: 1s, idle: 5s, request: 1500ms }")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_over_when_its_time_is_however_the_backend_stalls() {
    let backend = Recorder::playing(script).await;
    let gateway = hurried(Gateway::test()).upstream(backend.address).start().await;
    let (timeout, failed) = ("upstream.timeout", "upstream_failed");
    let broken = |end| Outcome { whole: false, ..outcome(200, timeout, 1, end) };
    // What the backend does, what comes of it, and when, in milliseconds.
    let table = [
        ("hangs", outcome(504, timeout, 1, failed), 700..1_500),
        ("stalls", broken(failed), 700..1_500),
        ("drips-its-body", broken("cut"), 1_500..2_500),
        ("drips-its-head", outcome(504, timeout, 1, failed), 700..1_500),
    ];
    for (fault, expected, span) in table {
        for method in ["GET", "POST"] {
            let started = Instant::now();
            assert_eq!(ask(&gateway, method, &format!("/orders/{fault}")).await, expected, "{method} {fault}");
            let took = started.elapsed().as_millis();
            assert!(took >= span.start && took < span.end + 1_500, "{method} {fault} took {took} ms");
        }
    }
    assert_eq!(gateway.metric("cloister_upstream_in_flight"), 0.0);
}

/// What a backend sends in pauses of 100 ms is there in time or not, depending on what is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_byte_and_the_bytes_between_have_each_their_time() {
    let slow = |request: &Recorded| {
        let wait = |milliseconds| Play::Pause(Duration::from_millis(milliseconds));
        let (head, rest) = (Play::bytes("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"), Play::bytes("body"));
        match request.target.rsplit('/').next().unwrap_or_default() {
            "late-head" => vec![Play::Body, wait(600), head, rest],
            "late-body" => vec![Play::Body, head, wait(600), rest],
            _ => vec![Play::Body, head, wait(2_000), rest],
        }
    };
    let backend = Recorder::playing(slow).await;
    let setup = Gateway::test().timeouts("{ connect: 1s, first_byte: 300ms, read: 1200ms, write: 1s, idle: 5s }");
    let gateway = setup.upstream(backend.address).start().await;
    let (timeout, failed) = ("upstream.timeout", "upstream_failed");
    for (path, expected) in [
        ("late-head", outcome(504, timeout, 1, failed)),
        ("late-body", outcome(200, "allowed", 1, "complete")),
        ("later-body", Outcome { whole: false, ..outcome(200, timeout, 1, failed) }),
    ] {
        for method in ["GET", "POST"] {
            assert_eq!(ask(&gateway, method, &format!("/orders/{path}")).await, expected, "{method} {path}");
        }
    }
}

/// A backend that announces its response while the body is still coming in owes it all the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_is_no_first_byte() {
    let announced = |_: &Recorded| {
        let rest = Play::bytes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        vec![
            Play::bytes("HTTP/1.1 103 Early Hints\r\n\r\n"),
            Play::Body,
            Play::Pause(Duration::from_millis(1_500)),
            rest,
        ]
    };
    let backend = Recorder::playing(announced).await;
    let setup = Gateway::test().timeouts("{ connect: 1s, first_byte: 300ms, read: 5s, write: 1s, idle: 5s }");
    let gateway = setup.upstream(backend.address).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let head = format!(
        "POST /orders/1 HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\nContent-Length: 4\r\n\r\n"
    );
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 103 "), "{}", answer.escape_ascii());
    stream.write_all(b"body").await.unwrap();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.escape_ascii().to_string().contains("HTTP/1.1 504 "), "{}", answer.escape_ascii());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_waits_longer_for_a_response_bears_its_silence() {
    let slow = |_: &Recorded| {
        let head = Play::bytes("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody");
        vec![Play::Body, Play::Pause(Duration::from_millis(700)), head]
    };
    let backend = Recorder::playing(slow).await;
    let policies =
        POLICIES.replacen("    limits: [generous]\n", "    limits: [generous]\n    timeouts: { first_byte: 3s }\n", 1);
    let setup = Gateway::test().policies(&policies).timeouts("{ connect: 1s, read: 300ms, write: 1s, idle: 5s }");
    let gateway = setup.upstream(backend.address).start().await;
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_outlast_the_time_of_a_whole_request() {
    let backend = Recorder::playing(script).await;
    let gateway = hurried(Gateway::test()).upstream(backend.address).start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let started = Instant::now();
    let response = gateway.request("GET", "acme", "/orders/events").bearer_auth(token).send().await.unwrap();
    let mut body = response.bytes_stream();
    let mut came = 0;
    while let Some(Ok(chunk)) = body.next().await {
        came += chunk.len();
        if came >= 25 * "data: x\n\n".len() {
            break;
        }
    }
    assert_eq!(came, 25 * "data: x\n\n".len());
    assert!(started.elapsed() > Duration::from_millis(2_400), "that was before the time was over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_has_times_of_its_own() {
    let backend = Recorder::playing(script).await;
    let policies =
        POLICIES.replacen("    limits: [generous]\n", "    limits: [generous]\n    timeouts: { read: 200ms }\n", 1);
    let gateway = Gateway::test().policies(&policies).upstream(backend.address).start().await;
    let started = Instant::now();
    assert_eq!(gateway.get("acme", "/orders/hangs").await.status, 504);
    assert!(started.elapsed() < Duration::from_secs(3), "the backend's own time is 5 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_request_counts_over_all_attempts_and_the_waits_between_them() {
    let slow_no = |_: &Recorded| {
        let no = Play::bytes("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
        vec![Play::Body, Play::Pause(Duration::from_millis(400)), no]
    };
    let backend = Recorder::playing(slow_no).await;
    let setup = Gateway::test().timeouts("{ connect: 1s, read: 5s, write: 1s, idle: 5s, request: 700ms }");
    let gateway = setup.defence(UNAVAILING).upstream(backend.address).start().await;
    let started = Instant::now();
    let came = ask(&gateway, "GET", "/orders/1").await;
    assert!(came == outcome(503, "allowed", 1, "complete") || came.reason == "upstream.timeout", "{came:?}");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert!(backend.requests().len() <= 2);
}
