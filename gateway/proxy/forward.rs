use http::header;
use pingora::http::RequestHeader;
use policy::FieldRules;

use crate::context::Admitted;
use crate::foreign::is_foreign;

/// Fields that speak of the connection as some proxy in front saw it, besides all that begin with `x-forwarded-` and those
/// that `terms::reserved` names. Nobody in front is trusted to write them, so what comes is the client's own word.
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

/// Turns the head that the client sent into the one that the backend gets: what was judged, without a field that only
/// Cloister may write, and with those that it wrote.
pub(crate) fn rewrite(
    head: &mut RequestHeader,
    admitted: &Admitted,
    injected: Option<assertion::Injected>,
    tls: bool,
) -> pingora::Result<()> {
    let Admitted { arrival, trace, permit, forward } = admitted;
    // ORDER: the route's rules first, so that they cannot touch what Cloister takes out and writes.
    let FieldRules { remove, set } = &permit.route().request_fields;
    for name in remove {
        head.remove_header(name);
    }
    for (name, value) in set {
        head.insert_header(name.clone(), value.clone())?;
    }
    strip(head);
    if let Some(target) = &forward.target {
        head.set_raw_path(target.as_bytes())?;
    }
    head.insert_header(header::HOST, forward.host.clone())?;
    head.insert_header("x-forwarded-host", forward.host.clone())?;
    if let Some(cookie) = &forward.cookie {
        head.insert_header(header::COOKIE, cookie.clone())?;
    }
    if permit.member().is_some() {
        head.remove_header(&header::AUTHORIZATION); // the backend gets the assertion; a token is for us alone
    }
    for (name, value) in injected.into_iter().flat_map(assertion::Injected::into_fields) {
        head.insert_header(name.as_str(), value)?; // as text, it is not copied
    }
    head.insert_header("x-request-id", arrival.id.to_string())?;
    head.insert_header("traceparent", trace.to_field())?;
    head.insert_header("x-forwarded-for", arrival.client.to_canonical().to_string())?;
    head.insert_header("x-forwarded-proto", if tls { "https" } else { "http" })?;
    Ok(())
}

/// Removes every field that only Cloister may write, in all spellings.
fn strip(head: &mut RequestHeader) {
    // The names are looked at in place; a list is made only for a client that tries.
    let forged: Vec<_> =
        head.headers.keys().filter(|name| is_ours(name.as_str()) || is_foreign(name.as_str())).cloned().collect();
    for name in &forged {
        head.remove_header(name);
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("x-forwarded-") || OURS.contains(&name) || terms::reserved(name)
}
