use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use secrets::Kept;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::AdminToken;
use crate::operations::shown;
use crate::pages::problem;

/// The longest body, in bytes.
const BODY: usize = 8 * 1024;

/// How many are taken at once, of the connections that this listener has for everybody.
const AT_ONCE: usize = 32;

/// How long one may take, with its body.
const PATIENCE: Duration = Duration::from_secs(10);

/// Backends that may put events of their own on record.
#[derive(Clone)]
pub struct Events {
    /// What each shows as a bearer token, in the order of their names at the inbox.
    pub tokens: Vec<Kept<AdminToken>>,
    /// Where they go.
    pub inbox: Arc<dyn Inbox>,
}

/// Takes what backends put on record.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Takes an event of the backend with this number, and answers what it is called in the log, where it is on disk by then.
    ///
    /// # Errors
    /// Nothing is on record, or that is not known.
    async fn put(&self, backend: usize, body: &[u8]) -> Result<String, Untaken>;
}

/// Why an event is not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Untaken {
    /// It is not one; this is what is wrong with it.
    Invalid(String),
    /// The backend has sent too many; it may again in so many seconds.
    Often(u64),
    /// It cannot be put on record now, and is to be sent again.
    Unavailable,
}

/// Which backend it is.
#[derive(Clone, Copy)]
struct Known(usize);

#[derive(Clone)]
struct Door {
    events: Events,
    places: Arc<Semaphore>,
}

impl Events {
    pub(crate) fn router(self) -> Router<Arc<crate::Admin>> {
        let door = Door { places: Arc::new(Semaphore::new(AT_ONCE)), events: self.clone() };
        Router::new()
            .route("/audit/events", post(put))
            .route_layer(DefaultBodyLimit::max(BODY))
            .route_layer(from_fn_with_state(door, enter))
            .with_state(self)
    }

    /// Every token is compared, so that time does not tell which it was.
    fn who(&self, headers: &HeaderMap) -> Option<Known> {
        let token = shown(headers)?;
        let mut known = None;
        for (backend, expected) in self.tokens.iter().enumerate() {
            if expected.glance().is(token) {
                known = Some(Known(backend));
            }
        }
        known
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("backends", &self.tokens.len()).finish_non_exhaustive()
    }
}

/// Who it is, before anything of the body is read; and no more of them at once than there are places.
async fn enter(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let Some(known) = door.events.who(request.headers()) else {
        let mut response = problem(StatusCode::UNAUTHORIZED, None);
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    };
    let Ok(_place) = door.places.try_acquire() else { return later(1) };
    request.extensions_mut().insert(known);
    timeout(PATIENCE, next.run(request)).await.unwrap_or_else(|_| {
        let mut response = problem(StatusCode::REQUEST_TIMEOUT, None);
        response.headers_mut().insert(axum::http::header::CONNECTION, HeaderValue::from_static("close"));
        response
    })
}

async fn put(
    State(events): State<Events>,
    Extension(Known(backend)): Extension<Known>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let is_json = |kind: &HeaderValue| {
        let media = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
        media.trim().eq_ignore_ascii_case("application/json")
    };
    if !(kinds.next().is_some_and(is_json) && kinds.next().is_none()) {
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, Some("an event is `application/json`"));
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return problem(StatusCode::PAYLOAD_TOO_LARGE, Some("an event has 8 KiB at most"));
        }
        Err(rejection) => return problem(rejection.status(), None),
    };
    match events.inbox.put(backend, &body).await {
        Ok(id) => (StatusCode::CREATED, Json(json!({ "id": id }))).into_response(),
        Err(Untaken::Invalid(why)) => problem(StatusCode::BAD_REQUEST, Some(&why)),
        Err(Untaken::Often(seconds)) => {
            let mut response = problem(StatusCode::TOO_MANY_REQUESTS, None);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            response
        }
        Err(Untaken::Unavailable) => later(1),
    }
}

fn later(seconds: u64) -> Response {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, None);
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}
