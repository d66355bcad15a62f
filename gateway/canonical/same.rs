use crate::authority::Authority;
use crate::path::{self, Spelling};
use crate::{CanonicalRequest, Scheme};

impl CanonicalRequest<'_> {
    /// Whether a URL is the one that this request was made for over `scheme`, however it is spelled: without its query and its
    /// fragment, and after what RFC 3986 §6.2.2 and §6.2.3 say is the same (RFC 9449 §4.3). A URL that this gateway would
    /// refuse to read in one way is nobody's.
    #[must_use]
    pub fn is_at(&self, url: &str, scheme: Scheme) -> bool {
        self.compare(url, scheme).unwrap_or(false)
    }

    fn compare(&self, url: &str, scheme: Scheme) -> Option<bool> {
        let (named, rest) = url.split(['?', '#']).next()?.split_once("://")?;
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(slash)?;
        let Authority { host, port } = Authority::parse(authority).ok()?;
        let usual = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let same_port = port.unwrap_or(usual) == self.port().unwrap_or(usual);
        let same_path = match path {
            "" => self.path() == "/", // RFC 9110 §4.2.3
            path => match path::check(path.as_bytes()).ok()? {
                Spelling::Canonical => path == self.path(),
                Spelling::Rewrite => {
                    let mut canonical = String::with_capacity(path.len());
                    path::rewrite(path, &mut canonical);
                    canonical == self.path()
                }
            },
        };
        Some(named.eq_ignore_ascii_case(scheme.as_str()) && host == self.host() && same_port && same_path)
    }
}
