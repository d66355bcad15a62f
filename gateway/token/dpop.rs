//! Proofs that whoever uses a token has the key that it was made out to (RFC 9449).

mod error;
mod nonce;
mod proof;
mod replay;
mod thumbprint;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrets::Kept;
use terms::Clock;

use crate::Algorithm;
use nonce::{Age, Nonces};
use proof::Proof;
use replay::Replays;

pub use error::ProofError;
#[cfg(any(test, feature = "test"))]
pub(crate) use thumbprint::of_forged;

/// How proofs are judged.
#[derive(Debug)]
pub struct DpopSettings {
    /// How they may be signed.
    pub algorithms: Vec<Algorithm>,
    /// How old one may be.
    pub max_age: Duration,
    /// How far ahead of ours the clock of a client may be.
    pub leeway: Duration,
    /// How many are remembered, so that none is taken twice.
    pub remembered: usize,
    /// How many of them may be of one key.
    pub remembered_per_key: usize,
    /// How long a nonce is given out. It is taken for as long again.
    pub nonce_period: Duration,
    /// What nonces are made with; by chance for this process, if there is none.
    pub nonce_key: Option<Kept<NonceKey>>,
}

impl Default for DpopSettings {
    fn default() -> Self {
        Self {
            algorithms: vec![Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA],
            max_age: Duration::from_secs(60),
            leeway: Duration::from_secs(5),
            remembered: 1_000_000,
            remembered_per_key: 10_000,
            nonce_period: Duration::from_secs(60),
            nonce_key: None,
        }
    }
}

pub use nonce::{InvalidNonceKey, NonceKey};

/// What a proof must be about.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The token that comes with it.
    pub token: &'a str,
    /// The thumbprint of the key that the token is bound to.
    pub key: &'a [u8; 32],
    /// The method of the request.
    pub method: &'a str,
    /// Whether it must have a nonce of ours.
    pub nonce: terms::Nonce,
}

/// A token is a secret: it is not printed.
impl fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted").field("method", &self.method).field("nonce", &self.nonce).finish_non_exhaustive()
    }
}

/// Judges proofs, and remembers those that it has taken.
#[derive(Debug)]
pub struct Dpop {
    algorithms: Vec<Algorithm>,
    names: String,
    max_age: u64,
    leeway: u64,
    started: u64,
    nonces: Nonces,
    replays: Replays,
    clock: Arc<dyn Clock>,
}

impl Dpop {
    /// Takes up the settings.
    #[must_use]
    pub fn new(settings: DpopSettings, clock: Arc<dyn Clock>) -> Self {
        let names: Vec<_> = settings.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
        Self {
            names: names.join(" "),
            algorithms: settings.algorithms,
            max_age: settings.max_age.as_secs(),
            leeway: settings.leeway.as_secs(),
            started: clock.unix_seconds(),
            nonces: Nonces::new(settings.nonce_key, settings.nonce_period),
            replays: Replays::new(settings.remembered, settings.remembered_per_key),
            clock,
        }
    }

    /// Takes a proof, once. `is_of_request` says whether a URL is that of the request, however it is spelled.
    ///
    /// Nothing of it is kept from one request to the next but that it was used: each costs a signature.
    ///
    /// # Errors
    ///
    /// See [`ProofError`].
    pub fn verify(
        &self,
        proof: &str,
        wanted: &Wanted<'_>,
        is_of_request: impl FnOnce(&str) -> bool,
    ) -> Result<(), ProofError> {
        let now = self.clock.unix_seconds();
        let proof = Proof::parse(proof, &self.algorithms)?;
        proof.is_by(wanted.key)?;
        proof.is_signed()?;
        proof.is_for(wanted.method, is_of_request)?;
        proof.is_with(wanted.token)?;
        self.is_fresh(proof.issued_at()?, now)?;
        match (proof.nonce()?.map(|nonce| self.nonces.judge(nonce, now)), wanted.nonce) {
            (Some(Age::Good), _) | (None, terms::Nonce::None) => {}
            // One that nobody has asked for is looked at all the same: it is ours and old, or it is not ours.
            (Some(Age::Wrong), _) | (None, terms::Nonce::Demanded) => return Err(ProofError::Nonce),
        }
        // ORDER: last, so that nothing is remembered but what is good.
        self.replays.take(wanted.key, proof.jti()?, now, self.window())
    }

    /// FAIL CLOSED: what was used before we started nobody here remembers, so that none from then is taken.
    fn is_fresh(&self, issued_at: u64, now: u64) -> Result<(), ProofError> {
        let old = now.saturating_sub(issued_at) > self.max_age || issued_at < self.started;
        let early = issued_at > now.saturating_add(self.leeway);
        if old || early { Err(ProofError::Time) } else { Ok(()) }
    }

    /// How long a proof that comes now could be good.
    const fn window(&self) -> u64 {
        self.max_age.saturating_add(self.leeway).saturating_add(1)
    }

    /// The nonce that the next proof should have.
    #[must_use]
    pub fn nonce(&self) -> String {
        self.nonces.issue(self.clock.unix_seconds())
    }

    /// The algorithms, as `algs` of a challenge names them (RFC 9449 §7.1).
    #[must_use]
    pub fn algorithms(&self) -> &str {
        &self.names
    }

    /// How many proofs are remembered now, and how many may be.
    #[must_use]
    pub fn remembered(&self) -> (usize, usize) {
        self.replays.count()
    }
}

#[cfg(test)]
mod tests;
