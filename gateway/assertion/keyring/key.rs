use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use secrets::Secret;
use serde::Deserialize;

use super::pair::{Pair, Parts, Signed};
use super::{Algorithm, KeyringError};
use crate::claims::push_base64url;

/// A key pair of one keyring, which serves its purpose and no other.
pub struct Key {
    pair: Pair,
    kid: Arc<str>,
    state: State,
    created: u64,
    since: u64,
    /// The first part of every assertion with this key, with its dot.
    header: String,
    /// What every signature of a request (RFC 9421) with this key says of it.
    parameters: String,
}

/// Where a key is in its life. Listed in the order in which the keyring keeps them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It signs.
    Active,
    /// Published, so that backends know it before it signs.
    Next,
    /// Published, until the last assertion with it has expired.
    Retiring,
}

impl State {
    /// The word in the file and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Next => "next",
            Self::Retiring => "retiring",
        }
    }
}

impl Key {
    pub(super) fn generate(algorithm: Algorithm, state: State, now: u64) -> Result<Self, KeyringError> {
        let pair = Pair::generate(algorithm).ok_or(KeyringError::Generate)?;
        Ok(Self::of(pair, state, now, now))
    }

    /// `None`: the parts are not a pair for this algorithm.
    pub(super) fn assemble(
        algorithm: Algorithm,
        parts: &Parts<'_>,
        state: State,
        created: u64,
        since: u64,
    ) -> Option<Self> {
        Pair::assemble(algorithm, parts).map(|pair| Self::of(pair, state, created, since))
    }

    fn of(pair: Pair, state: State, created: u64, since: u64) -> Self {
        // RFC 7638 §3: the required members in lexical order, without white space.
        let mut kid = String::new();
        push_base64url(&mut kid, digest(&SHA256, format!("{{{}}}", pair.members()).as_bytes()).as_ref());
        let mut header = String::new();
        let alg = pair.algorithm();
        push_base64url(&mut header, format!(r#"{{"alg":"{alg}","typ":"cloister+jwt","kid":"{kid}"}}"#).as_bytes());
        header.push('.');
        let parameters = crate::signature::parameters(&kid);
        Self { pair, kid: kid.into(), state, created, since, header, parameters }
    }

    /// The name of the key: its thumbprint (RFC 7638).
    #[must_use]
    pub const fn kid(&self) -> &Arc<str> {
        &self.kid
    }

    /// What it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.pair.algorithm()
    }

    /// Where it is in its life.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// When it was made, in seconds since the Unix epoch.
    #[must_use]
    pub const fn created(&self) -> u64 {
        self.created
    }

    /// Since when it has been in its state, in seconds since the Unix epoch.
    #[must_use]
    pub const fn since(&self) -> u64 {
        self.since
    }

    pub(super) fn becomes(self, state: State, now: u64) -> Self {
        Self { state, since: now, ..self }
    }

    /// `None`: the cryptography failed.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Signed> {
        self.pair.sign(message)
    }

    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    pub(crate) fn parameters(&self) -> &str {
        &self.parameters
    }

    pub(super) fn public_jwk(&self) -> String {
        let alg = self.algorithm();
        format!(r#"{{{},"use":"sig","alg":"{alg}","kid":"{}"}}"#, self.pair.members(), self.kid)
    }

    /// The private part, as its JWK writes it (RFC 7518 §6.2.2.1, RFC 8037 §2); PKCS #8 for RSA.
    pub(super) fn private_text(&self) -> Result<Secret<String>, KeyringError> {
        self.pair.private_text().ok_or(KeyringError::Generate)
    }
}

/// Shows the name and the state, and nothing of the key.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("state", &self.state).finish_non_exhaustive()
    }
}
