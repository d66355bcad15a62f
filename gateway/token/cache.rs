use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::Caller;
use crate::standing::Standing;

/// Tokens that have been verified, by their SHA-256. Bounded in number and in bytes; only good ones get in, so nobody
/// can fill it without an issuer's signature.
pub(crate) struct Verified {
    cache: Cache<[u8; 32], Entry, InBytes>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What is remembered of a token.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) caller: Arc<Caller>,
    /// The key that verified it.
    pub(crate) key: Arc<Standing>,
}

/// How the cache of verified tokens does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CacheStats {
    /// Tokens that were found, and good.
    pub hits: u64,
    /// Tokens that had to be verified.
    pub misses: u64,
    /// Tokens that are remembered now.
    pub entries: usize,
}

/// What an entry may take on average.
const ENTRY_BYTES: usize = 1_024;

#[derive(Clone)]
struct InBytes;

impl Weighter<[u8; 32], Entry> for InBytes {
    /// At least the average, so that the capacity bounds both the number of entries and their bytes.
    fn weight(&self, _: &[u8; 32], entry: &Entry) -> u64 {
        entry.caller.bytes().max(ENTRY_BYTES) as u64
    }
}

impl Verified {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            cache: Cache::with_weighter(capacity, capacity.saturating_mul(ENTRY_BYTES) as u64, InBytes),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Takes a lock of one of many shards, for as long as it takes to clone an `Arc`.
    pub(crate) fn get(&self, fingerprint: &[u8; 32]) -> Option<Entry> {
        self.cache.get(fingerprint)
    }

    pub(crate) fn insert(&self, fingerprint: [u8; 32], entry: Entry) {
        self.cache.insert(fingerprint, entry);
    }

    pub(crate) fn forget(&self, fingerprint: &[u8; 32]) {
        self.cache.remove(fingerprint);
    }

    pub(crate) fn count_hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: self.cache.len(),
        }
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}
