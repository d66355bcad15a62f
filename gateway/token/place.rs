use std::str::FromStr;

use terms::{InvalidPointer, Pointer};

/// Where in a token's claims something stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClaimPlace {
    /// In the claim of this name, whatever characters it has: `roles`, `cognito:groups`, `https://example.com/tenant`.
    Claim(Box<str>),
    /// Inside of a claim: `/realm_access/roles`, `/orgs/*/role`.
    Inside(Pointer),
}

/// Why a text names no place in claims.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidClaimPlace {
    /// It is empty.
    #[error("a claim has a name")]
    Empty,
    /// It begins like a way into a claim, and is none.
    #[error(transparent)]
    Inside(#[from] InvalidPointer),
}

/// What begins with a slash leads into a claim (RFC 6901), everything else is the name of one.
impl FromStr for ClaimPlace {
    type Err = InvalidClaimPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Err(InvalidClaimPlace::Empty),
            inside if inside.starts_with('/') => Ok(Self::Inside(inside.parse()?)),
            name => Ok(Self::Claim(name.into())),
        }
    }
}
