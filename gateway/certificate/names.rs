use crate::der::{SEQUENCE, any, element, implicit};

/// The subject alternative names of a certificate (RFC 5280 §4.2.1.6) that mean something here: DNS names and URIs. The
/// common name is no name of anybody (RFC 9525 §2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Names {
    /// DNS names, in lower case. They may begin with `*.`.
    pub dns: Vec<Box<str>>,
    /// URIs, as they are written.
    pub uris: Vec<Box<str>>,
}

impl Names {
    /// Reads the value of the extension. `None` if any DNS name or URI in it is not plain visible text: a NUL or a blank
    /// in a name is how two readers come to see two names (CVE-2009-2408, CVE-2025-66220).
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        const DNS: u8 = implicit(2);
        const URI: u8 = implicit(6);
        let (mut list, rest) = element(value, SEQUENCE)?;
        if !rest.is_empty() {
            return None;
        }
        let mut names = Self::default();
        while !list.is_empty() {
            let (kind, name, rest) = any(list)?;
            list = rest;
            match kind {
                DNS => names.dns.push(visible(name)?.to_ascii_lowercase().into()),
                URI => names.uris.push(visible(name)?.into()),
                _ => {}
            }
        }
        Some(names)
    }
}

fn visible(name: &[u8]) -> Option<&str> {
    let fine = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    fine.then(|| std::str::from_utf8(name).ok()).flatten()
}
