use std::net::SocketAddr;

use aws_lc_rs::digest::{SHA256, digest};
use futures::{SinkExt, StreamExt};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::*;
use crate::trust::tests::Gateway;
use crate::web::{client, hex};

struct Backend {
    gateway: Gateway,
    address: SocketAddr,
    http: reqwest::Client,
}

impl Backend {
    async fn start() -> Self {
        let mut gateway = Gateway::start().await;
        let (start, mut conversations) = mpsc::channel(4);
        let router = router(gateway.trust("streams"), start);
        let address = gateway.serve(router).await;
        gateway.spawn(async move {
            while let Some(conversation) = conversations.recv().await {
                conversation.await;
            }
        });
        Self { gateway, address, http: client().unwrap().build().unwrap() }
    }

    fn request(&self, tenant: &str, method: Method, path: &str) -> RequestBuilder {
        let bare = path.split('?').next().unwrap();
        let change = json!({ "aud": "streams", "tenant": tenant });
        let mut headers = self.gateway.headers(method.as_str(), bare, &change);
        headers.insert("x-tenant-id", tenant.parse().unwrap());
        self.http.request(method, format!("http://{}{path}", self.address)).headers(headers)
    }
}

#[tokio::test]
async fn a_web_socket_echoes_text_and_bytes_and_closes() {
    let backend = Backend::start().await;
    let mut request = format!("ws://{}/stream/ws", backend.address).into_client_request().unwrap();
    request.headers_mut().extend(backend.gateway.headers("GET", "/stream/ws", &json!({ "aud": "streams" })));
    let stream = TcpStream::connect(backend.address).await.unwrap();
    let (mut socket, response) = client_async(request, stream).await.unwrap();
    assert_eq!(response.status(), 101);
    for message in [Message::text("hello"), Message::binary(vec![0, 255])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
    assert!(socket.next().await.is_none(), "the backend hangs up after the close");
}

#[tokio::test]
async fn a_web_socket_needs_an_assertion_and_a_handshake() {
    let backend = Backend::start().await;
    let stream = TcpStream::connect(backend.address).await.unwrap();
    let bare = client_async(format!("ws://{}/stream/ws", backend.address), stream).await.unwrap_err();
    assert!(matches!(bare, Error::Http(response) if response.status() == 401));
    let plain = backend.request("acme", Method::GET, "/stream/ws").send().await.unwrap();
    assert_eq!(plain.status(), StatusCode::UPGRADE_REQUIRED);
}

#[tokio::test(start_paused = true)]
async fn events_come_every_half_second_and_end() {
    let backend = Backend::start().await;
    let mut answer = backend.request("acme", Method::GET, "/stream/events").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let first = answer.chunk().await.unwrap().unwrap();
    assert_eq!(first, "event: beat\nid: 0\ndata: acme 0\n\n");
    let started = tokio::time::Instant::now();
    let rest = answer.text().await.unwrap();
    assert_eq!(rest.matches("event: beat").count() + 1, EVENTS as usize);
    assert!(started.elapsed() >= BEAT * (EVENTS - 2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_small_file_comes_back_to_its_tenant_alone() {
    let backend = Backend::start().await;
    let put = backend.request("acme", Method::PUT, "/files/2026/a.txt").body("hello").send().await.unwrap();
    assert_eq!(put.status(), StatusCode::CREATED);
    let told: Value = serde_json::from_slice(&put.bytes().await.unwrap()).unwrap();
    // printf hello | sha256sum
    assert_eq!(told["sha256"], "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    let got = backend.request("acme", Method::GET, "/files/2026/a.txt").send().await.unwrap();
    assert_eq!(got.text().await.unwrap(), "hello");
    let other = backend.request("globex", Method::GET, "/files/2026/a.txt").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn of_a_large_file_only_size_and_digest_are_kept() {
    let backend = Backend::start().await;
    let file = vec![7; 3 * 1024 * 1024];
    let sha256 = hex(digest(&SHA256, &file).as_ref());
    let put = backend.request("acme", Method::PUT, "/files/large").body(file).send().await.unwrap();
    let told: Value = serde_json::from_slice(&put.bytes().await.unwrap()).unwrap();
    assert_eq!((&told["size"], &told["sha256"]), (&json!(3 * 1024 * 1024), &json!(sha256)));
    let got = backend.request("acme", Method::GET, "/files/large").send().await.unwrap();
    assert_eq!(got.status(), StatusCode::GONE);
}

#[tokio::test]
async fn a_download_has_the_size_that_was_asked_for() {
    let backend = Backend::start().await;
    for size in [0_usize, 1, 65_536, 65_537, 5 * 1024 * 1024] {
        let answer = backend.request("acme", Method::GET, &format!("/files/any?size={size}")).send().await.unwrap();
        assert_eq!(answer.content_length(), Some(size as u64));
        assert_eq!(answer.bytes().await.unwrap().len(), size);
    }
    let large = backend.request("acme", Method::GET, "/files/any?size=99999999999").send().await.unwrap();
    assert_eq!(large.status(), StatusCode::BAD_REQUEST);
}
