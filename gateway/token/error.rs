use terms::Reason;

/// Why a token makes no [`Caller`](crate::Caller). The text is for logs and `explain`: it never quotes the token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// The algorithm is not allowed for this issuer, not allowed at all, or does not fit the key.
    #[error("the algorithm is refused: {0}")]
    Algorithm(&'static str),
    /// No audience of the token is one of ours.
    #[error("the token is not for us")]
    Audience,
    /// A claim is missing, of the wrong type, out of its bounds, or there are too many.
    #[error("the claims are refused: {0}")]
    Claims(&'static str),
    /// It is bound in a way that cannot be read or is not known: nobody could show that it is theirs.
    #[error("what it is bound to is refused: {0}")]
    Confirmation(&'static str),
    /// `exp` has passed, leeway included.
    #[error("the token has expired")]
    Expired,
    /// The header has something that must not be there, or lacks what must.
    #[error("the header is refused: {0}")]
    Header(&'static str),
    /// Its issuer says that it is not good: expired, taken back, or never issued.
    #[error("the issuer says that the token is not active")]
    Inactive,
    /// `iss` is none that we know, or none that is accepted here.
    #[error("the issuer is not accepted")]
    Issuer,
    /// No key of the issuer is the one that the token names, or more than one could be.
    #[error("no key: {0}")]
    Key(&'static str),
    /// Not a compact JWS with JSON inside.
    #[error("not a token: {0}")]
    Malformed(&'static str),
    /// `nbf` or `iat` lies in the future, leeway included.
    #[error("the token is not valid yet")]
    NotYet,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// Longer than is looked at.
    #[error("the token is too long")]
    TooLarge,
    /// The issuer's keys are not known, or too old to trust; or it cannot be asked. An outage of ours, not a fault of the
    /// token.
    #[error("the issuer or its keys are not available")]
    Unavailable,
}

impl TokenError {
    /// The word for records, metrics and tests.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Algorithm(_) => Reason::AuthInvalidAlgorithm,
            Self::Audience => Reason::AuthInvalidAudience,
            Self::Claims(_) => Reason::AuthInvalidClaims,
            Self::Confirmation(_) => Reason::AuthInvalidConfirmation,
            Self::Expired => Reason::AuthInvalidExpired,
            Self::Header(_) => Reason::AuthInvalidHeader,
            Self::Inactive => Reason::AuthInvalidInactive,
            Self::Issuer => Reason::AuthInvalidIssuer,
            Self::Key(_) => Reason::AuthInvalidKey,
            Self::Malformed(_) => Reason::AuthInvalidMalformed,
            Self::NotYet => Reason::AuthInvalidNotYet,
            Self::Signature => Reason::AuthInvalidSignature,
            Self::TooLarge => Reason::AuthInvalidTooLarge,
            Self::Unavailable => Reason::AuthUnavailable,
        }
    }
}
