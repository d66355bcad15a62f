//! `Expect: 100-continue`, HTTP/1.0, and other things that old clients do.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Gateway, GrpcBackend, raw};

/// What comes until nothing has come for a while, or the connection ends. Says whether it has ended.
async fn hear(stream: &mut TcpStream, quiet: Duration) -> (String, bool) {
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match tokio::time::timeout(quiet, stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return (String::from_utf8_lossy(&heard).into_owned(), true),
            Ok(Ok(count)) => heard.extend_from_slice(&buffer[..count]),
            Err(_) => return (String::from_utf8_lossy(&heard).into_owned(), false),
        }
    }
}

const QUIET: Duration = Duration::from_millis(400);

fn post(path: &str, token: &str, more: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_to_send_its_body_once_the_request_is_admitted() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    for (expect, length) in
        [("100-continue", "Content-Length: 4\r\n"), ("100-Continue", "Transfer-Encoding: chunked\r\n")]
    {
        let head = post("/orders/1", &token, &format!("Expect: {expect}\r\n{length}"));
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(hear(&mut stream, QUIET).await, ("HTTP/1.1 100 Continue\r\n\r\n".into(), false));
        let body = if length.starts_with('C') { "body" } else { "4\r\nbody\r\n0\r\n\r\n" };
        stream.write_all(body.as_bytes()).await.unwrap();
        let (answer, ended) = hear(&mut stream, QUIET).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("body") && !ended, "{answer}");
        assert_eq!(gateway.backend.last().field("expect"), None, "a backend that does not know it would wait");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_comes_without_the_body_and_the_connection_ends_with_it() {
    let gateway = Gateway::test().start().await;
    let viewer = gateway.token("acme", "ada", &["viewer"]);
    let clerk = gateway.token("acme", "ada", &["clerk"]);
    for (path, token, expect, status) in [
        ("/orders/1", &viewer, "100-continue", "403"),
        ("/orders/1", &"nonsense".to_string(), "100-continue", "401"),
        ("/nowhere", &clerk, "100-continue", "404"),
        ("/orders/1", &clerk, "a-miracle", "417"),
        ("/orders/1", &clerk, "100-continue, a-miracle", "417"),
    ] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        let head = post(path, token, &format!("Expect: {expect}\r\nContent-Length: 4\r\n"));
        stream.write_all(head.as_bytes()).await.unwrap();
        let started = Instant::now();
        let (answer, ended) = hear(&mut stream, Duration::from_secs(5)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
        assert!(!answer.contains("100 Continue") && ended, "{answer}");
        assert!(started.elapsed() < Duration::from_millis(800), "it does not wait for the body");
    }
    assert_eq!(gateway.backend.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_away_is_told_of_also_to_who_waits_to_send() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Gateway::test().upstream(nobody).start().await;
    let head =
        post("/orders/1", &gateway.token("acme", "ada", &["clerk"]), "Expect: 100-continue\r\nContent-Length: 4\r\n");
    let answer = raw(gateway.address, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

/// A backend that reads the head and breaks off after the client was told to go on: the answer is an answer all the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_after_100_is_whole_and_on_record() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.read(&mut [0; 16_384]).await);
        }
    });
    let gateway = Gateway::test().upstream(address).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream
        .write_all(post("/orders/1", &token, "Expect: 100-continue\r\nContent-Length: 4\r\n").as_bytes())
        .await
        .unwrap();
    let (answer, _) = hear(&mut stream, Duration::from_secs(3)).await;
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 502 "), "{answer}");
    let records = gateway.records(&["--reason", "upstream.unavailable"]);
    assert_eq!(records.finals()[0]["status"], 502);
}

fn old(method: &str, path: &str, token: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.0\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_1_0_gets_what_it_can_read() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);

    // A body without a length ends with the connection, unchunked.
    let (answer, ended) = once(&gateway, &old("GET", "/orders/stream", &token, "")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && ended, "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("transfer-encoding"), "{answer}");
    assert!(answer.ends_with("\r\n\r\ndata: 0\n\ndata: 1\n\ndata: 2\n\n"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");

    // So it does where the client wants to keep the connection, which it may where there is a length.
    let keep = "Connection: keep-alive\r\n";
    let (answer, ended) = once(&gateway, &old("GET", "/orders/stream", &token, keep)).await;
    assert!(answer.ends_with("data: 2\n\n") && ended, "{answer}");
    let (answer, ended) = once(&gateway, &old("GET", "/orders/1", &token, keep)).await;
    assert!(answer.to_ascii_lowercase().contains("connection: keep-alive") && !ended, "{answer}");
    let (answer, ended) = once(&gateway, &old("GET", "/orders/1", &token, "")).await;
    assert!(answer.to_ascii_lowercase().contains("connection: close") && ended, "{answer}");

    // It knows no 100 (RFC 9110 §10.1.1): its expectation counts for nothing, and it has sent its body.
    let expects = "Expect: 100-continue\r\nContent-Length: 4\r\n";
    let (answer, _) = once(&gateway, &format!("{}body", old("POST", "/orders/1", &token, expects))).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("body"), "{answer}");

    // RFC 9112 lets it leave out `Host`. We do not: nobody would know whose request it is.
    let (answer, _) = once(&gateway, &format!("GET /orders/1 HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(gateway.records(&["--reason", "request.malformed.host"]).finals()[0]["proto"], "1.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_of_http_1_0_could_not_read_is_not_sent() {
    let backend = GrpcBackend::start().await;
    let public = r#"
routes:
  - { id: calls, match: { host: "*", path: "/orders.Orders/**" }, upstream: backend, auth: none }
"#;
    let gateway = Gateway::test().policies(public).h2c(backend.address).start().await;
    let (answer, ended) = once(&gateway, &old("GET", "/orders.Orders/List", "", "")).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && ended, "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("transfer-encoding"), "{answer}");
}

async fn once(gateway: &Gateway, request: &str) -> (String, bool) {
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    hear(&mut stream, Duration::from_millis(700)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_a_body_in_their_answer_and_requests_in_a_row_keep_to_their_bounds() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let one = |method: &str, path: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    // All at once: each is answered in its turn, and none twice.
    let all = [one("HEAD", "/orders/1"), one("GET", "/nowhere"), one("OPTIONS", "/orders/1"), one("GET", "/orders/2")];
    let (answer, ended) = once(&gateway, &all.concat()).await;
    let statuses: Vec<_> = answer.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect();
    assert_eq!((statuses.as_slice(), ended), (["200", "404", "200", "200"].as_slice(), false), "{answer}");
    let head = answer.split_once("HTTP/1.1 404 ").unwrap().0;
    assert!(head.ends_with("\r\n\r\n"), "HEAD has no body: {head}");
    // TRACE would echo the token.
    let (answer, _) = once(&gateway, &one("TRACE", "/orders/1")).await;
    assert!(answer.starts_with("HTTP/1.1 405 ") && !answer.contains(&token), "{answer}");
}
