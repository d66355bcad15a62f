//! Promises about whole heads. What belongs to one file is tested at its foot.

mod attacks;
mod clients;
mod properties;
mod same;
mod shapes;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use crate::{Bounds, CanonicalRequest, Head, Malformed};

pub(super) const BOUNDS: Bounds = Bounds { path_bytes: 2048, query_bytes: 4096, fields: 100, head_bytes: 32 * 1024 };

/// A head with an owner, so that a test can change one thing of it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) method: Method,
    pub(super) target: Vec<u8>,
    pub(super) authority: Option<String>,
    pub(super) version: Version,
    pub(super) fields: HeaderMap,
}

impl Sample {
    pub(super) fn get(target: impl Into<Vec<u8>>) -> Self {
        let fields = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("acme.example"))]);
        Self { method: Method::GET, target: target.into(), authority: None, version: Version::HTTP_11, fields }
    }

    /// One of HTTP/2: without `Host`.
    pub(super) fn get2(target: impl Into<Vec<u8>>) -> Self {
        let authority = Some("acme.example".into());
        Self { authority, version: Version::HTTP_2, fields: HeaderMap::new(), ..Self::get(target) }
    }

    pub(super) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.fields.append(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    pub(super) fn without_host(mut self) -> Self {
        self.fields.remove(http::header::HOST);
        self
    }

    pub(super) fn method(self, method: &str) -> Self {
        Self { method: Method::from_bytes(method.as_bytes()).unwrap(), ..self }
    }

    pub(super) fn version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    pub(super) fn authority(self, authority: &str) -> Self {
        Self { authority: Some(authority.into()), ..self }
    }

    pub(super) fn parse(&self) -> Result<CanonicalRequest<'_>, Malformed> {
        self.parse_within(&BOUNDS)
    }

    pub(super) fn parse_within(&self, bounds: &Bounds) -> Result<CanonicalRequest<'_>, Malformed> {
        let Self { method, target, authority, version, fields } = self;
        let head = Head { method, target, authority: authority.as_deref(), version: *version, fields };
        CanonicalRequest::parse(&head, bounds)
    }
}
