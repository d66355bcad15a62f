//! What a policy may say about header fields, and what it may not: how a message is framed, what speaks of one connection,
//! and what only Cloister writes.

use http::{HeaderName, HeaderValue};

/// What is done to the fields of a message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FieldRules {
    /// Fields that are taken out.
    pub remove: Vec<HeaderName>,
    /// Fields that are written, in place of what came under the same name.
    pub set: Vec<(HeaderName, HeaderValue)>,
}

/// Why a policy cannot name a field, or cannot give it a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidField {
    /// It speaks of one connection (RFC 9110 §7.6.1).
    #[error("this field speaks of one connection, and each has its own")]
    Connection,
    /// It proves who asks.
    #[error("this field says who asks, which no policy makes up")]
    Credential,
    /// It says where a message ends, or for whom it is.
    #[error("this field says where a message ends or where it goes, which is not for a policy to say")]
    Framing,
    /// By it other proxies say who asks, so that Cloister takes it out of every request.
    #[error("by this field other proxies tell backends who asks, so no backend gets it")]
    Foreign,
    /// It makes another request of the one that was judged.
    #[error("by this field backends do another thing than the one that was judged")]
    Judged,
    /// Not a name.
    #[error("the name of a field is letters, digits and `-`")]
    Name,
    /// Cloister writes it.
    #[error("only Cloister writes this field")]
    Ours,
    /// It proves who asks.
    #[error("this field proves who asks, and is read by what verifies it alone")]
    Secret,
    /// Not a value.
    #[error("the value of a field is visible ASCII, with spaces between")]
    Value,
}

/// What Cloister itself writes into requests or takes out of them, besides the names of [`terms::reserved`].
const IN_REQUESTS: [&str; 9] = [
    "cf-connecting-ip",
    "forwarded",
    "traceparent",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-real-ip",
    "x-request-id",
];

/// What Cloister itself writes into responses, besides the names of [`terms::reserved_in_response`].
const IN_RESPONSES: [&str; 4] = ["date", "ratelimit", "ratelimit-policy", "x-request-id"];

/// The name of a field of requests that a policy may set or take out.
///
/// # Errors
/// Why it may not.
pub fn request_field(name: &str) -> Result<HeaderName, InvalidField> {
    let name = common(name)?;
    let text = name.as_str();
    if IN_REQUESTS.contains(&text) || text.starts_with("x-forwarded") || terms::reserved(text) {
        return Err(InvalidField::Ours);
    }
    if terms::is_foreign(text) {
        return Err(InvalidField::Foreign);
    }
    let overrides = ["x-http-method", "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url"];
    if overrides.contains(&text) {
        return Err(InvalidField::Judged);
    }
    if text.starts_with("sec-websocket-") || text == "expect" || text == "http2-settings" {
        return Err(InvalidField::Connection);
    }
    Ok(name)
}

/// The name of a field of requests that conditions may look at: one that clients write and that proves nothing.
pub(crate) fn readable(name: &str) -> Result<HeaderName, InvalidField> {
    match request_field(name)? {
        name if is_credential(&name) || name == "x-api-key" => Err(InvalidField::Secret),
        name => Ok(name),
    }
}

/// Whether a field of requests proves who asks: it may be taken out, and never be made up.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    ["authorization", "cookie", "dpop"].contains(&name.as_str())
}

/// The name of a field of responses that a policy or cloister.yaml may set or take out.
///
/// # Errors
/// Why it may not.
pub fn response_field(name: &str) -> Result<HeaderName, InvalidField> {
    let name = common(name)?;
    let text = name.as_str();
    if IN_RESPONSES.contains(&text) || terms::reserved_in_response(text) {
        return Err(InvalidField::Ours);
    }
    if text.starts_with("sec-websocket-") {
        return Err(InvalidField::Connection);
    }
    Ok(name)
}

/// A value that a policy may give to a field.
pub(crate) fn value(text: &str) -> Result<HeaderValue, InvalidField> {
    let visible = text.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
    if !visible || text.trim() != text {
        return Err(InvalidField::Value);
    }
    HeaderValue::from_str(text).map_err(|_| InvalidField::Value)
}

fn common(name: &str) -> Result<HeaderName, InvalidField> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        return Err(InvalidField::Name);
    }
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| InvalidField::Name)?;
    match parsed.as_str() {
        "connection" | "keep-alive" | "te" | "trailer" | "upgrade" => Err(InvalidField::Connection),
        "proxy-authenticate" | "proxy-authentication-info" | "proxy-authorization" | "proxy-connection" => {
            Err(InvalidField::Connection)
        }
        "content-length" | "host" | "transfer-encoding" => Err(InvalidField::Framing),
        _ => Ok(parsed),
    }
}
