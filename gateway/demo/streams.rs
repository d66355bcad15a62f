use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, Stream, StreamExt, stream};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::files;
use crate::trust::{Identity, Trust, believe};
use crate::web::problem;

/// How long a WebSocket may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest WebSocket message, in bytes.
const MESSAGE: usize = 1024 * 1024;
/// How many events a stream of events has, and how long it waits before each but the first.
const EVENTS: u32 = 20;
const BEAT: Duration = Duration::from_millis(500);

/// Conversations that go on after their handshake was answered. Whoever runs the backend drives them; a full queue is
/// answered 503.
pub(crate) type Conversations = mpsc::Sender<BoxFuture<'static, ()>>;

/// A backend whose answers do not end at once: WebSocket echo, server-sent events, large files both ways.
pub(crate) fn router(trust: Arc<Trust>, conversations: Conversations) -> Router {
    Router::new()
        .route("/stream/ws", get(echo).with_state(conversations))
        .route("/stream/events", get(events))
        .merge(files::router())
        .layer(from_fn_with_state(trust, believe))
        .route("/healthz", get(async || Json(json!({ "status": "ok" }))))
}

/// The server's half of RFC 6455 §4.2.
async fn echo(State(conversations): State<Conversations>, mut request: Request) -> Response {
    let Some(accept) = accept(request.headers()) else {
        return problem(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket endpoint");
    };
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return problem(StatusCode::UPGRADE_REQUIRED, "this connection cannot be upgraded");
    };
    if conversations.try_send(converse(upgrade).boxed()).is_err() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "too many conversations start at once");
    }
    let headers = [
        (UPGRADE, HeaderValue::from_static("websocket")),
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let upgrade = headers.get(UPGRADE)?.to_str().ok()?;
    let version = headers.get(SEC_WEBSOCKET_VERSION)?;
    let key = headers.get(SEC_WEBSOCKET_KEY)?;
    let asked = upgrade.eq_ignore_ascii_case("websocket") && version == "13";
    asked.then(|| derive_accept_key(key.as_bytes()).parse().ok()).flatten()
}

/// Sends every message back until the other side closes, breaks off or falls silent.
async fn converse(upgrade: OnUpgrade) {
    let Ok(connection) = upgrade.await else { return };
    let bounds = WebSocketConfig::default().max_message_size(Some(MESSAGE)).max_frame_size(Some(MESSAGE));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, Some(bounds)).await;
    while let Ok(Some(Ok(message))) = timeout(SILENCE, socket.next()).await {
        let sent = match message {
            Message::Text(_) | Message::Binary(_) => timeout(SILENCE, socket.send(message)).await,
            // The library answers pings and the other side's close by itself, with the next read.
            Message::Close(_) | Message::Frame(_) | Message::Ping(_) | Message::Pong(_) => continue,
        };
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

async fn events(Extension(who): Extension<Identity>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let beat = tokio::time::interval(BEAT);
    let events = stream::unfold((beat, 0), move |(mut beat, number)| {
        let tenant = who.tenant.clone();
        async move {
            if number == EVENTS {
                return None;
            }
            beat.tick().await;
            let event = Event::default().event("beat").id(number.to_string()).data(format!("{tenant} {number}"));
            Some((Ok(event), (beat, number + 1)))
        }
    });
    Sse::new(events)
}

#[cfg(test)]
mod tests;
