use assertion::{CallersToken, Telling};
use canonical::{Client, Scheme};
use http::{HeaderValue, header};
use pingora::http::RequestHeader;
use policy::{AcceptsKeys, Access, FieldRules};

use crate::context::{Admitted, Held};
use crate::hold::{CONTENT_DIGEST, UNVERIFIED};

/// Fields that speak of the connection as some proxy in front saw it, besides all that begin with `x-forwarded-` and those
/// that `terms::reserved` names. What comes in them is at best the word of a proxy that is believed, and has been looked at.
const OURS: [&str; 9] = [
    "cf-connecting-ip",
    "forwarded",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-originating-ip",
    "x-real-ip",
    "x-request-id",
];

/// Fields that are meant for us and nobody behind us (RFC 9110 §7.6.1), besides those that `Connection` nominates. pingora takes
/// out more of them, but from HTTP/2 to HTTP/2 not these. Trailers of a request are never forwarded.
const OF_THE_CONNECTION: [&str; 3] = ["http2-settings", "proxy-authorization", "trailer"];

/// Turns the head that the client sent into the one that the backend gets: what was judged, without a field that only
/// Cloister may write, and with those that it wrote.
pub(crate) fn rewrite(
    head: &mut RequestHeader,
    admitted: &Admitted,
    backend: &assertion::Backend,
    injected: Option<assertion::Injected>,
    came: &Came<'_>,
) -> pingora::Result<()> {
    let Admitted { arrival, trace, permit, forward, held } = admitted;
    // ORDER: the route's rules first, so that they cannot touch what Cloister takes out and writes.
    let FieldRules { remove, set } = &permit.route().request_fields;
    for name in remove {
        head.remove_header(name);
    }
    for (name, value) in set {
        head.insert_header(name.clone(), value.clone())?;
    }
    strip(head, backend.telling());
    head.remove_header(&header::EXPECT); // it is met here: a backend that does not know it would wait for ever
    if let Some(target) = &forward.target {
        head.set_raw_path(target.as_bytes())?;
    }
    head.insert_header(header::HOST, forward.host.clone())?;
    head.insert_header("x-forwarded-host", forward.host.clone())?;
    came.tell(head, forward.host.to_str().unwrap_or_default())?;
    if let Some(cookie) = &forward.cookie {
        head.insert_header(header::COOKIE, cookie.clone())?;
    }
    if backend.token() == CallersToken::Kept {
        // The backend gets the assertion; a token is for us alone, also where nobody has looked at it. On public routes other
        // credentials are between the client and the backend.
        if permit.member().is_some() || bears_token(head) {
            head.remove_header(&header::AUTHORIZATION);
        }
        head.remove_header("dpop"); // and so is the proof: it names our URL, and nobody behind us could tell a replay
    }
    if matches!(permit.route().access, Access::Guarded { keys: AcceptsKeys::Yes, .. }) {
        head.remove_header("x-api-key"); // it is ours, also where tokens go on; on other routes it may be the backend's
    }
    if let Some(Held { digest, length }) = held {
        for name in UNVERIFIED {
            head.remove_header(name);
        }
        head.insert_header(CONTENT_DIGEST, digest.as_str())?;
        if *length > 0 {
            // It is known by now, also where it came in chunks, which not every backend reads.
            head.remove_header(&header::TRANSFER_ENCODING);
            head.insert_header(header::CONTENT_LENGTH, *length)?;
        }
    }
    let mut injected = injected;
    for (name, value) in injected.as_mut().map(assertion::Injected::take_told).unwrap_or_default() {
        head.insert_header(name, value)?;
    }
    for (name, value) in injected.into_iter().flat_map(assertion::Injected::into_fields) {
        head.insert_header(name.as_str(), value)?; // as text, it is not copied
    }
    head.insert_header("x-request-id", arrival.id.to_string())?;
    head.insert_header("traceparent", trace.to_field())?;
    Ok(())
}

/// Whether what a client shows is a token, or says that it is (RFC 6750, RFC 9449).
fn bears_token(head: &RequestHeader) -> bool {
    let shown = head.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let scheme = shown.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"dpop")
}

/// How a request has come: what a backend behind several proxies cannot see for itself.
#[derive(Debug)]
pub(crate) struct Came<'a> {
    pub(crate) client: &'a Client,
    /// Whether the connection to us has TLS.
    pub(crate) tls: bool,
}

impl Came<'_> {
    /// How the client has spoken: to us, or to the first of the proxies that are believed.
    pub(crate) fn scheme(&self) -> Scheme {
        self.client.scheme.unwrap_or(if self.tls { Scheme::Https } else { Scheme::Http })
    }

    /// Writes the client and the proxies that are believed between it and us. Whatever else was claimed is gone: the first
    /// address is always one that somebody who is believed has seen.
    fn tell(&self, head: &mut RequestHeader, host: &str) -> pingora::Result<()> {
        let scheme = self.scheme();
        head.insert_header("x-forwarded-for", self.client.to_x_forwarded_for())?;
        head.insert_header(header::FORWARDED, self.client.to_forwarded(host, scheme))?;
        head.insert_header("x-forwarded-proto", scheme.as_str())
    }
}

/// Removes every field that only Cloister may write, in all spellings.
fn strip(head: &mut RequestHeader, telling: &Telling) {
    // The names are looked at in place; a list is made only for a client that tries.
    let forged: Vec<_> = head.headers.keys().filter(|name| is_not_theirs(name.as_str(), telling)).cloned().collect();
    for name in &forged {
        head.remove_header(name);
    }
}

fn is_not_theirs(name: &str, telling: &Telling) -> bool {
    is_ours(name) || terms::is_foreign(name) || telling.covers(name)
}

fn is_ours(name: &str) -> bool {
    name.starts_with("x-forwarded-")
        || OURS.contains(&name)
        || OF_THE_CONNECTION.contains(&name)
        || terms::reserved(name)
}
