use terms::Reason;

/// Why a proof is not taken. The text never quotes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofError {
    /// As many proofs are remembered as may be, so that nobody could say whether one was used before.
    #[error("no more proofs can be remembered")]
    Full,
    /// It brings no key that proofs may be signed with, or another one than the token is bound to.
    #[error("the key of the proof is refused: {0}")]
    Key(&'static str),
    /// Not a proof.
    #[error("not a proof: {0}")]
    Malformed(&'static str),
    /// None came.
    #[error("no proof came with the token")]
    Missing,
    /// It has no nonce of ours where one is demanded, or one that is none of ours, or an old one.
    #[error("the proof wants a new nonce")]
    Nonce,
    /// It was used before.
    #[error("the proof was used before")]
    Replayed,
    /// Its signature does not verify.
    #[error("the signature of the proof does not verify")]
    Signature,
    /// It is for another method or another URL.
    #[error("the proof is for another request")]
    Target,
    /// It is too old, or of the future.
    #[error("the proof is too old, or of the future")]
    Time,
    /// It is for another token.
    #[error("the proof is for another token")]
    Token,
    /// Its key was used more often than may be remembered of one.
    #[error("too many proofs by this key")]
    TooMany,
}

impl ProofError {
    /// The word for records, metrics and tests.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Full => Reason::AuthProofFull,
            Self::Key(_) => Reason::AuthProofKey,
            Self::Malformed(_) => Reason::AuthProofMalformed,
            Self::Missing => Reason::AuthProofMissing,
            Self::Nonce => Reason::AuthProofNonce,
            Self::Replayed => Reason::AuthProofReplayed,
            Self::Signature => Reason::AuthProofSignature,
            Self::Target => Reason::AuthProofTarget,
            Self::Time => Reason::AuthProofTime,
            Self::Token => Reason::AuthProofToken,
            Self::TooMany => Reason::AuthProofTooMany,
        }
    }
}
