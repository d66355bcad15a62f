use std::borrow::Cow;

use crate::authority::Authority;
use crate::path::Spelling;
use crate::{Bounds, Malformed, path, query};

/// A request target in origin form (RFC 9112 §3.2.1), spelled canonically: what is judged, and what is forwarded.
#[derive(Clone, Debug)]
pub(crate) struct Target<'h> {
    text: Cow<'h, str>,
    path_length: usize,
    rewritten: bool,
}

impl<'h> Target<'h> {
    /// Reads a target in origin form, or in absolute form if that names the same host.
    pub(crate) fn parse(
        raw: &'h [u8],
        host: &Authority<'_>,
        absolute: Absolute,
        bounds: &Bounds,
    ) -> Result<Self, Malformed> {
        if raw.first() == Some(&b'/') {
            return Self::parse_origin(raw, false, bounds);
        }
        // FAIL CLOSED: `*`, the form of CONNECT, other schemes, and what is nothing at all.
        let (Absolute::Accept, Some(rest)) = (absolute, strip_scheme(raw)) else {
            return Err(Malformed::PathForm);
        };
        let (authority, origin) = rest.split_at_checked(authority_length(rest)).ok_or(Malformed::PathForm)?;
        let authority = std::str::from_utf8(authority).map_err(|_| Malformed::Host)?;
        if Authority::parse(authority)? != *host {
            return Err(Malformed::Host);
        }
        match origin.first() {
            Some(b'/') => Self::parse_origin(origin, true, bounds),
            // RFC 9110 §4.2.3: an empty path is `/`.
            None | Some(b'?') => Self::parse_without_path(origin, bounds),
            Some(_) => Err(Malformed::PathEncoding),
        }
    }

    fn parse_origin(raw: &'h [u8], rewritten: bool, bounds: &Bounds) -> Result<Self, Malformed> {
        let path_length = raw.iter().position(|byte| *byte == b'?').unwrap_or(raw.len());
        let (path, rest) = raw.split_at_checked(path_length).ok_or(Malformed::PathForm)?;
        if path.len() > bounds.path_bytes || rest.len().saturating_sub(1) > bounds.query_bytes {
            return Err(Malformed::PathTooLong);
        }
        let spelling = path::check(path)?;
        query::check(rest)?;
        let text = std::str::from_utf8(raw).map_err(|_| Malformed::PathEncoding)?;
        match spelling {
            Spelling::Canonical => Ok(Self { text: Cow::Borrowed(text), path_length, rewritten }),
            Spelling::Rewrite => {
                let (path, rest) = text.split_at_checked(path_length).ok_or(Malformed::PathForm)?;
                let mut text = String::with_capacity(raw.len());
                path::rewrite(path, &mut text);
                let path_length = text.len();
                text.push_str(rest);
                Ok(Self { text: Cow::Owned(text), path_length, rewritten: true })
            }
        }
    }

    fn parse_without_path(rest: &[u8], bounds: &Bounds) -> Result<Self, Malformed> {
        if bounds.path_bytes == 0 || rest.len().saturating_sub(1) > bounds.query_bytes {
            return Err(Malformed::PathTooLong);
        }
        query::check(rest)?;
        let rest = std::str::from_utf8(rest).map_err(|_| Malformed::PathEncoding)?;
        Ok(Self { text: Cow::Owned(format!("/{rest}")), path_length: 1, rewritten: true })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn path(&self) -> &str {
        self.text.get(..self.path_length).unwrap_or_default()
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.text.get(self.path_length..)?.strip_prefix('?')
    }

    pub(crate) const fn is_rewritten(&self) -> bool {
        self.rewritten
    }
}

/// Whether a target may come in absolute form: a `:path` of HTTP/2 may not (RFC 9113 §8.3.1).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Absolute {
    Accept,
    Refuse,
}

fn strip_scheme(raw: &[u8]) -> Option<&[u8]> {
    let after = |scheme: &[u8]| {
        let (start, rest) = raw.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    after(b"http://").or_else(|| after(b"https://"))
}

fn authority_length(rest: &[u8]) -> usize {
    rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\')).unwrap_or(rest.len())
}
