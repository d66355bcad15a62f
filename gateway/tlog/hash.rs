use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A hash of the tree: of an entry, or of two hashes. Its text is base64 with padding (RFC 4648 §4).
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hash([u8; Self::BYTES]);

/// Why a text is not a hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a hash is 32 bytes in base64")]
pub struct InvalidHash;

impl Hash {
    /// How long one is.
    pub const BYTES: usize = 32;

    /// The root of a tree without entries: SHA-256 of nothing.
    #[must_use]
    pub fn of_empty_tree() -> Self {
        Self::from_digest(digest(&SHA256, b"").as_ref())
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    fn from_digest(bytes: &[u8]) -> Self {
        let mut hash = [0; Self::BYTES];
        hash.copy_from_slice(bytes);
        Self(hash)
    }
}

/// The hash of an entry, which is exactly these bytes (RFC 6962 §2.1).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(entry);
    Hash::from_digest(context.finish().as_ref())
}

/// The hash over two others (RFC 6962 §2.1). The first byte tells it from that of an entry, so that none can be taken for
/// the other.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 1 + 2 * Hash::BYTES];
    let (_, hashes) = bytes.split_at_mut(1);
    let (first, second) = hashes.split_at_mut(Hash::BYTES);
    first.copy_from_slice(&left.0);
    second.copy_from_slice(&right.0);
    Hash::from_digest(digest(&SHA256, &bytes).as_ref())
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Hash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = STANDARD.decode(text).map_err(|_| InvalidHash)?;
        bytes.try_into().map(Self).map_err(|_| InvalidHash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
