//! A request that could be read in two ways is not read at all.

use crate::harness::{Gateway, raw};

/// What is sent in place of the path, and the reason that the log gives.
const PATHS: [(&str, &str); 19] = [
    ("/orders/../admin", "request.malformed.path.dot_segment"),
    ("/orders/./1", "request.malformed.path.dot_segment"),
    ("/orders/%2e%2e/admin", "request.malformed.path.dot_segment"),
    ("/orders/%2E./admin", "request.malformed.path.dot_segment"),
    ("/orders/..", "request.malformed.path.dot_segment"),
    ("/orders%2fadmin", "request.malformed.path.encoded_slash"),
    ("/orders/%2F", "request.malformed.path.encoded_slash"),
    ("/orders%5cadmin", "request.malformed.path.backslash"),
    ("/orders/%00", "request.malformed.path.control"),
    ("/orders/%0d%0aX:1", "request.malformed.path.control"),
    ("/orders/%252e%252e/admin", "request.malformed.path.double_encoding"),
    ("//orders/1", "request.malformed.path.empty_segment"),
    ("/orders//1", "request.malformed.path.empty_segment"),
    ("/orders;tenant=globex/1", "request.malformed.path.parameters"),
    ("/orders/%3bx", "request.malformed.path.parameters"),
    ("/orders/%ff", "request.malformed.path.utf8"),
    ("/orders/%c0%ae", "request.malformed.path.utf8"),
    ("/orders/%4", "request.malformed.path.encoding"),
    ("/orders/%zz", "request.malformed.path.encoding"),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_path_is_refused_with_its_own_reason_whoever_asks() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    for (path, reason) in PATHS {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        let answer = raw(gateway.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        assert!(!gateway.records(&["--reason", reason]).finals().is_empty(), "{path} is not {reason}");
    }
    assert!(gateway.backend.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_with_two_readings_are_refused() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let good = format!("Host: acme.example.test\r\nAuthorization: Bearer {token}\r\n");
    let heads = [
        ("no host", "GET /orders/1 HTTP/1.1\r\n\r\n".to_string()),
        ("two hosts", format!("GET /orders/1 HTTP/1.1\r\n{good}Host: globex.example.test\r\n\r\n")),
        (
            "a host that is none",
            format!("GET /orders/1 HTTP/1.1\r\nHost: a/b?c\r\nAuthorization: Bearer {token}\r\n\r\n"),
        ),
        ("two tokens", format!("GET /orders/1 HTTP/1.1\r\n{good}Authorization: Bearer {token}\r\n\r\n")),
        ("two lengths", format!("POST /orders/1 HTTP/1.1\r\n{good}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx")),
        ("a list of lengths", format!("POST /orders/1 HTTP/1.1\r\n{good}Content-Length: 1, 1\r\n\r\nx")),
        ("a signed length", format!("POST /orders/1 HTTP/1.1\r\n{good}Content-Length: +1\r\n\r\nx")),
        (
            "a length and a coding",
            format!(
                "POST /orders/1 HTTP/1.1\r\n{good}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
        ),
        (
            "another coding",
            format!("POST /orders/1 HTTP/1.1\r\n{good}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "chunked in HTTP/1.0",
            format!("POST /orders/1 HTTP/1.0\r\n{good}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        ("trace", format!("TRACE /orders/1 HTTP/1.1\r\n{good}\r\n")),
        ("connect", format!("CONNECT acme.example.test:443 HTTP/1.1\r\n{good}\r\n")),
        ("a method in lower case", format!("get /orders/1 HTTP/1.1\r\n{good}\r\n")),
        (
            "an upgrade to nothing we know",
            format!("GET /orders/1 HTTP/1.1\r\n{good}Connection: upgrade\r\nUpgrade: x\r\n\r\n"),
        ),
        ("an upgrade to h2c", format!("GET /orders/1 HTTP/1.1\r\n{good}Connection: upgrade\r\nUpgrade: h2c\r\n\r\n")),
        ("a folded line", format!("GET /orders/1 HTTP/1.1\r\n{good}X: a\r\n b\r\n\r\n")),
        ("a bare line feed", format!("GET /orders/1 HTTP/1.1\n{}\n", good.replace('\r', ""))),
        ("another authority", format!("GET http://globex.example.test/orders/1 HTTP/1.1\r\n{good}\r\n")),
        ("no method", "\u{1}\u{2}\u{3}\r\n\r\n".to_string()),
    ];
    for (what, head) in heads {
        let answer = raw(gateway.address, head.as_bytes()).await;
        let refused =
            ["HTTP/1.1 400 ", "HTTP/1.1 405 ", "HTTP/1.0 400 "].iter().any(|status| answer.starts_with(status));
        assert!(refused, "{what}: {answer:?}");
    }
    assert!(gateway.backend.seen().is_empty(), "{:?}", gateway.backend.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_shape_of_a_request_skips_a_check() {
    let gateway = Gateway::test().start().await;
    let shapes = [
        "GET /socket HTTP/1.1\r\nHost: acme.example.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "OPTIONS /orders/1 HTTP/1.1\r\nHost: acme.example.test\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: GET\r\nConnection: close\r\n\r\n",
        "HEAD /orders/1 HTTP/1.1\r\nHost: acme.example.test\r\nConnection: close\r\n\r\n",
        "GET /orders/1 HTTP/1.0\r\nHost: acme.example.test\r\n\r\n",
        "GET /orders/1 HTTP/1.1\r\nHost: acme.example.test\r\nExpect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
        "GET http://acme.example.test/orders/1 HTTP/1.1\r\nHost: acme.example.test\r\nConnection: close\r\n\r\n",
        "PURGE /orders/1 HTTP/1.1\r\nHost: acme.example.test\r\nConnection: close\r\n\r\n",
    ];
    for shape in shapes {
        let answer = raw(gateway.address, shape.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["401", "405"].contains(&status), "{shape}\n{answer}");
    }
    assert!(gateway.backend.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_receives_the_path_that_was_judged() {
    let gateway = Gateway::test().start().await;
    for (sent, received) in [
        ("/orders/1?a=b%20c&d", "/orders/1?a=b%20c&d"),
        ("/orders/%41%7e", "/orders/A~"),
        ("/orders/caf%c3%a9", "/orders/caf%C3%A9"),
        ("/orders/", "/orders/"),
    ] {
        assert_eq!(gateway.get("acme", sent).await.status, 200, "{sent}");
        assert_eq!(gateway.backend.last().uri.to_string(), received);
    }
}
