use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};
use terms::Clock;
use tokio::sync::Mutex;

use crate::web::problem;

const ASSERTION: &str = "x-cloister-assertion";
const TYPE: &str = "cloister+jwt";
const TENANT: &str = "x-tenant-id";
const USER: &str = "x-user-id";
/// How far the gateway's clock may differ, in seconds.
const LEEWAY: u64 = 5;
/// The longest that an assertion may have left, in seconds.
const LIFETIME: u64 = 60;
/// The longest key set that is read, in bytes.
const KEYS: usize = 64 * 1024;

/// What a backend has to do before it believes `X-Tenant-Id`: check that the gateway says so, to this backend, about
/// this request, now.
#[derive(Debug)]
pub(crate) struct Trust {
    /// The `aud` that means this backend.
    pub(crate) audience: &'static str,
    /// The `iss` of the gateway.
    pub(crate) issuer: String,
    /// Where the gateway publishes its keys.
    pub(crate) jwks: String,
    pub(crate) http: reqwest::Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: Mutex<Keys>,
}

/// The gateway's keys as they were last fetched.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    set: Option<JwkSet>,
    asked: u64,
}

/// Who asks, once that is proven.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Identity {
    pub(crate) tenant: String,
    pub(crate) user: String,
    pub(crate) roles: Vec<String>,
}

/// Why a request is not believed.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Distrust {
    #[error("the assertion does not verify")]
    Assertion,
    #[error("the assertion was made for another method or path")]
    Binding,
    #[error("x-tenant-id or x-user-id say something else than the assertion")]
    Disagreement,
    #[error("the assertion has expired, or lives too long")]
    Expired,
    #[error("the gateway's keys do not include this one, or cannot be had")]
    Key,
    #[error("there is not exactly one assertion: this request did not come through the gateway")]
    Missing,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    tenant: String,
    #[serde(default)]
    roles: Vec<String>,
    exp: u64,
    htm: Option<String>,
    htu: Option<String>,
}

/// Lets only requests through that the gateway vouches for, and hands their [`Identity`] on.
pub(crate) async fn believe(State(trust): State<Arc<Trust>>, mut request: Request, next: Next) -> Response {
    match trust.identify(request.method(), request.uri().path(), request.headers()).await {
        Ok(identity) => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(distrust) => problem(StatusCode::UNAUTHORIZED, &distrust.to_string()),
    }
}

impl Trust {
    pub(crate) async fn identify(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Identity, Distrust> {
        let assertion = only(headers, ASSERTION)?.ok_or(Distrust::Missing)?;
        let header = decode_header(assertion).map_err(|_| Distrust::Assertion)?;
        if header.typ.as_deref() != Some(TYPE) {
            return Err(Distrust::Assertion); // some other token, signed with the same key (RFC 8725 §3.11)
        }
        let key = self.key(header.kid.as_deref().ok_or(Distrust::Key)?).await.ok_or(Distrust::Key)?;

        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[self.audience]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["aud", "exp", "iss", "sub"]);
        validation.validate_exp = false; // below, with the clock that was given
        let claims = decode::<Claims>(assertion, &key, &validation).map_err(|_| Distrust::Assertion)?.claims;

        let left = (claims.exp + LEEWAY).checked_sub(self.clock.unix_seconds()).ok_or(Distrust::Expired)?;
        if left == 0 || left > LIFETIME + 2 * LEEWAY {
            return Err(Distrust::Expired);
        }
        if claims.htm.as_deref() != Some(method.as_str()) || claims.htu.as_deref() != Some(path) {
            return Err(Distrust::Binding);
        }
        if only(headers, TENANT)? != Some(&claims.tenant) || only(headers, USER)? != Some(&claims.sub) {
            return Err(Distrust::Disagreement);
        }
        Ok(Identity { tenant: claims.tenant, user: claims.sub, roles: claims.roles })
    }

    /// The key of this name, fetched if it is not known, but not more than once a second.
    async fn key(&self, name: &str) -> Option<DecodingKey> {
        // Held while fetching, so that requests that come at once fetch once. It is tokio's, made for that.
        let mut keys = self.keys.lock().await;
        let known = keys.set.as_ref().is_some_and(|set| set.find(name).is_some());
        let now = self.clock.unix_seconds();
        if !known && now > keys.asked {
            keys.asked = now;
            match fetch(&self.http, &self.jwks).await {
                Some(set) => keys.set = Some(set),
                None => tracing::warn!(url = self.jwks, "the gateway's keys could not be fetched"),
            }
        }
        DecodingKey::from_jwk(keys.set.as_ref()?.find(name)?).ok()
    }
}

/// The value of a header that may stand once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Distrust> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Distrust::Disagreement),
        (Some(_), Some(_)) if name == ASSERTION => Err(Distrust::Missing),
        (Some(_), Some(_)) => Err(Distrust::Disagreement),
    }
}

async fn fetch(http: &reqwest::Client, url: &str) -> Option<JwkSet> {
    let mut response = http.get(url).timeout(std::time::Duration::from_secs(2)).send().await.ok()?;
    if response.status() != StatusCode::OK {
        return None;
    }
    let mut text = Vec::new();
    while let Some(part) = response.chunk().await.ok()? {
        text.extend_from_slice(&part);
        if text.len() > KEYS {
            return None;
        }
    }
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
pub(crate) mod tests;
