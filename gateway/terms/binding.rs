use std::fmt;
use std::str::FromStr;

/// A way in which a token can be bound to whoever may use it, so that nobody gains by stealing it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Binding {
    /// To the certificate that a client shows in its handshake (RFC 8705 §3).
    Certificate,
    /// To a key with which a client signs each request (RFC 9449).
    Dpop,
}

/// Whether the proofs of clients that sign each request must have a nonce of ours (RFC 9449 §9).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Nonce {
    /// They must.
    Demanded,
    /// They need not.
    #[default]
    None,
}

impl Nonce {
    /// Demanded by one or the other.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, Self::None) => Self::None,
            (Self::Demanded, _) | (_, Self::Demanded) => Self::Demanded,
        }
    }
}

/// As it is written in files.
impl From<bool> for Nonce {
    fn from(demanded: bool) -> Self {
        if demanded { Self::Demanded } else { Self::None }
    }
}

/// Why a text is not a binding.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a token is bound to a `certificate`, or to a key by `dpop`")]
pub struct InvalidBinding;

impl Binding {
    /// Every binding there is.
    pub const ALL: [Self; 2] = [Self::Certificate, Self::Dpop];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Dpop => "dpop",
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
