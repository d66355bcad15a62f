mod algorithm;
mod file;
mod key;
mod keys;
mod pair;
mod schedule;

use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use secrets::{PrivateFileError, SecretError};

use crate::claims::push_base64url;

pub use algorithm::Algorithm;
pub use key::{Key, State};
pub use keys::{Hand, Keys, Source, Tended};
pub use schedule::{Change, InvalidSchedule, Schedule, Turn};

/// The keys of one purpose: those that sign, and those that backends may still or already see.
#[derive(Debug)]
pub struct Keyring {
    /// INVARIANT: of each algorithm that there is, exactly one is active.
    keys: Vec<Key>,
    jwks: String,
    etag: String,
}

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Not one key in use.
    #[error("`{}` has {count} active keys for {algorithm}; there must be exactly one", path.display())]
    Active {
        /// Which file.
        path: PathBuf,
        /// For what.
        algorithm: Algorithm,
        /// How many it has.
        count: usize,
    },
    /// Another process holds the file.
    #[error("another process keeps `{}` locked", .0.display())]
    Busy(PathBuf),
    /// The file is closed to us or open to others, or it cannot be written.
    #[error("the keys that sign cannot be had")]
    File(#[from] PrivateFileError),
    /// A key could not be made.
    #[error("a key could not be generated")]
    Generate,
    /// Keys that are not ours to change.
    #[error("these keys are given as a secret: whoever gives them changes them")]
    Given,
    /// A key that is not a pair for its algorithm, or whose parts do not belong together.
    #[error("the key `{kid}` in `{}` is broken", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What the file calls the key.
        kid: String,
    },
    /// The secret with the keys cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Not a keyring at all, or one of a later version.
    #[error("`{}` is not a keyring (line {line}, column {column}); restore it, or remove it to have a new key made", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Up to where it made sense. What stands there is not told: it may be a private key.
        line: usize,
        /// The same within the line.
        column: usize,
    },
    /// Backends cannot know the next key yet.
    #[error("backends may not know the next key yet: it was published too short a time ago")]
    Unready {
        /// From when on they do, in seconds since the Unix epoch.
        until: u64,
    },
}

impl Keyring {
    /// The public keys as a JWK Set (RFC 7517), for `/.well-known/cloister/jwks.json`: those that will be used, are, and
    /// were until a while ago.
    #[must_use]
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    /// What tells one set from another (RFC 9110 §8.8.3), with its quotation marks.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The key that signs with this algorithm.
    #[must_use]
    pub fn active(&self, algorithm: Algorithm) -> Option<&Key> {
        self.keys.iter().find(|key| key.state() == State::Active && key.algorithm() == algorithm)
    }

    /// All keys, the active ones first.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// An algorithm that has not one active key, and how many it has, is an error.
    fn of(mut keys: Vec<Key>) -> Result<Self, (Algorithm, usize)> {
        let count = |algorithm: Algorithm| {
            keys.iter().filter(|key| key.state() == State::Active && key.algorithm() == algorithm).count()
        };
        let algorithms = keys.iter().map(Key::algorithm);
        if let Some(unfit) = algorithms.map(|it| (it, count(it))).find(|(_, count)| *count != 1) {
            return Err(unfit);
        }
        if keys.is_empty() {
            return Err((Algorithm::Es256, 0));
        }
        keys.sort_by_key(|key| (key.state(), key.algorithm(), key.since()));
        let public: Vec<String> = keys.iter().map(Key::public_jwk).collect();
        let jwks = format!(r#"{{"keys":[{}]}}"#, public.join(","));
        let mut etag = String::new();
        push_base64url(&mut etag, digest(&SHA256, jwks.as_bytes()).as_ref());
        Ok(Self { keys, jwks, etag: format!("\"{etag}\"") })
    }

    /// Whether the other one has the same keys, each in the same state.
    fn same(&self, other: &Self) -> bool {
        let told = |ring: &Self| ring.keys.iter().map(|key| (key.kid().clone(), key.state())).collect::<Vec<_>>();
        told(self) == told(other)
    }
}

#[cfg(test)]
mod tests;
