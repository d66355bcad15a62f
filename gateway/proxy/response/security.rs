use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::http::ResponseHeader;
use pingora::prelude::Result;
use policy::{Access, FieldRules, Route, TenantSource};

/// Fields by which browsers protect people from the pages that they look at. `None` is not sent.
#[derive(Clone, Debug)]
pub struct SecurityHeaders {
    /// `Strict-Transport-Security`, over TLS alone (RFC 6797 §7.2). A backend does not know whether there is TLS in front, so
    /// its own is always taken out.
    pub strict_transport: Option<HeaderValue>,
    /// `X-Content-Type-Options`. It has one value, so it replaces a backend's.
    pub content_type: Option<HeaderValue>,
    /// `X-Frame-Options`. A backend that says something about frames knows its pages better.
    pub frames: Option<HeaderValue>,
    /// `Referrer-Policy`. A backend's own wins.
    pub referrer: Option<HeaderValue>,
}

/// How a client is connected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transport {
    Plain,
    Tls,
}

impl SecurityHeaders {
    /// Writes them into a head: a backend's, or one of ours.
    pub(crate) fn put_on(&self, head: &mut ResponseHeader, transport: Transport) -> Result<()> {
        head.remove_header(&header::STRICT_TRANSPORT_SECURITY);
        if let (Some(value), Transport::Tls) = (&self.strict_transport, transport) {
            head.insert_header(header::STRICT_TRANSPORT_SECURITY, value.clone())?;
        }
        if let Some(value) = &self.content_type {
            head.insert_header(header::X_CONTENT_TYPE_OPTIONS, value.clone())?;
        }
        if let Some(value) = self.frames.as_ref().filter(|_| !speaks_of_frames(&head.headers)) {
            head.insert_header(header::X_FRAME_OPTIONS, value.clone())?;
        }
        if let Some(value) = self.referrer.as_ref().filter(|_| !head.headers.contains_key(header::REFERRER_POLICY)) {
            head.insert_header(header::REFERRER_POLICY, value.clone())?;
        }
        Ok(())
    }
}

fn speaks_of_frames(fields: &HeaderMap) -> bool {
    let ancestors = |value: &HeaderValue| value.as_bytes().windows(15).any(|word| word == b"frame-ancestors");
    fields.contains_key(header::X_FRAME_OPTIONS)
        || fields.get_all(header::CONTENT_SECURITY_POLICY).iter().any(ancestors)
}

/// Keeps shared caches in front from giving one caller's response to another: it varies by what says who asks, and where
/// the backend says nothing, it is the caller's alone.
pub(crate) fn keep_apart(head: &mut ResponseHeader, route: &Route, cache: &HeaderValue) -> Result<()> {
    let (Access::Guarded { tenant_from, .. } | Access::Services { tenant_from, .. }) = &route.access else {
        return Ok(());
    };
    if !head.headers.contains_key(header::CACHE_CONTROL) {
        head.insert_header(header::CACHE_CONTROL, cache.clone())?;
    }
    vary(head, &header::AUTHORIZATION)?;
    for source in tenant_from {
        if let TenantSource::Header(name) = source
            && let Ok(name) = HeaderName::from_bytes(name.as_bytes())
        {
            vary(head, &name)?;
        }
    }
    Ok(())
}

/// Does what the route wants done to the fields of its responses.
pub(crate) fn apply(head: &mut ResponseHeader, rules: &FieldRules) -> Result<()> {
    for name in &rules.remove {
        head.remove_header(name);
    }
    for (name, value) in &rules.set {
        head.insert_header(name.clone(), value.clone())?;
    }
    Ok(())
}

/// Says which pages of other origins may read a response, and lets nobody else say it.
pub(crate) fn share(head: &mut ResponseHeader, route: &Route, origin: Option<&str>, host: &str) -> Result<()> {
    let Some(cors) = &route.cors else { return Ok(()) };
    let named = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    let going: Vec<HeaderName> = head.headers.keys().filter(named).cloned().collect();
    for name in &going {
        head.remove_header(name);
    }
    vary(head, &header::ORIGIN)?;
    for (name, value) in
        origin.filter(|origin| cors.allows(origin, host)).map_or_else(Vec::new, |origin| cors.response_fields(origin))
    {
        head.insert_header(name, value)?;
    }
    Ok(())
}

/// Adds a name to `Vary`, unless it is there.
pub(crate) fn vary(head: &mut ResponseHeader, name: &HeaderName) -> Result<()> {
    let listed = |value: &HeaderValue| {
        let mut names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.any(|listed| listed == b"*" || listed.eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    if !head.headers.get_all(header::VARY).iter().any(listed) {
        head.append_header(header::VARY, HeaderValue::from(name.clone()))?;
    }
    Ok(())
}
