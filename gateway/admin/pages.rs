use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use serde_json::json;

use crate::readiness::Readiness;
use crate::{Check, Collect, Events, Notices, Operations};

/// What the admin listener shows.
#[derive(Clone)]
pub struct Admin {
    /// Every metric of the process.
    pub registry: Registry,
    /// Run before each scrape, in this order.
    pub refresh: Vec<Arc<dyn Collect>>,
    /// What must be up for the gateway to be ready. An empty list is always ready.
    pub readiness: Vec<Arc<dyn Check>>,
    /// The keys that backends verify with.
    pub key_sets: Vec<KeySetPage>,
    /// The version of the program, for `/version`.
    pub version: &'static str,
    /// What operators may change; nothing, if nobody is known as one.
    pub operations: Option<Operations>,
    /// Who takes what issuers say; nobody, if no issuer is believed in that.
    pub notices: Option<Arc<dyn Notices>>,
    /// Backends that may put events on record.
    pub events: Option<Events>,
}

/// A page with public keys: a JSON Web Key Set (RFC 7517 §5).
#[derive(Clone)]
pub struct KeySetPage {
    /// Where, from the root on.
    pub path: &'static str,
    /// The keys at the time of asking.
    pub keys: Arc<dyn Fn() -> KeySet + Send + Sync>,
}

impl fmt::Debug for KeySetPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySetPage").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Public keys, and how they may be kept.
#[derive(Clone, Debug)]
pub struct KeySet {
    /// The document.
    pub json: String,
    /// What tells it from another (RFC 9110 §8.8.3), with its quotation marks.
    pub etag: String,
    /// For how long it may be kept, in seconds.
    pub max_age: u64,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks: Vec<_> = self.readiness.iter().map(|check| check.name()).collect();
        f.debug_struct("Admin").field("readiness", &checks).field("version", &self.version).finish_non_exhaustive()
    }
}

impl Admin {
    pub(crate) fn router(mut self) -> Router {
        let notices = self.notices.take().map_or_else(Router::new, crate::notices::router);
        let events = self.events.take().map_or_else(Router::new, Events::router);
        let operations = self.operations.take().map_or_else(Router::new, Operations::router);
        let keys = self.key_sets.iter().fold(Router::new(), |router, KeySetPage { path, keys }| {
            let keys = Arc::clone(keys);
            router.route(path, get(async move |asked: HeaderMap| key_set(&asked, &keys())))
        });
        keys.route("/metrics", get(metrics))
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/version", get(version))
            .merge(operations)
            .merge(notices)
            .merge(events)
            .layer(map_response(finish))
            .with_state(Arc::new(self))
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    for gauges in &admin.refresh {
        gauges.collect();
    }
    match TextEncoder::new().encode_to_string(&admin.registry.gather()) {
        Ok(text) => ([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written as text");
            problem(StatusCode::INTERNAL_SERVER_ERROR, None)
        }
    }
}

async fn readyz(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let readiness = Readiness::of(admin.readiness.iter().map(AsRef::as_ref));
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

async fn version(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    Json(json!({ "name": "cloister", "version": admin.version }))
}

/// Whoever has this set already is told so without it (RFC 9110 §13.1.2).
fn key_set(asked: &HeaderMap, keys: &KeySet) -> axum::response::Response {
    let KeySet { json, etag, max_age } = keys;
    let known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|field| field.to_str().ok());
    let known = known.flat_map(|field| field.split(',')).map(str::trim);
    let known = known.map(|tag| tag.strip_prefix("W/").unwrap_or(tag)).any(|tag| tag == "*" || tag == etag);
    let kept = [(CACHE_CONTROL, format!("public, max-age={max_age}")), (ETAG, etag.clone())];
    if known {
        (StatusCode::NOT_MODIFIED, kept).into_response()
    } else {
        (kept, [(CONTENT_TYPE, "application/jwk-set+json")], json.clone()).into_response()
    }
}

/// Gives a page that does not exist, or not for this method, a body that says so (the router leaves it empty, but sets
/// `Allow`), and forbids everyone to keep what may change with the next question.
async fn finish(mut response: axum::response::Response) -> axum::response::Response {
    let bare = response.headers().get(CONTENT_TYPE).is_none();
    if bare && matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
        let (head, _) = response.into_parts();
        response = problem(head.status, None);
        if let Some(allow) = head.headers.get(axum::http::header::ALLOW) {
            response.headers_mut().insert(axum::http::header::ALLOW, allow.clone());
        }
    }
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A problem document (RFC 9457) that says what the status does, and perhaps more.
pub(crate) fn problem(status: StatusCode, detail: Option<&str>) -> axum::response::Response {
    problem_with(status, detail, &[])
}

/// The same, with members of its own.
pub(crate) fn problem_with(
    status: StatusCode,
    detail: Option<&str>,
    more: &[(&str, serde_json::Value)],
) -> axum::response::Response {
    let mut body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
    });
    if let (Some(detail), Some(body)) = (detail, body.as_object_mut()) {
        body.insert("detail".into(), detail.into());
    }
    if let Some(body) = body.as_object_mut() {
        body.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/problem+json");
    response.body(body.to_string().into()).unwrap_or_else(|_| status.into_response())
}
