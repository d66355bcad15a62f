use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse as _;
use axum::routing::post;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The longest body, in bytes.
const BODY: usize = 64 * 1024;

/// How many are heard at once, of the connections that this listener has for everybody.
const AT_ONCE: usize = 16;

/// How long one may take, with its body.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who takes what issuers say about sessions that have ended. Nobody is asked who they are: what is said is signed.
#[async_trait]
pub trait Notices: Send + Sync {
    /// Takes a logout token (OpenID Connect Back-Channel Logout 1.0).
    ///
    /// # Errors
    /// It takes nothing back.
    async fn logout(&self, token: &str) -> Result<(), Unheard>;

    /// Takes a security event token (RFC 8417).
    ///
    /// # Errors
    /// It takes nothing back.
    async fn security_event(&self, token: &str) -> Result<(), Unheard>;

    /// Counts one that was not listened to, since so many others were.
    fn turned_away(&self);
}

/// Who may speak now.
#[derive(Clone)]
struct Hearing {
    notices: Arc<dyn Notices>,
    places: Arc<Semaphore>,
}

/// Why what was said is not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unheard {
    /// It is not for us.
    Audience,
    /// It is of nobody whose notices are taken.
    Issuer,
    /// It is not signed with a key of the issuer.
    Key,
    /// It cannot be understood; this is what is wrong with it.
    Request(String),
    /// It cannot be taken now, and is to be said again.
    Unavailable,
}

impl Unheard {
    /// The word of RFC 8935 §2.4.
    const fn code(&self) -> &'static str {
        match self {
            Self::Audience => "invalid_audience",
            Self::Issuer => "invalid_issuer",
            Self::Key => "invalid_key",
            Self::Request(_) => "invalid_request",
            Self::Unavailable => "",
        }
    }

    fn description(&self) -> &str {
        match self {
            Self::Audience => "it is not for this receiver",
            Self::Issuer => "nothing is taken from this issuer",
            Self::Key => "no key of the issuer has signed it",
            Self::Request(why) => why,
            Self::Unavailable => "it cannot be taken now",
        }
    }
}

pub(crate) fn router(notices: Arc<dyn Notices>) -> Router<Arc<crate::Admin>> {
    Router::new()
        .route("/notices/logout", post(logout))
        .route("/notices/events", post(events))
        .route_layer(DefaultBodyLimit::max(BODY))
        .route_layer(from_fn_with_state(
            Hearing { notices: Arc::clone(&notices), places: Arc::new(Semaphore::new(AT_ONCE)) },
            in_turn,
        ))
        .with_state(notices)
}

/// Whoever is slow or one too many is not to keep operators from being answered.
async fn in_turn(State(hearing): State<Hearing>, request: Request, next: Next) -> axum::response::Response {
    let Ok(_place) = hearing.places.try_acquire() else {
        hearing.notices.turned_away();
        return again();
    };
    timeout(PATIENCE, next.run(request)).await.unwrap_or_else(|_| {
        let mut response = crate::pages::problem(StatusCode::REQUEST_TIMEOUT, None);
        response.headers_mut().insert(axum::http::header::CONNECTION, HeaderValue::from_static("close"));
        response
    })
}

/// It cannot be heard now.
fn again() -> axum::response::Response {
    let mut response = crate::pages::problem(StatusCode::SERVICE_UNAVAILABLE, None);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// OpenID Connect Back-Channel Logout 1.0 §2.5, §2.8.
async fn logout(State(notices): State<Arc<dyn Notices>>, headers: HeaderMap, body: Bytes) -> axum::response::Response {
    let outcome = match form(&headers, &body) {
        Some(token) => notices.logout(token).await,
        None => Err(Unheard::Request("one `logout_token` is wanted, as a form".into())),
    };
    match outcome {
        Ok(()) => StatusCode::OK.into_response(),
        Err(Unheard::Unavailable) => again(),
        Err(unheard) => refused(&json!({ "error": "invalid_request", "error_description": unheard.description() })),
    }
}

/// RFC 8935 §2.2-§2.4.
async fn events(State(notices): State<Arc<dyn Notices>>, headers: HeaderMap, body: Bytes) -> axum::response::Response {
    let outcome = match std::str::from_utf8(&body) {
        Ok(token) if is(&headers, "application/secevent+jwt") => notices.security_event(token).await,
        Ok(_) | Err(_) => Err(Unheard::Request("one `application/secevent+jwt` is wanted".into())),
    };
    match outcome {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(Unheard::Unavailable) => again(),
        Err(unheard) => refused(&json!({ "err": unheard.code(), "description": unheard.description() })),
    }
}

fn refused(body: &serde_json::Value) -> axum::response::Response {
    let response = Response::builder().status(StatusCode::BAD_REQUEST).header(CONTENT_TYPE, "application/json");
    response.body(body.to_string().into()).unwrap_or_else(|_| StatusCode::BAD_REQUEST.into_response())
}

fn is(headers: &HeaderMap, wanted: &str) -> bool {
    let mut given = headers.get_all(CONTENT_TYPE).iter();
    let (Some(given), None) = (given.next(), given.next()) else { return false };
    let media = given.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    media.trim().eq_ignore_ascii_case(wanted)
}

/// The token of a form that has nothing else of the name. A token has no character that a form would write differently.
fn form<'b>(headers: &HeaderMap, body: &'b [u8]) -> Option<&'b str> {
    let text = std::str::from_utf8(body).ok().filter(|_| is(headers, "application/x-www-form-urlencoded"))?;
    let mut tokens = text.split('&').filter_map(|field| field.strip_prefix("logout_token="));
    tokens.next().filter(|_| tokens.next().is_none())
}
