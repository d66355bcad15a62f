use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures::future::{Either, select};
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, Method, Request, header, uri};
use pingora::protocols::{ALPN, Stream};
use upstream::ProbeError;

use super::{AGENT, MOST};

/// What came.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) fields: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: HeaderMap,
}

/// How much of an answer is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    Head,
    Whole,
}

/// The status that a GET of this path is answered with.
pub(super) async fn get(stream: Stream, host: &str, path: &str) -> Result<u16, ProbeError> {
    let head = request(&stream, Method::GET, host, path)?;
    Ok(ask(stream, head, Bytes::new(), Wanted::Head).await?.status)
}

/// A request without a body, as it begins.
pub(super) fn request(stream: &Stream, method: Method, host: &str, path: &str) -> Result<Request<()>, ProbeError> {
    let scheme = if stream.get_ssl_digest().is_some() { "https" } else { "http" };
    let uri = uri::Builder::new()
        .scheme(scheme)
        .authority(host)
        .path_and_query(path)
        .build()
        .map_err(|error| broke(&error))?;
    let head = Request::builder().method(method).uri(uri).header(header::USER_AGENT, AGENT);
    head.body(()).map_err(|error| broke(&error))
}

/// Sends one request over a connection that is made for it.
pub(super) async fn ask(stream: Stream, head: Request<()>, body: Bytes, wanted: Wanted) -> Result<Answer, ProbeError> {
    if stream.get_ssl_digest().is_some() && stream.selected_alpn_proto() != Some(ALPN::H2) {
        return Err(ProbeError::Broke("it does not agree to HTTP/2".into()));
    }
    let handshake = Builder::new()
        .enable_push(false)
        .initial_window_size(MOST as u32)
        .max_header_list_size(MOST as u32)
        .handshake(stream)
        .await;
    let (send, connection) = handshake.map_err(|error| broke(&error))?;
    let exchange = pin!(exchange(send, head, body, wanted));
    match select(exchange, pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // What it sent before it closed is an answer all the same.
        Either::Right((_, exchange)) => exchange.await,
    }
    .map_err(|error| broke(&error))
}

async fn exchange(
    send: SendRequest<Bytes>,
    head: Request<()>,
    body: Bytes,
    wanted: Wanted,
) -> Result<Answer, h2::Error> {
    let (response, mut rest) = send.ready().await?.send_request(head, body.is_empty())?;
    if !body.is_empty() {
        rest.send_data(body, true)?;
    }
    let (head, mut stream) = response.await?.into_parts();
    let mut answer =
        Answer { status: head.status.as_u16(), fields: head.headers, body: Bytes::new(), trailers: HeaderMap::new() };
    if wanted == Wanted::Head {
        return Ok(answer);
    }
    let mut body = BytesMut::new();
    // Nothing of it is given back to the window, so that no more than that can come.
    while let Some(piece) = stream.data().await {
        body.extend_from_slice(&piece?);
    }
    answer.body = body.freeze();
    answer.trailers = stream.trailers().await?.unwrap_or_default();
    Ok(answer)
}

fn broke(error: &dyn std::fmt::Display) -> ProbeError {
    ProbeError::Broke(error.to_string())
}
