use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::json;

use crate::trust::Identity;
use crate::web::{hex, problem};

/// Of a file up to this long the content is kept, of a longer one its size and digest.
const KEPT: usize = 1024 * 1024;
/// The longest file either way.
const LONGEST: u64 = 1024 * 1024 * 1024;
/// Files of all tenants together.
const FILES: usize = 64;

/// What the generated downloads consist of.
static FILLING: [u8; 64 * 1024] = [b'c'; 64 * 1024];

#[derive(Clone, Debug)]
struct Stored {
    size: u64,
    sha256: String,
    content: Option<Bytes>,
}

/// By tenant and name.
type Shelf = Arc<Mutex<HashMap<(String, String), Stored>>>;

/// Files of any size, in constant memory: what comes in is counted and hashed as it passes.
pub(crate) fn router() -> Router {
    Router::new().route("/files/{*name}", get(download).put(upload)).with_state(Shelf::default())
}

async fn upload(
    State(shelf): State<Shelf>,
    Extension(who): Extension<Identity>,
    Path(name): Path<String>,
    body: Body,
) -> Response {
    let stored = match receive(body).await {
        Ok(stored) => stored,
        Err(response) => return response,
    };
    let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
    let place = (who.tenant.clone(), name);
    if shelf.len() >= FILES && !shelf.contains_key(&place) {
        return problem(StatusCode::INSUFFICIENT_STORAGE, "the shelf is full");
    }
    let answer = json!({ "seen": who, "size": stored.size, "sha256": stored.sha256 });
    shelf.insert(place, stored);
    (StatusCode::CREATED, Json(answer)).into_response()
}

async fn receive(body: Body) -> Result<Stored, Response> {
    let mut parts = body.into_data_stream();
    let mut digest = Context::new(&SHA256);
    let mut size = 0_u64;
    let mut content = Vec::new();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| problem(StatusCode::BAD_REQUEST, "the body broke off"))?;
        size += part.len() as u64;
        if size > LONGEST {
            return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "a gibibyte is enough for a demo"));
        }
        digest.update(&part);
        if content.len() + part.len() <= KEPT && size == (content.len() + part.len()) as u64 {
            content.extend_from_slice(&part);
        } else {
            content = Vec::new(); // too long to keep: from here on it is only counted
        }
    }
    let content = (content.len() as u64 == size).then(|| content.into());
    Ok(Stored { size, sha256: hex(digest.finish().as_ref()), content })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    size: Option<u64>,
}

async fn download(
    State(shelf): State<Shelf>,
    Extension(who): Extension<Identity>,
    Path(name): Path<String>,
    Query(wish): Query<Wish>,
) -> Response {
    if let Some(size) = wish.size {
        if size > LONGEST {
            return problem(StatusCode::BAD_REQUEST, "a gibibyte is enough for a demo");
        }
        let headers = [(CONTENT_TYPE, "application/octet-stream".into()), (CONTENT_LENGTH, size.to_string())];
        return (headers, Body::from_stream(filling(size).map(Ok::<_, std::convert::Infallible>))).into_response();
    }
    let stored = shelf.lock().unwrap_or_else(PoisonError::into_inner).get(&(who.tenant, name)).cloned();
    match stored {
        Some(Stored { content: Some(content), .. }) => {
            ([(CONTENT_TYPE, "application/octet-stream")], content).into_response()
        }
        Some(Stored { size, sha256, content: None }) => {
            let told = format!("only its size ({size} bytes) and its SHA-256 ({sha256}) were kept");
            problem(StatusCode::GONE, &told)
        }
        None => problem(StatusCode::NOT_FOUND, "this tenant has no such file"),
    }
}

/// So many bytes, a piece at a time, none of them copied.
fn filling(size: u64) -> impl Stream<Item = Bytes> {
    stream::unfold(size, async |left| {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(FILLING.len());
        let piece = FILLING.get(..length).filter(|piece| !piece.is_empty())?;
        Some((Bytes::from_static(piece), left - piece.len() as u64))
    })
}
