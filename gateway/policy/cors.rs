//! Which pages in browsers may ask: cross-origin resource sharing (the Fetch standard, §3.2).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};

use crate::method::{METHODS, Methods};

/// What a route says of pages of other origins.
#[derive(Clone, Debug)]
pub struct Cors {
    pub(crate) origins: Vec<Origin>,
    pub(crate) methods: Methods,
    pub(crate) headers: Vec<HeaderName>,
    pub(crate) credentials: Credentials,
    /// What answers to preflights say, besides the origin.
    pub(crate) preflight: Vec<(HeaderName, HeaderValue)>,
    /// `Access-Control-Expose-Headers`.
    pub(crate) expose: Option<HeaderValue>,
    /// The limits of the route that count without a caller, as places in [`crate::Policy::limits`].
    pub(crate) limits: Vec<usize>,
}

/// Whether pages may use what they learn with the cookies and certificates of whoever looks at them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Credentials {
    Allowed,
    Omitted,
}

/// Which pages a route is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    Any,
    Exact(Arc<str>),
    /// This, the tenant of the host, and this: `https://`, `acme`, `.app.example.com`.
    Tenant(Arc<str>, Arc<str>),
}

/// Why a text is no origin that a route may name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum InvalidOrigin {
    #[error("browsers leave the port out of an origin where it is the one of its scheme")]
    DefaultPort,
    #[error(
        "an origin is written `https://app.example.com`, `https://{{tenant}}.app.example.com` or `*`, in lower case, without a path"
    )]
    Form,
    #[error("`null` is the origin of every page that has none of its own, an attacker's among them")]
    Null,
}

impl Cors {
    /// Whether a page of this origin may ask this host, which the route matches.
    #[must_use]
    pub fn allows(&self, origin: &str, host: &str) -> bool {
        self.origins.iter().any(|allowed| match allowed {
            Origin::Any => true,
            Origin::Exact(exact) => **exact == *origin,
            Origin::Tenant(before, after) => {
                let label = origin.strip_prefix(&**before).and_then(|rest| rest.strip_suffix(&**after));
                let tenant = host.split_once('.').map(|(label, _)| label);
                label.is_some_and(|label| !label.is_empty() && Some(label) == tenant)
            }
        })
    }

    /// Whether it may ask with this method, which is not one of the three that need no leave only if it is listed, and with
    /// these fields, as the browser lists them.
    #[must_use]
    pub fn takes(&self, method: &str, fields: Option<&str>) -> bool {
        let listed = |name: &str| self.headers.iter().any(|known| name.eq_ignore_ascii_case(known.as_str()));
        let names = fields.unwrap_or_default().split(',').map(|name| name.trim_matches([' ', '\t']));
        self.methods.has(method) && names.filter(|name| !name.is_empty()).all(listed)
    }

    /// The limits of the route that count for preflights: those that need no caller.
    #[must_use]
    pub fn limits(&self) -> &[usize] {
        &self.limits
    }

    /// What the answer to a preflight of a page that [`Self::allows`] says.
    #[must_use]
    pub fn preflight_fields(&self, origin: &str) -> Vec<(HeaderName, HeaderValue)> {
        self.origin_fields(origin).into_iter().chain(self.preflight.iter().cloned()).collect()
    }

    /// What any other response to such a page says, ours or the backend's.
    #[must_use]
    pub fn response_fields(&self, origin: &str) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = self.origin_fields(origin);
        fields.extend(self.expose.iter().map(|names| (header::ACCESS_CONTROL_EXPOSE_HEADERS, names.clone())));
        fields
    }

    fn origin_fields(&self, origin: &str) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = Vec::with_capacity(6);
        if self.origins.contains(&Origin::Any) {
            fields.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")));
        } else if let Ok(origin) = HeaderValue::from_str(origin) {
            fields.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
        }
        if self.credentials == Credentials::Allowed {
            fields.push((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        }
        fields
    }

    /// What every answer to a preflight says, made once.
    pub(crate) fn preflight_parts(
        methods: Methods,
        headers: &[HeaderName],
        max_age: Duration,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let names: Vec<&str> = headers.iter().map(HeaderName::as_str).collect();
        [
            (header::ACCESS_CONTROL_ALLOW_METHODS, methods.iter().collect::<Vec<_>>().join(", ")),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, names.join(", ")),
            (header::ACCESS_CONTROL_MAX_AGE, max_age.as_secs().to_string()),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name, HeaderValue::from_str(&text).ok()?)))
        .collect()
    }
}

impl Origin {
    /// Reads an origin as browsers write it (RFC 6454 §6.2): scheme, host, and the port if it is not the scheme's own.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if text.eq_ignore_ascii_case("null") {
            return Err(InvalidOrigin::Null);
        }
        let (scheme, rest) = text.split_once("://").ok_or(InvalidOrigin::Form)?;
        let own_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(InvalidOrigin::Form),
        };
        let (tenant, rest) = match rest.strip_prefix("{tenant}.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (rest, None),
        };
        if let Some(port) = port {
            let number: u16 = port.parse().map_err(|_| InvalidOrigin::Form)?;
            if number.to_string() != port || number == 0 {
                return Err(InvalidOrigin::Form);
            }
            if number == own_port {
                return Err(InvalidOrigin::DefaultPort);
            }
        }
        if !crate::pattern::is_name(host) && (tenant || !crate::pattern::is_address(host)) {
            return Err(InvalidOrigin::Form);
        }
        Ok(if tenant {
            Self::Tenant(format!("{scheme}://").into(), format!(".{rest}").into())
        } else {
            Self::Exact(text.into())
        })
    }

    /// Whether anybody on the way to this page can speak for it.
    pub(crate) fn is_plain(&self) -> bool {
        match self {
            Self::Any => false,
            Self::Tenant(before, _) => **before == *"http://",
            Self::Exact(text) => text.strip_prefix("http://").is_some_and(|rest| {
                let host = rest.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(rest, |(host, _)| host);
                !["localhost", "127.0.0.1", "[::1]"].contains(&host) && !host.ends_with(".localhost")
            }),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(text) => f.write_str(text),
            Self::Tenant(before, after) => write!(f, "{before}{{tenant}}{after}"),
        }
    }
}

/// The methods of a list of names.
pub(crate) fn methods(of: impl Fn(&str) -> bool) -> Methods {
    METHODS.iter().enumerate().filter(|(_, method)| of(method)).fold(Methods::NONE, |set, (index, _)| set.with(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str]) -> Cors {
        let headers = vec![header::AUTHORIZATION, HeaderName::from_static("x-a")];
        Cors {
            origins: origins.iter().map(|text| Origin::parse(text).unwrap()).collect(),
            methods: methods(|method| method == "GET" || method == "PUT"),
            headers,
            credentials: Credentials::Omitted,
            preflight: Vec::new(),
            expose: None,
            limits: Vec::new(),
        }
    }

    #[test]
    fn an_origin_is_allowed_to_the_letter_or_not_at_all() {
        let cors = cors(&["https://app.example.com", "http://localhost:3000", "https://{tenant}.web.example.com:8443"]);
        for (origin, allowed) in [
            ("https://app.example.com", true),
            ("http://localhost:3000", true),
            ("https://acme.web.example.com:8443", true),
            ("https://globex.web.example.com:8443", false),
            ("https://.web.example.com:8443", false),
            ("https://acme.web.example.com", false),
            ("https://acme.evil.web.example.com:8443", false),
            ("https://acme.web.example.com:8443.evil.com", false),
            ("https://app.example.com.evil.com", false),
            ("https://evilapp.example.com", false),
            ("https://app.example.com:443", false),
            ("https://app.example.com/", false),
            ("https://APP.example.com", false),
            ("http://app.example.com", false),
            ("https://app.example.com https://evil.com", false),
            ("null", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(cors.allows(origin, "acme.api.example.com"), allowed, "{origin}");
        }
    }

    #[test]
    fn only_what_is_listed_may_be_asked_with() {
        let cors = cors(&["*"]);
        for (method, fields, taken) in [
            ("GET", None, true),
            ("PUT", Some("authorization,x-a"), true),
            ("PUT", Some("Authorization , X-A"), true),
            ("PUT", Some(""), true),
            ("PUT", Some("x-b"), false),
            ("PUT", Some("authorization,x-b"), false),
            ("PUT", Some("*"), false),
            ("DELETE", None, false),
            ("put", None, false),
            ("*", None, false),
        ] {
            assert_eq!(cors.takes(method, fields), taken, "{method} {fields:?}");
        }
    }

    #[test]
    fn an_origin_is_what_browsers_write_and_nothing_else() {
        for text in
            ["https://a.example.com", "http://localhost:3000", "https://{tenant}.a.com", "*", "https://[::1]:8443"]
        {
            assert_eq!(Origin::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "null",
            "NULL",
            "",
            "https://",
            "a.example.com",
            "https://a.example.com/",
            "https://a.example.com/x",
            "https://A.example.com",
            "HTTPS://a.com",
            "https://*.example.com",
            "https://a.com:443",
            "http://a.com:80",
            "https://a.com:0",
            "https://a.com:08443",
            "https://a.com:",
            "https://a.com:99999",
            "https://u@a.com",
            "ftp://a.com",
            "https://{tenant}",
            "https://a.{tenant}.com",
            "https://{tenant}.[::1]",
            "https://a.com?x",
            "https://a.com https://b.com",
            "https://a..com",
            "file://",
        ] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
        assert!(
            Origin::parse("http://a.com").unwrap().is_plain() && !Origin::parse("https://a.com").unwrap().is_plain()
        );
        assert!(!Origin::parse("http://localhost:3000").unwrap().is_plain());
    }
}
