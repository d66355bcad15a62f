use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use secrets::Kept;
use subtle::ConstantTimeEq as _;
use tokio::task::spawn_blocking;

use crate::pages::{problem, problem_with};

/// The longest body, in bytes.
const BODY: usize = 16 * 1024;
/// The same of a set of policy files.
const BUNDLE: usize = 16 * 1024 * 1024;

/// What operators may change, and what proves that they are some.
#[derive(Clone)]
pub struct Operations {
    token: Kept<AdminToken>,
    desk: Arc<dyn Desk>,
}

/// What proves that somebody is an operator, as far as it takes to know it again.
pub struct AdminToken([u8; 32]);

/// Where operators' wishes are fulfilled. Bodies are JSON. It may wait for a disk.
pub trait Desk: Send + Sync {
    /// Takes tokens back.
    ///
    /// # Errors
    /// Nothing was taken back.
    fn revoke(&self, which: &[u8]) -> Result<(), Refusal>;

    /// Lets tokens be good again. `false`: they were not taken back in just this way.
    ///
    /// # Errors
    /// Nothing was changed.
    fn restore(&self, which: &[u8]) -> Result<bool, Refusal>;

    /// Takes a signed set of policy files over, and says what has come of it.
    ///
    /// # Errors
    /// Those in force stay.
    fn push(&self, bundle: &[u8]) -> Result<String, Refusal>;

    /// What is taken back.
    ///
    /// # Errors
    /// It is not known.
    fn revocations(&self) -> Result<String, Refusal>;
}

/// Why a wish is not fulfilled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// It is not one that can be fulfilled; this is what is wrong with it.
    Unclear(String),
    /// It was understood, and is refused for all of this.
    Refused(Vec<String>),
    /// It could not be fulfilled. Why is in the log.
    Unavailable,
}

/// A token that could be guessed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the token has less than 32 bytes, and could be guessed: make one with `openssl rand -hex 32`")]
pub struct Guessable;

impl Operations {
    /// Lets whoever shows this token as a bearer token (RFC 6750 §2.1) ask at the desk.
    pub fn new(token: impl Into<Kept<AdminToken>>, desk: Arc<dyn Desk>) -> Self {
        Self { token: token.into(), desk }
    }

    pub(crate) fn router(self) -> Router<Arc<crate::Admin>> {
        Router::new()
            .route("/revocations", get(list).post(revoke).delete(restore))
            .route("/policies", put(push).layer(DefaultBodyLimit::max(BUNDLE)))
            .route_layer(DefaultBodyLimit::max(BODY))
            .route_layer(from_fn_with_state(self.clone(), known))
            .with_state(self)
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        shown(headers).is_some_and(|token| self.token.glance().is(token))
    }
}

impl AdminToken {
    /// Takes a token that is long enough that nobody guesses it.
    ///
    /// # Errors
    /// It is not.
    pub fn new(token: &[u8]) -> Result<Self, Guessable> {
        if token.len() < 32 { Err(Guessable) } else { Ok(Self(hash(token))) }
    }

    /// Compared as hashes, so that time tells nothing of where they differ.
    pub(crate) fn is(&self, token: &[u8]) -> bool {
        hash(token).ct_eq(&self.0).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(***)")
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations").finish_non_exhaustive()
    }
}

async fn known(State(operations): State<Operations>, request: Request, next: Next) -> Response {
    if operations.knows(request.headers()) {
        return next.run(request).await;
    }
    let mut response = problem(StatusCode::UNAUTHORIZED, None);
    response.headers_mut().insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
    response
}

async fn list(State(operations): State<Operations>) -> Response {
    let listed = at(operations, |desk| desk.revocations()).await;
    listed.map_or_else(refused, |text| ([(CONTENT_TYPE, "application/json")], text).into_response())
}

async fn revoke(State(operations): State<Operations>, which: Bytes) -> Response {
    let revoked = at(operations, move |desk| desk.revoke(&which)).await;
    revoked.map_or_else(refused, |()| StatusCode::NO_CONTENT.into_response())
}

async fn push(State(operations): State<Operations>, bundle: Bytes) -> Response {
    let pushed = at(operations, move |desk| desk.push(&bundle)).await;
    pushed.map_or_else(refused, |text| ([(CONTENT_TYPE, "application/json")], text).into_response())
}

async fn restore(State(operations): State<Operations>, which: Bytes) -> Response {
    match at(operations, move |desk| desk.restore(&which)).await {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => problem(StatusCode::NOT_FOUND, Some("it is not taken back in this way")),
        Err(refusal) => refused(refusal),
    }
}

/// Asks at the desk, away from the connections.
async fn at<T: Send + 'static>(
    operations: Operations,
    ask: impl FnOnce(&dyn Desk) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    spawn_blocking(move || ask(&*operations.desk)).await.unwrap_or(Err(Refusal::Unavailable))
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Unclear(why) => problem(StatusCode::BAD_REQUEST, Some(&why)),
        Refusal::Refused(findings) => problem_with(
            StatusCode::UNPROCESSABLE_ENTITY,
            findings.first().map(String::as_str),
            &[("findings", findings.as_slice().into())],
        ),
        Refusal::Unavailable => problem(StatusCode::SERVICE_UNAVAILABLE, None),
    }
}

/// The one bearer token that is shown (RFC 6750 §2.1).
pub(crate) fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    let (Some(shown), None) = (shown.next(), shown.next()) else { return None };
    let (scheme, token) = shown.as_bytes().split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

/// With the token as the key: of what is hashed itself, a copy would be left behind on the stack.
fn hash(token: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token);
    let mut hash = [0; 32];
    hash.copy_from_slice(hmac::sign(&key, b"cloister/admin-token").as_ref());
    hash
}
