//! Bodies that the signature of their request covers (RFC 9530).

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Gateway, H2Recorder, POLICIES, Recorded, Recorder, Setup, raw};

/// The most that a route can have covered.
const MOST: usize = 64 << 10;

const KEY: &str = "a key of its own, fedcba9876543210";

fn policies() -> String {
    let route = |id: &str, path: &str, more: &str| {
        format!(
            r#"  - id: {id}
    match: {{ host: "{{tenant}}.example.test", path: "{path}" }}
    upstream: backend
    auth: {{ issuers: [main], tenant_from: [token, host] }}
    allow: {{ "*": "order:read" }}
    {more}
"#
        )
    };
    let covered = route("covered", "/covered/**", "body_digest: 64KiB");
    let small = route("small", "/small", "body_digest: 10B\n    max_body: 100B");
    format!("{POLICIES}{covered}{small}")
}

fn setup() -> Setup {
    let assertion = "assertion: { binding: reuse, key: \"${env:BACKEND_KEY}\" }";
    Gateway::test().policies(&policies()).listener("h2c: true").environment("BACKEND_KEY", KEY).defence(assertion)
}

fn sha256(body: &[u8]) -> String {
    format!("sha-256=:{}:", BASE64_STANDARD.encode(digest(&SHA256, body)))
}

/// A request as it goes over the wire. `chunks`: how many it comes in.
fn http1(gateway: &Gateway, line: &str, fields: &str, body: &[u8], chunks: Option<usize>) -> Vec<u8> {
    let token = gateway.token("acme", "ada", &["viewer"]);
    let framing = match chunks {
        Some(_) => "Transfer-Encoding: chunked".to_owned(),
        None => format!("Content-Length: {}", body.len()),
    };
    let head = format!(
        "{line} HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\n{fields}{framing}\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    match chunks {
        None => bytes.extend_from_slice(body),
        Some(chunks) => {
            for chunk in body.chunks(body.len().div_ceil(chunks).max(1)) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
    }
    bytes
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

/// The body that a backend got is the one of the digest that it was told, and the signature covers that.
fn is_covered(request: &Recorded, body: &[u8], what: &str) {
    assert_eq!((request.body == body, request.whole), (true, true), "{what}: {} bytes", request.body.len());
    if !body.is_empty() {
        assert_eq!(request.field("content-length"), Some(body.len().to_string()), "{what}");
    }
    assert_eq!(request.field("transfer-encoding"), None, "{what}");
    assert_eq!(request.field("content-digest"), Some(sha256(body)), "{what}");
    let input = request.field("signature-input").unwrap();
    assert!(input.contains("\"x-cloister-assertion\" \"content-digest\");"), "{what}: {input}");
}

fn last(gateway: &Gateway, reason: &str) -> Value {
    let records = gateway.records(&["--reason", reason]);
    (*records.finals().last().unwrap()).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_gets_the_very_bytes_that_the_signature_covers_and_nothing_of_a_body_that_is_too_long() {
    let backend = Recorder::start().await;
    let gateway = setup().upstream(backend.address).start().await;
    let http2 = reqwest::Client::builder().http2_prior_knowledge().resolve("acme.example.test", gateway.address);
    let http2 = http2.build().unwrap();
    for size in [0, 1, 1000, MOST, MOST + 1] {
        let body: Vec<u8> = (0..size).map(|index| u8::try_from(index % 251).unwrap()).collect();
        for way in ["length", "chunked", "in many chunks", "GET", "http/2 with length", "http/2"] {
            let what = format!("{size} bytes, {way}");
            let before = backend.requests().len();
            let expected = if size > MOST { 413 } else { 200 };
            let got = if way.starts_with("http/2") {
                let pieces: Vec<_> = body.chunks(10_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
                let url = format!("http://acme.example.test:{}/covered/1", gateway.address.port());
                let request = http2.post(url).bearer_auth(gateway.token("acme", "ada", &["viewer"]));
                let request = match way {
                    "http/2" => request.body(reqwest::Body::wrap_stream(futures::stream::iter(pieces))),
                    _ => request.body(body.clone()),
                };
                request.send().await.unwrap().status().as_u16()
            } else {
                let line = if way == "GET" { "GET /covered/1?a=b" } else { "POST /covered/1" };
                let chunks = match way {
                    "chunked" => Some(1),
                    "in many chunks" => Some(1000),
                    _ => None,
                };
                status(&raw(gateway.address, &http1(&gateway, line, "", &body, chunks)).await)
            };
            assert_eq!(got, expected, "{what}");
            let requests = backend.requests();
            assert_eq!(requests.len() - before, usize::from(expected == 200), "{what}");
            if expected == 200 {
                is_covered(requests.last().unwrap(), &body, &what);
                assert_eq!(last(&gateway, "allowed")["in"], size, "{what}");
            }
        }
    }
    let refused = gateway.records(&["--reason", "request.malformed.body_beyond_digest"]);
    assert_eq!(refused.finals().len(), 6);
    assert!(refused.finals().iter().all(|record| record["attempts"].as_u64().unwrap_or(0) == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_a_backend_gets_the_same() {
    let backend = H2Recorder::start().await;
    let gateway =
        setup().policies(&policies().replace("    upgrade: websocket\n", "")).h2c(backend.address).start().await;
    for (size, chunks) in [(0, None), (1, None), (MOST, None), (0, Some(1)), (MOST, Some(3))] {
        let body = vec![b'x'; size];
        let answer = raw(gateway.address, &http1(&gateway, "PUT /covered/1", "", &body, chunks)).await;
        assert_eq!(status(&answer), 200, "{size} {chunks:?}: {answer}");
        is_covered(backend.requests().last().unwrap(), &body, &format!("{size} {chunks:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_says_of_its_body_is_compared_and_no_backend_hears_of_it() {
    let backend = Recorder::start().await;
    let gateway = setup().upstream(backend.address).start().await;
    let body = b"{\"hello\": \"world\"}\n";
    let (right, wrong) = (sha256(body), sha256(b"another"));
    let longer = format!("sha-512=:{}:", BASE64_STANDARD.encode(digest(&SHA512, body)));
    for (claim, expected) in [
        (right.clone(), 200),
        (longer.clone(), 200),
        (format!("{longer}, {right}"), 200),
        ("md5=:AAAA:".into(), 200), // proves nothing, and is gone
        (wrong.clone(), 400),
        (format!("{longer}, {wrong}"), 400),
        (format!("{right}\r\nContent-Digest: {wrong}"), 400),
        ("nonsense".into(), 400),
    ] {
        let before = backend.requests().len();
        let fields = format!(
            "Content-Digest: {claim}\r\nRepr-Digest: {wrong}\r\nDigest: SHA-256=nonsense\r\nWant-Content-Digest: sha-256=1\r\n"
        );
        let answer = raw(gateway.address, &http1(&gateway, "POST /covered/1", &fields, body, None)).await;
        assert_eq!(status(&answer), expected, "{claim}: {answer}");
        let requests = backend.requests();
        assert_eq!(requests.len() - before, usize::from(expected == 200), "{claim}");
        if expected == 200 {
            let request = requests.last().unwrap();
            is_covered(request, body, &claim);
            assert_eq!(request.field("repr-digest").or(request.field("digest")), None, "{claim}");
            assert_eq!(request.field("want-content-digest").as_deref(), Some("sha-256=1"), "it asks of the answer");
        }
    }
    let refused = gateway.records(&["--reason", "request.malformed.digest"]);
    assert_eq!(refused.finals().len(), 4);

    // On other routes these fields are the client's own, as every other.
    let fields = format!("Content-Digest: {wrong}\r\n");
    let answer = raw(gateway.address, &http1(&gateway, "GET /orders/1", &fields, body, None)).await;
    assert_eq!(status(&answer), 200);
    let request = backend.requests().pop().unwrap();
    assert_eq!(request.field("content-digest"), Some(wrong));
    assert!(!request.field("signature-input").unwrap().contains("content-digest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bound_is_that_of_the_route_and_who_is_not_admitted_is_not_read() {
    let backend = Recorder::start().await;
    let gateway = setup().upstream(backend.address).start().await;
    for (size, chunks, expected, reason) in [
        (10, None, 200, "allowed"),
        (10, Some(2), 200, "allowed"),
        (11, None, 413, "request.malformed.body_beyond_digest"),
        (11, Some(2), 413, "request.malformed.body_beyond_digest"),
        (101, None, 413, "request.malformed.body_too_large"),
    ] {
        let bytes = http1(&gateway, "POST /small", "", &vec![b'x'; size], chunks);
        let answer = raw(gateway.address, &bytes).await;
        assert_eq!(status(&answer), expected, "{size} {chunks:?}");
        assert_eq!(
            last(&gateway, reason)["tenant"].as_str(),
            (reason != "request.malformed.body_too_large" && (chunks.is_some() || expected == 200)).then_some("acme")
        );
    }
    // Without a token the answer comes while the body is still on its way.
    let head = "POST /small HTTP/1.1\r\nHost: acme.example.test\r\nContent-Length: 10\r\n\r\n";
    assert_eq!(status(&raw(gateway.address, head.as_bytes()).await), 401);
    assert_eq!(backend.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_is_told_to_send_and_the_connection_goes_on_behind_it() {
    let backend = Recorder::start().await;
    let gateway = setup().upstream(backend.address).start().await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    for _ in 0..2 {
        let whole = http1(&gateway, "POST /covered/1", "Expect: 100-continue\r\n", b"hello", None);
        let (head, body) = whole.split_at(whole.len() - 5);
        stream.write_all(head).await.unwrap();
        let mut told = [0; 25];
        stream.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(gateway.metric("cloister_journal_open"), 1.0, "it is admitted");
        // What follows comes with it, as clients may send it.
        let next = http1(&gateway, "POST /covered/2", "", b"next", Some(2));
        stream.write_all(&[body, &next].concat()).await.unwrap();
        let mut heard = String::new();
        while heard.matches("HTTP/1.1 200 OK").count() < 2 || !heard.ends_with("ok") {
            let mut buffer = [0; 4096];
            let count = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await.unwrap().unwrap();
            assert!(count > 0, "{heard}");
            heard.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        assert!(!heard.contains("100 Continue"), "{heard}");
    }
    let bodies: Vec<_> = backend.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, [&b"hello"[..], b"next", b"hello", b"next"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_reaches_no_backend_and_its_record_says_why() {
    let backend = Recorder::start().await;
    let gateway = setup().upstream(backend.address).guard("{ body_grace: 300ms }").start().await;
    // A slow one, one that breaks off, one that is no body.
    for framing in ["Content-Length: 1000\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let token = gateway.token("acme", "ada", &["viewer"]);
        let head = format!(
            "POST /covered/1 HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\n{framing}"
        );
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert_eq!(status(&answer), 408, "{answer}");
        assert_eq!(last(&gateway, "request.malformed.timeout")["in"], 5);

        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        drop(stream);
    }
    let bad = http1(&gateway, "POST /covered/1", "", b"hello", Some(1));
    let bad = String::from_utf8(bad).unwrap().replace("\r\n5\r\n", "\r\nfive\r\n");
    assert_eq!(status(&raw(gateway.address, bad.as_bytes()).await), 400);
    let reasons = |reason: &str| gateway.records(&["--reason", reason]).finals().len();
    assert_eq!((reasons("request.malformed.timeout"), reasons("request.malformed.framing")), (2, 1));
    gateway.eventually("who has gone is on record", || {
        let records = gateway.records(&["--reason", "allowed"]);
        records.finals().iter().filter(|record| record["end"] == "client_gone").count() == 2
    });
    assert_eq!(backend.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_a_body_that_does_not_come_ends_its_request_alone() {
    let backend = Recorder::start().await;
    let gateway = setup().upstream(backend.address).guard("{ body_grace: 300ms }").start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    drop(tokio::spawn(connection));
    let request = |fields: &[(&str, &str)]| {
        let request = http::Request::post("http://acme.example.test/covered/1");
        let request = request.header("authorization", format!("Bearer {token}"));
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(()).unwrap()
    };
    // A call of gRPC may be silent elsewhere; here somebody waits for the whole of it.
    for fields in [&[][..], &[("content-type", "application/grpc")]] {
        let mut send = send.clone().ready().await.unwrap();
        let (response, mut body) = send.send_request(request(fields), false).unwrap();
        body.send_data("hello".into(), false).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), response).await.unwrap();
        assert!(ended.is_err(), "{fields:?}: the stream is reset, and not answered");
    }
    let mut send = send.ready().await.unwrap();
    let (response, mut body) = send.send_request(request(&[]), false).unwrap();
    body.send_data("hello".into(), false).unwrap();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("content-digest", "sha-256=:AAAA:".parse().unwrap());
    body.send_trailers(trailers).unwrap();
    assert_eq!(response.await.unwrap().status(), 200, "the connection goes on");
    is_covered(&backend.requests()[0], b"hello", "with trailers");
    let late = gateway.records(&["--reason", "request.malformed.timeout"]);
    assert_eq!(late.finals().len(), 2);
    assert_eq!((&late.finals()[0]["in"], &late.finals()[0]["tenant"]), (&5.into(), &"acme".into()));
    assert_eq!(backend.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_request_counts_while_its_body_comes_and_is_not_blamed_on_the_backend() {
    let backend = Recorder::start().await;
    let setup = setup().upstream(backend.address);
    let gateway = setup.timeouts("{ connect: 1s, read: 5s, write: 5s, idle: 5s, request: 500ms }").start().await;
    let whole = http1(&gateway, "POST /covered/1", "", b"hello", None);
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(&whole[..whole.len() - 1]).await.unwrap();
    let mut answer = Vec::new();
    let _ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
    gateway.eventually("it is over", || gateway.metric("cloister_journal_open") == 0.0);
    assert_eq!(last(&gateway, "request.malformed.timeout")["in"], 4);
    assert_eq!(backend.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_address_gets_the_same_bytes() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let backend = Recorder::start().await;
    let gateway = setup().addresses(&[nobody, backend.address]).defence("retries: { per_second: 1000 }").start().await;
    let body = vec![b'z'; MOST];
    let mut again = 0;
    for _ in 0..6 {
        let answer = raw(gateway.address, &http1(&gateway, "POST /covered/1", "", &body, Some(7))).await;
        assert_eq!(status(&answer), 200, "{answer}");
        is_covered(backend.requests().last().unwrap(), &body, "after an address that is away");
        let record = last(&gateway, "allowed");
        assert_eq!(record["in"], MOST);
        again += usize::from(record["attempts"] == 2);
    }
    assert!(again > 0, "some were tried twice");
}
