use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of one tenant: a DNS label (RFC 1035 §2.3.1: a lower-case letter, then lower-case letters, digits and
/// hyphens, at most 63, no hyphen at the end), so that it can stand in a host name, a header, a path and a file name
/// as it is.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String")]
pub struct TenantId(Arc<str>);

/// Why a text is not a tenant's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidTenantId {
    /// A byte outside `a-z`, `0-9` and `-`.
    #[error("a tenant's name has only lower-case letters, digits and hyphens")]
    Alphabet,
    /// Nothing at all.
    #[error("a tenant's name is not empty")]
    Empty,
    /// A hyphen at the end.
    #[error("a tenant's name does not end with a hyphen")]
    End,
    /// More than 63 bytes.
    #[error("a tenant's name has at most 63 characters")]
    Long,
    /// Something other than a letter at the start.
    #[error("a tenant's name starts with a lower-case letter")]
    Start,
}

impl TenantId {
    /// The longest name, in bytes: that of a DNS label.
    pub const MAX: usize = 63;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let label = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        match text.as_bytes() {
            [] => Err(InvalidTenantId::Empty),
            [first, ..] if !first.is_ascii_lowercase() => Err(InvalidTenantId::Start),
            bytes if bytes.len() > Self::MAX => Err(InvalidTenantId::Long),
            bytes if !bytes.iter().all(label) => Err(InvalidTenantId::Alphabet),
            [.., b'-'] => Err(InvalidTenantId::End),
            _ => Ok(Self(text.into())),
        }
    }
}

impl TryFrom<String> for TenantId {
    type Error = InvalidTenantId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// So that a map keyed by tenants can be asked with text from the wire without making a [`TenantId`] first.
impl std::borrow::Borrow<str> for TenantId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_a_dns_label_and_prints_back_the_same() {
        let long = "a".repeat(64);
        for (text, expected) in [
            ("acme", Ok(())),
            ("a-1", Ok(())),
            ("", Err(InvalidTenantId::Empty)),
            ("1a", Err(InvalidTenantId::Start)),
            ("Acme", Err(InvalidTenantId::Start)),
            ("aCme", Err(InvalidTenantId::Alphabet)),
            ("a.b", Err(InvalidTenantId::Alphabet)),
            ("a\r\nb", Err(InvalidTenantId::Alphabet)),
            ("a-", Err(InvalidTenantId::End)),
            (long.as_str(), Err(InvalidTenantId::Long)),
        ] {
            assert_eq!(text.parse::<TenantId>().map(|id| assert_eq!(id.to_string(), text)), expected, "{text:?}");
        }
    }
}
