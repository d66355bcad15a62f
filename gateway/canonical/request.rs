use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Version};

use crate::authority::Authority;
use crate::fields::Fields;
use crate::target::{Absolute, Target};
use crate::{Body, Credential, Malformed, Segments, Upgrade, connection, framing, grpc};

/// A head as the parser gives it: split into its parts, not yet judged.
#[derive(Clone, Copy, Debug)]
pub struct Head<'h> {
    /// The method.
    pub method: &'h Method,
    /// The request target, or `:path`, byte for byte.
    pub target: &'h [u8],
    /// `:authority` of HTTP/2. (The absolute form of HTTP/1 is read from the target.)
    pub authority: Option<&'h str>,
    /// The version.
    pub version: Version,
    /// All fields.
    pub fields: &'h HeaderMap,
}

/// How much of a head is looked at. Nothing here means unlimited: zero lets nothing through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// The longest path, in bytes as it came.
    pub path_bytes: usize,
    /// The longest query, in bytes.
    pub query_bytes: usize,
    /// The most fields.
    pub fields: usize,
    /// The most bytes of all fields, each counted with its name, its value and four bytes of punctuation.
    pub head_bytes: usize,
}

/// A request's head that has exactly one meaning.
///
/// Borrowed from the head: it allocates only where that was not canonical already (a host with capitals, a path with
/// escapes that RFC 3986 §6.2.2 spells otherwise, an absolute form without a path).
#[derive(Clone)]
pub struct CanonicalRequest<'h> {
    method: &'h Method,
    authority: Authority<'h>,
    target: Target<'h>,
    body: Body,
    upgrade: Option<Upgrade>,
    expects_continue: bool,
    patience: Option<Duration>,
    fields: Fields<'h>,
}

impl<'h> CanonicalRequest<'h> {
    /// Reads a head in the one way it can be read.
    ///
    /// # Errors
    /// The first thing found that another reader could read otherwise.
    pub fn parse(head: &Head<'h>, bounds: &Bounds) -> Result<Self, Malformed> {
        let Head { method, target, authority, version, fields } = *head;
        let absolute = match version {
            Version::HTTP_10 | Version::HTTP_11 => Absolute::Accept,
            Version::HTTP_2 => Absolute::Refuse,
            _ => return Err(Malformed::Version),
        };
        if !is_forwarded(method) {
            return Err(Malformed::Method);
        }
        let fields = Fields::read(fields, bounds)?;
        let authority = agree(fields.host, authority)?;
        let target = Target::parse(target, &authority, absolute, bounds)?;
        let body = framing::body(&fields, version)?;
        let upgrade = framing::upgrade(&fields, method, version, body)?;
        let expects_continue = framing::expects_continue(&fields, version)?;
        if version == Version::HTTP_2 && fields.connection.is_some() {
            return Err(Malformed::Field); // RFC 9113 §8.2.2
        }
        let mut request = Self { method, authority, target, body, upgrade, expects_continue, patience: None, fields };
        if request.is_grpc() {
            request.patience = request.field("grpc-timeout")?.map(grpc::timeout).transpose()?;
        }
        Ok(request)
    }

    /// One of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS.
    #[must_use]
    pub const fn method(&self) -> &'h Method {
        self.method
    }

    /// The host without its port: a name in lower case, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.authority.host
    }

    /// The port, if the host came with one.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.authority.port
    }

    /// Host and port as one canonical text: what to forward as `Host` or `:authority`.
    #[must_use]
    pub fn authority(&self) -> Cow<'_, str> {
        match self.port() {
            None => Cow::Borrowed(self.host()),
            Some(port) => Cow::Owned(format!("{}:{port}", self.host())),
        }
    }

    /// The path as it is forwarded, escapes and all. To match it against templates, take [`Self::segments`].
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.path()
    }

    /// The segments of the path, decoded: what a backend makes of them, so what a policy has to be asked about. `%40` and
    /// `@` are two spellings in [`Self::path`] (RFC 3986 §2.2 keeps reserved characters apart) and one segment here.
    #[must_use]
    pub fn segments(&self) -> Segments<'_> {
        Segments::of(self.path())
    }

    /// The path with every escape decoded: what a policy is asked about. No `/` can come out of an escape, since those were
    /// refused. Allocates only where something is escaped.
    #[must_use]
    pub fn decoded_path(&self) -> Cow<'_, str> {
        crate::path::decode(self.path())
    }

    /// The query as it came, without its question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.query()
    }

    /// The target in origin form: what to send upstream, in place of whatever came.
    #[must_use]
    pub fn target(&self) -> &str {
        self.target.text()
    }

    /// Whether [`Self::target`] is not, byte for byte, what came.
    #[must_use]
    pub const fn is_rewritten(&self) -> bool {
        self.target.is_rewritten()
    }

    /// The credential.
    #[must_use]
    pub fn credential(&self) -> Credential<'h> {
        Credential::parse(self.fields.authorization)
    }

    /// How long the head says that the body is.
    #[must_use]
    pub const fn body(&self) -> Body {
        self.body
    }

    /// What the connection is asked to become.
    #[must_use]
    pub const fn upgrade(&self) -> Option<Upgrade> {
        self.upgrade
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    #[must_use]
    pub const fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// Whether the client speaks gRPC, and so reads `grpc-status` rather than a status code.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        self.fields.content_type.is_some_and(grpc::is_type)
    }

    /// How long a gRPC client waits for the whole of its call (`grpc-timeout`). Zero is no time at all, and none of it
    /// means that it waits as long as it takes.
    #[must_use]
    pub const fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// A field that may stand once, as text.
    ///
    /// # Errors
    /// [`Malformed::DuplicateField`] if it stands more than once, [`Malformed::Field`] if it is not visible ASCII.
    pub fn field(&self, name: &str) -> Result<Option<&'h str>, Malformed> {
        self.fields.single(name)
    }

    /// One field that may stand once, in UTF-8.
    ///
    /// # Errors
    /// It stands there more than once, or is no UTF-8.
    pub fn text_field(&self, name: &str) -> Result<Option<&'h str>, Malformed> {
        self.fields.text(name)
    }

    /// The first `User-Agent`, as it was sent. Nothing is decided by it.
    #[must_use]
    pub fn user_agent(&self) -> Option<&'h [u8]> {
        self.fields.all.get(http::header::USER_AGENT).map(HeaderValue::as_bytes)
    }

    /// The cookies as one field, where they came as several (RFC 9113 §8.2.3): to be forwarded in their place.
    #[must_use]
    pub fn joined_cookie(&self) -> Option<HeaderValue> {
        let mut cookies = self.fields.all.get_all(http::header::COOKIE).iter();
        let (first, second) = (cookies.next()?, cookies.next()?);
        let mut joined = first.as_bytes().to_vec();
        for cookie in std::iter::once(second).chain(cookies) {
            joined.extend_from_slice(b"; ");
            joined.extend_from_slice(cookie.as_bytes());
        }
        HeaderValue::from_bytes(&joined).ok()
    }

    /// The fields that `Connection` nominates (RFC 9110 §7.6.1). Neither they nor `Connection` itself are forwarded; what
    /// the gateway adds under the same name is.
    pub fn nominated(&self) -> impl Iterator<Item = &'h str> {
        connection::nominated(self.fields.all)
    }
}

/// Without fields and query: they hold what must not be printed.
impl fmt::Debug for CanonicalRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CanonicalRequest")
            .field("method", self.method)
            .field("authority", &self.authority)
            .field("path", &self.path())
            .field("body", &self.body)
            .field("upgrade", &self.upgrade)
            .finish_non_exhaustive()
    }
}

/// TRACE echoes credentials, CONNECT makes a tunnel, and what is not listed may mean anything to a backend.
fn is_forwarded(method: &Method) -> bool {
    [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD, Method::OPTIONS]
        .contains(method)
}

/// `Host` and `:authority` are one; where both came, they say the same.
fn agree<'h>(field: Option<&'h HeaderValue>, pseudo: Option<&'h str>) -> Result<Authority<'h>, Malformed> {
    let field = field.map(|field| field.to_str().map_err(|_| Malformed::Host)).transpose()?;
    let (first, second) = match (field, pseudo) {
        (Some(field), pseudo) => (Authority::parse(field)?, pseudo),
        (None, Some(pseudo)) => (Authority::parse(pseudo)?, None),
        (None, None) => return Err(Malformed::Host),
    };
    match second.map(Authority::parse).transpose()? {
        Some(second) if second != first => Err(Malformed::Host),
        _ => Ok(first),
    }
}
