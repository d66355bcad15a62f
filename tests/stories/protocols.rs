//! Whatever HTTP carries is carried through, in constant memory, to its end.

use std::time::Instant;

use futures::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::harness::{Answer, Gateway, raw};

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_echoes_through_and_its_record_ends_with_it() {
    let gateway = Gateway::test().start().await;
    let mut request = format!("ws://{}/socket", gateway.address).into_client_request().unwrap();
    let token = gateway.token("acme", "ada", &["viewer"]);
    request.headers_mut().insert("host", "acme.example.test".parse().unwrap());
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());

    let (mut socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    for text in ["one", "two", "three"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}

    let id = response.headers()["x-request-id"].to_str().unwrap().to_string();
    gateway.eventually("the record is final", || gateway.records(&["--id", &id]).finals().len() == 1);
    assert_eq!(gateway.records(&["--id", &id]).of(&id)["status"], 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_refused_where_the_route_does_not_allow_it() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let request = format!(
        "GET /orders/1 HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\nConnection: upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    assert!(raw(gateway.address, request.as_bytes()).await.starts_with("HTTP/1.1 400 "));
    assert_eq!(gateway.records(&["--reason", "request.malformed.upgrade"]).finals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_one_by_one_and_not_all_at_the_end() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let response = gateway.request("GET", "acme", "/orders/stream").bearer_auth(token).send().await.unwrap();
    let started = Instant::now();
    let mut first = None;
    let mut text = String::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        first.get_or_insert_with(|| started.elapsed());
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    assert_eq!(text, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    assert!(first.unwrap() < started.elapsed(), "the first event came before the last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_passes_and_the_gateway_does_not_keep_it() {
    let mut gateway = Gateway::test().start().await;
    let before = resident(gateway.process().id());
    let token = gateway.token("acme", "ada", &["clerk"]);
    let chunks = futures::stream::iter((0..960).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 65_536])));
    let body = reqwest::Body::wrap_stream(chunks);
    let answer = gateway.send(gateway.request("PUT", "acme", "/upload").bearer_auth(token).body(body)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), (960 * 65_536).to_string());
    let grown = resident(gateway.process().id()).saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes more after 60 MiB");
}

/// Resident memory of a process, in bytes.
fn resident(id: i32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_routes_bound_is_refused_declared_or_not() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let declared = gateway.request("POST", "acme", "/orders/1").bearer_auth(&token).body(vec![b'x'; 11 << 20]);
    if let Ok(response) = declared.send().await {
        assert_eq!(Answer::read(response).await.status, 413);
    }
    let chunks = futures::stream::iter((0..176).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 65_536])));
    let chunked =
        gateway.request("POST", "acme", "/orders/1").bearer_auth(&token).body(reqwest::Body::wrap_stream(chunks));
    if let Ok(response) = chunked.send().await {
        assert_eq!(response.status().as_u16(), 413);
    }
    let refused = gateway.records(&["--reason", "request.malformed.body_too_large"]);
    assert_eq!(refused.finals().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_over_tls_takes_the_same_way() {
    let gateway = Gateway::test().tls().start().await;
    let client = reqwest::Client::builder()
        .danger_accept_invalid_certs(true)
        .resolve("acme.example.test", gateway.tls_address.unwrap())
        .resolve("globex.example.test", gateway.tls_address.unwrap())
        .build()
        .unwrap();
    let port = gateway.tls_address.unwrap().port();
    let token = gateway.token("acme", "ada", &["viewer"]);
    let url = |tenant: &str| format!("https://{tenant}.example.test:{port}/orders/1");

    let response = client.get(url("acme")).bearer_auth(&token).send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(response.status(), 200);
    assert_eq!(gateway.backend.last().field("x-tenant-id"), Some("acme"));
    assert_eq!(gateway.backend.last().field("x-forwarded-proto"), Some("https"));

    let response = client.get(url("globex")).bearer_auth(&token).send().await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(client.get(url("acme")).send().await.unwrap().status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_client_is_told_in_its_own_words() {
    let gateway = Gateway::test().start().await;
    let request = gateway.request("POST", "acme", "/orders/1").header("content-type", "application/grpc").body("x");
    let answer = gateway.send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("grpc-status"), Some("16"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_many_requests_and_a_refusal_does_not_end_it() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let one =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\n\r\n");
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    for (path, status) in [("/orders/1", "200"), ("/nowhere", "404"), ("/orders/2", "200"), ("/limited", "200")] {
        stream.write_all(one(path).as_bytes()).await.unwrap();
        let mut buffer = vec![0; 16_384];
        let mut answer = String::new();
        loop {
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "the connection ended after {path}");
            answer.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
            let whole = answer.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let head = head.to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                length.map_or(body.ends_with("0\r\n\r\n"), |length| body.len() >= length.parse().unwrap())
            });
            if whole {
                break;
            }
        }
        assert_eq!(answer.split(' ').nth(1), Some(status), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_away_or_late_is_told_as_such() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Gateway::test().upstream(nobody).start().await;
    let answer = gateway.get("acme", "/orders/1").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unavailable"));
    let record = gateway.records(&[]);
    let record = record.of(&answer.request_id());
    assert_eq!(record["reason"], "upstream.unavailable");
    assert_eq!(record["attempts"], 3, "a connection that never stood is tried twice more");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_without_tls_is_served_where_a_listener_says_so_and_judged_like_any_other() {
    let gateway = Gateway::test().listener("h2c: true").start().await;
    let host = "acme.example.test";
    let client = reqwest::Client::builder().http2_prior_knowledge().resolve(host, gateway.address).build().unwrap();
    let url = format!("http://{host}:{}/orders/1", gateway.address.port());
    for (token, status) in [(Some(gateway.token("acme", "ada", &["viewer"])), 200), (None, 401)] {
        let mut request = client.get(&url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (status, reqwest::Version::HTTP_2));
    }
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200, "HTTP/1.1 is still spoken");
    assert_eq!(gateway.records(&[]).finals().len(), 3);
}
