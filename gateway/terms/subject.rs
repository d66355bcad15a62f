use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;

/// Who acts: the `sub` of a token (RFC 7519 §4.1.2), unique within its issuer.
///
/// 1 to 255 bytes of visible ASCII, so that it can be a header's value as it is. It names a person, so it is not
/// [`serde::Serialize`]: what writes it anywhere says so in words.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct Subject(Arc<str>);

/// Why a text is not a subject.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidSubject {
    /// A control character, a space or a byte beyond ASCII.
    #[error("a subject has only visible ascii characters")]
    Alphabet,
    /// Nothing at all.
    #[error("a subject is not empty")]
    Empty,
    /// More than 255 bytes (OpenID Connect Core §2 sets this bound).
    #[error("a subject has at most 255 characters")]
    Long,
}

impl Subject {
    /// The longest subject, in bytes.
    pub const MAX: usize = 255;

    /// The subject as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// So that a map keyed by subjects can be asked with text.
impl std::borrow::Borrow<str> for Subject {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            [] => Err(InvalidSubject::Empty),
            bytes if bytes.len() > Self::MAX => Err(InvalidSubject::Long),
            bytes if !bytes.iter().all(u8::is_ascii_graphic) => Err(InvalidSubject::Alphabet),
            _ => Ok(Self(text.into())),
        }
    }
}

impl TryFrom<String> for Subject {
    type Error = InvalidSubject;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
