use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::{Caller, TokenError};

/// What issuers have said of tokens, by the place of the issuer and the SHA-256 of the token: what one says of a text is
/// nothing that another has said.
///
/// Good tokens and others are kept apart, so that nobody can crowd out the good with what he makes up. Both are bounded.
#[derive(Debug)]
pub(crate) struct Memory {
    good: Cache<Key, Good, InBytes>,
    refused: Cache<Key, Refused>,
}

type Key = (u32, [u8; 32]);

#[derive(Clone, Debug)]
struct Good {
    caller: Arc<Caller>,
    until: u64,
}

#[derive(Clone, Debug)]
struct Refused {
    error: TokenError,
    until: u64,
}

#[derive(Clone, Debug)]
struct InBytes;

/// What a good token may take on average.
const BYTES: usize = 1_024;

impl Weighter<Key, Good> for InBytes {
    fn weight(&self, _: &Key, good: &Good) -> u64 {
        good.caller.bytes().max(BYTES) as u64
    }
}

/// How long a refusal is believed: long enough to blunt who asks again and again.
const REFUSED_SECONDS: u64 = 5;

/// How many refusals are remembered.
const MOST_REFUSED: usize = 10_000;

impl Memory {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            good: Cache::with_weighter(capacity, capacity.saturating_mul(BYTES) as u64, InBytes),
            refused: Cache::new(MOST_REFUSED),
        }
    }

    pub(super) fn recall(&self, place: u32, token: &[u8; 32], now: u64) -> Option<Result<Arc<Caller>, TokenError>> {
        let key = (place, *token);
        if let Some(good) = self.good.get(&key) {
            if now < good.until {
                return Some(Ok(good.caller));
            }
            self.good.remove(&key);
            return None;
        }
        let refused = self.refused.get(&key)?;
        // By a clock that was set back, it would be believed for longer.
        (now < refused.until && refused.until - now <= REFUSED_SECONDS).then_some(Err(refused.error))
    }

    pub(super) fn remember(&self, place: u32, token: [u8; 32], caller: Arc<Caller>, until: u64) {
        self.good.insert((place, token), Good { caller, until });
    }

    pub(super) fn remember_refused(&self, place: u32, token: [u8; 32], error: TokenError, now: u64) {
        self.refused.insert((place, token), Refused { error, until: now.saturating_add(REFUSED_SECONDS) });
    }

    pub(crate) fn len(&self) -> usize {
        self.good.len()
    }
}
