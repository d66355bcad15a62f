use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use secrets::Secret;
use serde::Deserialize;

use super::KeyringError;
use crate::claims::push_base64url;

/// A key pair for ES256 (RFC 7518 §3.4), which serves no other purpose.
pub struct Key {
    pair: EcdsaKeyPair,
    kid: Arc<str>,
    state: State,
    created: u64,
    /// The first part of every assertion with this key, with its dot.
    header: String,
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
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Next => "next",
            Self::Retiring => "retiring",
        }
    }
}

impl Key {
    pub(super) fn generate(created: u64) -> Result<Self, KeyringError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| KeyringError::Generate)?;
        Ok(Self::of(pair, State::Active, created))
    }

    /// `None`: the parts are not a P-256 pair.
    pub(super) fn assemble(private: &[u8], public: &[u8], state: State, created: u64) -> Option<Self> {
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, private, public).ok()?;
        Some(Self::of(pair, state, created))
    }

    fn of(pair: EcdsaKeyPair, state: State, created: u64) -> Self {
        // RFC 7638 §3: the required members in lexical order, without white space.
        let mut kid = String::new();
        push_base64url(&mut kid, digest(&SHA256, format!("{{{}}}", members(&pair)).as_bytes()).as_ref());
        let mut header = String::new();
        push_base64url(&mut header, format!(r#"{{"alg":"ES256","typ":"cloister+jwt","kid":"{kid}"}}"#).as_bytes());
        header.push('.');
        Self { pair, kid: kid.into(), state, created, header }
    }

    /// The name of the key: its thumbprint (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
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

    pub(crate) const fn pair(&self) -> &EcdsaKeyPair {
        &self.pair
    }

    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    pub(super) fn public_jwk(&self) -> String {
        format!(r#"{{{},"use":"sig","alg":"ES256","kid":"{}"}}"#, members(&self.pair), self.kid)
    }

    /// The private part, as its JWK writes it (RFC 7518 §6.2.2.1).
    pub(super) fn private_text(&self) -> Result<Secret<String>, KeyringError> {
        let scalar = self.pair.private_key().as_be_bytes().map_err(|_| KeyringError::Generate)?;
        let mut text = String::with_capacity(64); // enough, so that no copy is left behind by growing
        push_base64url(&mut text, scalar.as_ref());
        Ok(Secret::new(text))
    }
}

/// The public members of the JWK. An uncompressed point is `04 x y` (SEC 1 §2.3.3).
fn members(pair: &EcdsaKeyPair) -> String {
    let point = pair.public_key().as_ref();
    let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
    let text = |coordinate: &[u8]| {
        let mut text = String::new();
        push_base64url(&mut text, coordinate);
        text
    };
    format!(r#""crv":"P-256","kty":"EC","x":"{}","y":"{}""#, text(x), text(y))
}

/// Shows the name and the state, and nothing of the key.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("state", &self.state).finish_non_exhaustive()
    }
}
