use std::fmt;
use std::str::FromStr;

/// A way in which a token can be bound to whoever may use it, so that nobody gains by stealing it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Binding {
    /// To the certificate that a client shows in its handshake (RFC 8705 §3).
    Certificate,
}

/// Why a text is not a binding.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a token is bound to a `certificate`")]
pub struct InvalidBinding;

impl Binding {
    /// Every binding there is.
    pub const ALL: [Self; 1] = [Self::Certificate];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
        }
    }
}

impl FromStr for Binding {
    type Err = InvalidBinding;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|binding| binding.as_str() == text).ok_or(InvalidBinding)
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_reads_back_and_nothing_else_is_one() {
        for binding in Binding::ALL {
            assert_eq!(binding.to_string().parse(), Ok(binding));
        }
        for text in ["", "Certificate", "mtls", "DPoP"] {
            assert_eq!(text.parse::<Binding>(), Err(InvalidBinding), "{text}");
        }
    }
}
