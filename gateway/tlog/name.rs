use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What a log or a key is called: a URL without its scheme, as a rule. It has neither spaces nor `+` (C2SP signed-note).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(Arc<str>);

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the name of a log or a key has 1 to 255 bytes, and neither spaces, control characters nor `+`")]
pub struct InvalidName;

impl Name {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+');
        (is_plain && (1..=255).contains(&text.len())).then(|| Self(text.into())).ok_or(InvalidName)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
