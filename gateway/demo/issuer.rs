use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::{Issuer, Minted, User};

/// The endpoints of the development issuer.
pub(crate) fn router(issuer: Arc<Issuer>) -> Router {
    Router::new()
        .route("/jwks.json", get(jwks))
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/token", post(token))
        .layer(DefaultBodyLimit::max(4 * 1024))
        .with_state(issuer)
}

async fn jwks(State(issuer): State<Arc<Issuer>>) -> Response {
    match issuer.jwks() {
        Ok(keys) => Json(keys).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// OpenID Connect Discovery §3, as far as a resource server reads it.
async fn discovery(State(issuer): State<Arc<Issuer>>) -> Response {
    let name = issuer.name();
    Json(json!({
        "issuer": name,
        "jwks_uri": format!("{name}/jwks.json"),
        "token_endpoint": format!("{name}/token"),
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
    }))
    .into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    user: String,
    audience: Option<String>,
}

/// Gives a token to whoever asks: this is the development issuer, not a login.
async fn token(State(issuer): State<Arc<Issuer>>, request: Request) -> Response {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let wish = if kind.starts_with("application/json") {
        Json::<Wish>::from_request(request, &()).await.map(|Json(wish)| wish).map_err(IntoResponse::into_response)
    } else {
        Form::<Wish>::from_request(request, &()).await.map(|Form(wish)| wish).map_err(IntoResponse::into_response)
    };
    let Ok(Wish { user, audience }) = wish else {
        return refuse("invalid_request", "say user=NAME and, if you like, audience=NAME, as a form or as JSON");
    };
    let Some(user) = User::named(&user) else {
        return refuse("invalid_grant", "the users are ada, bob, eve and ian");
    };
    match issuer.mint_for(&user, audience.as_deref().unwrap_or(Issuer::AUDIENCE), Minted::Sound) {
        Ok(token) => Json(json!({ "access_token": token, "token_type": "Bearer", "expires_in": Issuer::LIFETIME }))
            .into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// RFC 6749 §5.2.
fn refuse(error: &str, description: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error, "error_description": description }))).into_response()
}
