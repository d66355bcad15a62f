use http::{HeaderMap, HeaderName, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::prelude::Result;

use crate::reply::{POLICY, REQUEST_ID, STANDING};

/// Fields that speak of one connection (RFC 9110 §7.6.1), besides those that `Connection` nominates.
const OF_THE_CONNECTION: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields that say what stands behind the gateway, that send clients past it (`Alt-Svc`), or that are meant for a proxy and
/// not for a client (`X-Accel-…`, `X-Sendfile`).
const INTERNAL: [&str; 18] = [
    "alt-svc",
    "proxy-status",
    "server",
    "via",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-backend",
    "x-backend-server",
    "x-debug-token",
    "x-debug-token-link",
    "x-lighttpd-send-file",
    "x-powered-by",
    "x-runtime",
    "x-sendfile",
    "x-served-by",
    "x-served-from",
    "x-server",
    "x-upstream",
];

/// Fields that say what a client makes of a response: too late in trailers, and dangerous there (RFC 9110 §6.5.1).
const OF_HEADS: [&str; 10] = [
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "location",
    "set-cookie",
    "strict-transport-security",
    "www-authenticate",
    "x-content-type-options",
];

/// Families of such fields.
const INTERNAL_FAMILIES: [&str; 3] = ["x-accel-", "x-envoy-", "x-kong-"];

/// Takes out of a response head what speaks of the connection to the backend, what is no client's business, and what only
/// Cloister may say. Of a 101 that was asked for, `Connection` and `Upgrade` are written anew.
pub(crate) fn clean(head: &mut ResponseHeader, more: &[HeaderName]) -> Result<()> {
    let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
    let nominated = nominated(&head.headers);
    // The names are looked at in place; a list is made only of what is to go.
    let goes = |name: &HeaderName| {
        let text = name.as_str();
        OF_THE_CONNECTION.contains(&text) || is_internal(text) || more.contains(name) || nominated.contains(name)
    };
    let going: Vec<HeaderName> = head.headers.keys().filter(|name| goes(name)).cloned().collect();
    for name in &going {
        head.remove_header(name);
    }
    if head.status.is_informational() || head.status == StatusCode::NO_CONTENT {
        head.remove_header(&header::CONTENT_LENGTH); // RFC 9110 §8.6: not even of nothing
    }
    if switches {
        head.insert_header(header::CONNECTION, "Upgrade")?;
        head.insert_header(header::UPGRADE, "websocket")?;
    }
    Ok(())
}

/// The fields that `Connection` nominates. A name that is none nominates nothing.
fn nominated(fields: &HeaderMap) -> Vec<HeaderName> {
    let options =
        fields.get_all(header::CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok()).collect()
}

/// Takes out of a response's trailers what no backend may say: they come last, and some clients let them win.
pub(crate) fn clean_trailers(fields: &mut HeaderMap, more: &[HeaderName]) {
    let goes = |name: &HeaderName| {
        let text = name.as_str();
        OF_THE_CONNECTION.contains(&text) || is_internal(text) || more.contains(name) || is_of_heads(name)
    };
    let going: Vec<HeaderName> = fields.keys().filter(|name| goes(name)).cloned().collect();
    for name in &going {
        fields.remove(name);
    }
}

fn is_of_heads(name: &HeaderName) -> bool {
    let text = name.as_str();
    OF_HEADS.contains(&text) || text.starts_with("access-control-") || [REQUEST_ID, POLICY, STANDING].contains(name)
}

fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
        || INTERNAL_FAMILIES.iter().any(|family| name.starts_with(family))
        || terms::reserved_in_response(name)
}
