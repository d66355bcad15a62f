mod file;
mod key;

use std::io;
use std::path::{Path, PathBuf};

use secrets::{PrivateFileError, create_private, read_private};
use terms::Clock;

pub use key::{Key, State};

/// The keys that assertions are signed with, and those that backends may still or already see.
#[derive(Debug)]
pub struct Keyring {
    /// INVARIANT: not empty; the first is the active one, and no other is.
    keys: Vec<Key>,
    jwks: String,
}

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Not one key in use.
    #[error("`{}` has {count} active keys; there must be exactly one", path.display())]
    Active {
        /// Which file.
        path: PathBuf,
        /// How many it has.
        count: usize,
    },
    /// The file is closed to us or open to others, or it cannot be written.
    #[error("the keys that assertions are signed with cannot be had")]
    File(#[from] PrivateFileError),
    /// A key could not be made.
    #[error("a key could not be generated")]
    Generate,
    /// A key that is not an ECDSA P-256 pair, or whose parts do not belong together.
    #[error("the key `{kid}` in `{}` is broken", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What the file calls the key.
        kid: String,
    },
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
}

impl Keyring {
    /// Opens the keyring of a file, and makes one with a new key if there is none. The file is private to its owner and
    /// appears whole or not at all; of two instances that start at once, one makes it and both use it.
    ///
    /// # Errors
    /// The file is broken or open to others, or cannot be read or written. A broken one is never replaced.
    pub fn open(path: &Path, clock: &dyn Clock) -> Result<Self, KeyringError> {
        match read_private(path) {
            Err(PrivateFileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let fresh = Key::generate(clock.unix_seconds())?;
                create_private(path, &file::render(&[fresh])?)?;
                file::parse(path, &read_private(path)?)
            }
            content => file::parse(path, &content?),
        }
    }

    /// A keyring with one new key that is kept nowhere.
    ///
    /// # Errors
    /// The key could not be made.
    pub fn generate(clock: &dyn Clock) -> Result<Self, KeyringError> {
        Ok(Self::of(vec![Key::generate(clock.unix_seconds())?]))
    }

    /// The public keys as a JWK Set (RFC 7517), for `/.well-known/cloister/jwks.json`: those that will be used, are, and
    /// were until a while ago.
    #[must_use]
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    /// The key that signs.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "never empty: both constructors see to it")]
    pub fn active(&self) -> &Key {
        &self.keys[0]
    }

    /// All keys, the active one first.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    fn of(mut keys: Vec<Key>) -> Self {
        keys.sort_by_key(Key::state);
        let public: Vec<String> = keys.iter().map(Key::public_jwk).collect();
        Self { jwks: format!(r#"{{"keys":[{}]}}"#, public.join(",")), keys }
    }
}

#[cfg(test)]
mod tests;
