use http::{Method, header};

use crate::{Body, CanonicalRequest, Malformed};

/// What a browser asks before it lets a page of another origin ask (the Fetch standard, §3.2.2): `OPTIONS` with `Origin` and
/// `Access-Control-Request-Method`, and no body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Preflight<'h> {
    /// Whose page it is.
    pub origin: &'h str,
    /// With which method it wants to ask.
    pub method: &'h str,
    /// With which fields, as a list.
    pub fields: Option<&'h str>,
}

impl<'h> CanonicalRequest<'h> {
    /// Whose page asks, if a page of some origin does.
    ///
    /// # Errors
    /// [`Malformed::Field`] if it is not visible ASCII, [`Malformed::DuplicateField`] if there are two.
    pub fn origin(&self) -> Result<Option<&'h str>, Malformed> {
        self.field(header::ORIGIN.as_str())
    }

    /// What a browser asks before a page may ask, if this is such a request.
    ///
    /// # Errors
    /// As [`Self::origin`], for each of the three fields.
    pub fn preflight(&self) -> Result<Option<Preflight<'h>>, Malformed> {
        if *self.method() != Method::OPTIONS || self.body() != Body::None || self.upgrade().is_some() {
            return Ok(None);
        }
        let method = self.field(header::ACCESS_CONTROL_REQUEST_METHOD.as_str())?;
        let (Some(origin), Some(method)) = (self.origin()?, method) else { return Ok(None) };
        let fields = self.field(header::ACCESS_CONTROL_REQUEST_HEADERS.as_str())?;
        Ok(Some(Preflight { origin, method, fields }))
    }
}
