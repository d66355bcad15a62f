//! A backend that remembers what it saw.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use futures::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

/// One request as it reached the backend.
#[derive(Clone, Debug)]
pub struct Seen {
    pub uri: Uri,
    pub fields: HeaderMap,
}

impl Seen {
    /// The only value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.get_all(name).iter();
        let first = values.next()?;
        assert!(values.next().is_none(), "`{name}` reached the backend twice");
        Some(first.to_str().unwrap())
    }
}

/// A backend on a free port.
#[derive(Clone, Debug)]
pub struct Backend {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Backend {
    pub async fn start() -> Self {
        let seen = Arc::default();
        let router = Router::new()
            .route("/socket", get(echo))
            .route("/upload", any(count))
            .route("/orders/stream", get(stream))
            .route("/orders/slow", any(slow))
            .route("/long/socket", get(echo))
            .route("/long/events", get(events))
            .route("/long/download", get(download))
            .route("/long/upload", any(count))
            .route("/long/leaves/{kind}", get(leaves))
            .route("/orders/hangs", get(std::future::pending::<()>))
            .fallback(remember)
            .with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen }
    }

    /// Every request that got here, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The latest request that got here.
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("no request reached the backend")
    }
}

async fn remember(State(seen): State<Arc<Mutex<Vec<Seen>>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    let status = head.uri.query().and_then(|query| query.strip_prefix("status=")).and_then(|code| code.parse().ok());
    seen.lock().unwrap().push(Seen { uri: head.uri, fields: head.headers });
    let fields = [("server", "legacy/1.0"), ("x-cloister-forged", "by the backend")];
    (status.unwrap_or(StatusCode::OK), fields, if body.is_empty() { Bytes::from_static(b"ok") } else { body })
        .into_response()
}

async fn echo(mut request: Request) -> Response {
    let key = request.headers()["sec-websocket-key"].as_bytes();
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key);
    let upgrade = hyper::upgrade::on(&mut request);
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    tokio::spawn(async move {
        let stream = hyper_util::rt::TokioIo::new(upgrade.await.expect("the gateway upgrades"));
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                break;
            }
        }
    });
    let fields = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", &accept)];
    (StatusCode::SWITCHING_PROTOCOLS, fields).into_response()
}

async fn count(body: Body) -> String {
    let mut total = 0;
    let mut chunks = body.into_data_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        total += chunk.len();
    }
    total.to_string()
}

/// Three events, 50 ms apart.
async fn stream() -> Response {
    let events = futures::stream::unfold(0, async |number| {
        if number == 3 {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        Some((Ok::<_, std::convert::Infallible>(format!("data: {number}\n\n")), number + 1))
    });
    ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
}

/// One event, and then silence.
async fn events() -> Response {
    let first = futures::stream::iter([Ok::<_, std::io::Error>("data: 0\n\n")]);
    let body = Body::from_stream(first.chain(futures::stream::pending()));
    ([("content-type", "text/event-stream")], body).into_response()
}

/// 100,000 bytes of a million, and then silence.
async fn download() -> Response {
    let first = futures::stream::iter([Ok::<_, std::io::Error>(vec![b'x'; 100_000])]);
    ([("content-length", "1000000")], Body::from_stream(first.chain(futures::stream::pending()))).into_response()
}

/// What breaks off in the middle after a second and a half.
async fn leaves(Path(kind): Path<String>) -> Response {
    let breaks = futures::stream::once(async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        Err(std::io::Error::other("on purpose"))
    });
    let first = futures::stream::iter([Ok::<_, std::io::Error>("data: 0\n\n")]);
    let content_type = if kind == "events" { "text/event-stream" } else { "text/plain" };
    ([("content-type", content_type)], Body::from_stream(first.chain(breaks))).into_response()
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_millis(500)).await;
    "slow"
}
