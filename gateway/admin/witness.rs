use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse as _;
use axum::routing::post;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::Bound;

/// The longest body, in bytes: a checkpoint with all signatures that it may have, and 63 hashes.
const BODY: usize = 64 * 1024;

/// How many are heard at once.
const AT_ONCE: usize = 16;

/// Answers logs that want to be witnessed (C2SP tlog-witness). It may wait for a disk.
pub trait Witnessing: Send + Sync {
    /// The status, the type of the body, and the body.
    fn add_checkpoint(&self, body: &[u8]) -> (u16, &'static str, String);
}

/// A listener that shows `POST /add-checkpoint`, and nothing else.
///
/// # Errors
/// When the system does not let the socket be used.
pub fn witness(listener: TcpListener, witness: Arc<dyn Witnessing>) -> io::Result<Bound> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let router = Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route_layer(DefaultBodyLimit::max(BODY))
        .route_layer(from_fn_with_state(places, in_turn))
        .with_state(witness);
    Bound::of(listener, router)
}

async fn in_turn(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> axum::response::Response {
    match places.try_acquire() {
        Ok(_place) => next.run(request).await,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, HeaderValue::from_static("1"))]).into_response(),
    }
}

async fn add_checkpoint(State(witness): State<Arc<dyn Witnessing>>, body: Bytes) -> axum::response::Response {
    let said = spawn_blocking(move || witness.add_checkpoint(&body)).await;
    let Ok((status, kind, body)) = said else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let response = Response::builder().status(status).header(CONTENT_TYPE, kind).body(body.into());
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
