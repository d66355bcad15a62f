use http::{HeaderMap, HeaderValue};

use crate::Malformed;

/// Checks one `Connection` field and says whether it has the option `upgrade` (RFC 9110 §7.6.1).
///
/// A field that this gateway judges cannot be nominated: nominated fields are not forwarded, and a request must not
/// lose on the way what it was judged by.
pub(crate) fn check(field: &HeaderValue) -> Result<Upgrade, Malformed> {
    let text = field.to_str().map_err(|_| Malformed::Field)?;
    let mut upgrade = Upgrade::Unasked;
    for option in options(text) {
        if !option.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') || is_judged(option) {
            return Err(Malformed::Field);
        }
        if option.eq_ignore_ascii_case("upgrade") {
            upgrade = Upgrade::Asked;
        }
    }
    Ok(upgrade)
}

/// Whether a `Connection` field asks for an upgrade.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Upgrade {
    Asked,
    Unasked,
}

/// The fields that `Connection` nominates, in whatever case they came.
pub(crate) fn nominated(fields: &HeaderMap) -> impl Iterator<Item = &str> {
    fields
        .get_all(http::header::CONNECTION)
        .iter()
        .filter_map(|field| field.to_str().ok())
        .flat_map(options)
        .filter(|option| !is_of_the_connection(option))
}

/// Whether any `Connection` field says that no other request will follow (RFC 9112 §9.6). Parsers look at the first alone.
#[must_use]
pub fn asks_to_close(fields: &HeaderMap) -> bool {
    let mut texts = fields.get_all(http::header::CONNECTION).iter().filter_map(|field| field.to_str().ok());
    texts.any(|text| options(text).any(|option| option.eq_ignore_ascii_case("close")))
}

fn options(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(|option| option.trim_matches([' ', '\t'])).filter(|option| !option.is_empty())
}

/// What speaks of the connection itself, and is never forwarded anyway.
fn is_of_the_connection(option: &str) -> bool {
    ["close", "keep-alive", "upgrade", "te", "trailer", "proxy-connection"]
        .iter()
        .any(|name| option.eq_ignore_ascii_case(name))
}

fn is_judged(option: &str) -> bool {
    [
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "origin",
        "sec-websocket-key",
        "sec-websocket-version",
        "transfer-encoding",
    ]
    .iter()
    .any(|name| option.eq_ignore_ascii_case(name))
}
