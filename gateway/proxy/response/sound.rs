use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use pingora::http::ResponseHeader;
use pingora::prelude::{Error, ErrorType, Result};

use super::ResponseBounds;

/// How many informational responses may come before the final one.
const INFORMATIONAL: u8 = 8;

/// What the request was, as far as it says what may come back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// For another protocol on this connection.
    Upgrade,
    /// For a response.
    Response,
}

/// Refuses a response head that two readers could read differently, that nobody asked for, or that is larger than is
/// taken. `before` counts the informational responses that came before it.
///
/// pingora has parsed it by now: differing lengths, bad names and broken lines never get here, and a `Content-Length` beside
/// a `Transfer-Encoding` is gone. What is left of that is reframed, and the connection to the backend is not used again.
pub(crate) fn check(head: &ResponseHeader, asked: Asked, before: &mut u8, bounds: &ResponseBounds) -> Result<()> {
    let status = head.status;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        *before = before.saturating_add(1);
    }
    let why = if *before > INFORMATIONAL {
        Some("a backend that only announces its response")
    } else if status == StatusCode::SWITCHING_PROTOCOLS {
        switches(head, asked)
    } else if status.as_u16() > 599 {
        Some("a status that is none")
    } else {
        None
    };
    match why.or_else(|| size(&head.headers, bounds)).or_else(|| values(&head.headers)).or_else(|| framing(head)) {
        None => Ok(()),
        Some(why) => Error::e_explain(ErrorType::InvalidHTTPHeader, why).map_err(Error::into_up),
    }
}

/// After a 101 whatever comes is no longer HTTP, and nobody judges it: so only where the client asked and the route allows
/// it, which is for WebSockets alone.
fn switches(head: &ResponseHeader, asked: Asked) -> Option<&'static str> {
    let mut protocols = head.headers.get_all(header::UPGRADE).iter();
    let websocket = match (protocols.next(), protocols.next()) {
        (Some(only), None) => only.as_bytes().eq_ignore_ascii_case(b"websocket"),
        _ => false,
    };
    match asked {
        Asked::Response => Some("another protocol that nobody asked for"),
        Asked::Upgrade if head.version != Version::HTTP_11 || !websocket => Some("another protocol than WebSocket"),
        Asked::Upgrade => None,
    }
}

fn size(fields: &HeaderMap, bounds: &ResponseBounds) -> Option<&'static str> {
    const PUNCTUATION: usize = 4; // `: ` and the end of the line, so that empty fields count too
    let mut bytes = 0_usize;
    for (name, value) in fields {
        let field = name.as_str().len().saturating_add(value.len()).saturating_add(PUNCTUATION);
        if field > bounds.field_bytes {
            return Some("a field that is too long");
        }
        bytes = bytes.saturating_add(field);
    }
    (bytes > bounds.head_bytes || fields.len() > bounds.fields).then_some("a head that is too large")
}

/// No control character but the tab: a line that was folded has its line break in its value.
fn values(fields: &HeaderMap) -> Option<&'static str> {
    let control = |value: &HeaderValue| {
        value.as_bytes().iter().fold(false, |bad, byte| bad | ((*byte < 0x20) & (*byte != b'\t')) | (*byte == 0x7f))
    };
    fields.values().any(control).then_some("a control character in a field")
}

/// One length, or chunks, or until the end of the connection; and no body where there can be none.
fn framing(head: &ResponseHeader) -> Option<&'static str> {
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next();
    let chunked = coding.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if coding.is_some() && (!chunked || codings.next().is_some() || head.version != Version::HTTP_11) {
        return Some("a transfer coding other than chunked");
    }
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    let digits = |length: &HeaderValue| !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
    if length.is_some_and(|length| !digits(length)) || lengths.next().is_some() {
        return Some("a length that is not one number");
    }
    let zero = length.is_none_or(|length| length.as_bytes().iter().all(|digit| *digit == b'0'));
    let bare = head.status.is_informational() || head.status == StatusCode::NO_CONTENT;
    (bare && (coding.is_some() || !zero)).then_some("a body where there is none")
}
