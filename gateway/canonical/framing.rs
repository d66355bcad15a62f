use http::{HeaderValue, Method, Version};

use crate::fields::Fields;
use crate::{Malformed, connection};

/// How long the head says that the body is (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Body {
    /// The head does not say: chunked in HTTP/1.1, or HTTP/2 without a `Content-Length`, where it may also be empty.
    Chunked,
    /// So many bytes. Never more than 2⁶³ - 1.
    Length(u64),
    /// None.
    None,
}

/// What a request asks to turn its connection into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upgrade {
    /// RFC 6455, with the whole and correct opening of a client.
    WebSocket,
}

pub(crate) fn body(fields: &Fields<'_>, version: Version) -> Result<Body, Malformed> {
    match (fields.transfer_encoding, fields.content_length) {
        (Some(_), Some(_)) => Err(Malformed::Framing),
        (Some(coding), None) if version == Version::HTTP_11 && coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Ok(Body::Chunked)
        }
        (Some(_), None) => Err(Malformed::Framing),
        (None, Some(length)) => parse_length(length).map(Body::Length),
        (None, None) if version == Version::HTTP_2 => Ok(Body::Chunked),
        (None, None) => Ok(Body::None),
    }
}

/// Digits alone, no list, no zeros in front (which C's `strtol` would read as octal).
fn parse_length(field: &HeaderValue) -> Result<u64, Malformed> {
    match field.as_bytes() {
        b"0" => Ok(0),
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => {
            let length = field.to_str().ok().and_then(|digits| digits.parse().ok());
            length.filter(|length| i64::try_from(*length).is_ok()).ok_or(Malformed::Framing)
        }
        _ => Err(Malformed::Framing),
    }
}

/// RFC 6455 §4.1: each demand on the client, since a backend that counts on one of them cannot see what we let through.
pub(crate) fn upgrade(
    fields: &Fields<'_>,
    method: &Method,
    version: Version,
    body: Body,
) -> Result<Option<Upgrade>, Malformed> {
    let Some(upgrade) = fields.upgrade else {
        return Ok(None);
    };
    let opening = upgrade.as_bytes().eq_ignore_ascii_case(b"websocket")
        && fields.connection == Some(connection::Upgrade::Asked)
        && *method == Method::GET
        && version == Version::HTTP_11
        && matches!(body, Body::None | Body::Length(0))
        && fields.websocket_version.is_some_and(|version| version == "13")
        && fields.websocket_key.is_some_and(|key| is_sixteen_bytes(key.as_bytes()));
    if opening { Ok(Some(Upgrade::WebSocket)) } else { Err(Malformed::Upgrade) }
}

/// Whether this is base64 of 16 bytes: 22 characters and two for padding.
fn is_sixteen_bytes(key: &[u8]) -> bool {
    let Some(digits) = key.strip_suffix(b"==") else {
        return false;
    };
    digits.len() == 22 && digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// RFC 9110 §10.1.1: there is one expectation, and HTTP/1.0 does not know it.
pub(crate) fn expects_continue(fields: &Fields<'_>, version: Version) -> Result<bool, Malformed> {
    match fields.expect {
        None => Ok(false),
        Some(field) if field.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(version != Version::HTTP_10),
        Some(_) => Err(Malformed::Expectation),
    }
}
