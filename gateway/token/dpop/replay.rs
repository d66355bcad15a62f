use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

use super::ProofError;

/// The proofs that were taken and would still be good, so that none is taken twice.
///
/// Bounded in all, since memory is, and by key, so that nobody who signs a great many fills it for the others. Only proofs
/// that are good get in, so that nobody fills it without tokens of an issuer's.
///
/// FAIL CLOSED: none is forgotten before its time to make room for another. When there is no room, proofs are refused.
pub(crate) struct Replays {
    /// By key, so that one key's proofs are counted under one lock, which is held for a look-up.
    shards: [Mutex<Shard>; SHARDS],
    kept: AtomicUsize,
    most: usize,
    most_per_key: usize,
}

#[derive(Default)]
struct Shard {
    used: HashSet<u128>,
    by_key: HashMap<u128, usize>,
    /// In the order in which they came: they are forgotten in the same.
    order: VecDeque<Used>,
}

struct Used {
    until: u64,
    proof: u128,
    key: u128,
}

const SHARDS: usize = 16;

impl Replays {
    pub(crate) fn new(most: usize, most_per_key: usize) -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), kept: AtomicUsize::new(0), most, most_per_key }
    }

    /// Remembers a proof for as long as it could be good.
    pub(crate) fn take(&self, key: &[u8; 32], jti: &str, now: u64, window: u64) -> Result<(), ProofError> {
        if self.kept.load(Ordering::Relaxed) >= self.most {
            self.shards.iter().for_each(|shard| self.forget(&mut lock(shard), now));
            if self.kept.load(Ordering::Relaxed) >= self.most {
                return Err(ProofError::Full);
            }
        }
        let (key, proof) = (first_half(key), digest(key, jti));
        let [first, ..] = &self.shards;
        let index = usize::try_from(key % SHARDS as u128).unwrap_or(0);
        let mut shard = lock(self.shards.get(index).unwrap_or(first));
        self.forget(&mut shard, now);
        let Shard { used, by_key, order } = &mut *shard;
        if used.contains(&proof) {
            return Err(ProofError::Replayed);
        }
        let of_key = by_key.entry(key).or_default();
        if *of_key >= self.most_per_key {
            return Err(ProofError::TooMany);
        }
        *of_key += 1;
        used.insert(proof);
        order.push_back(Used { until: now.saturating_add(window), proof, key });
        self.kept.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Forgets what could not be good any more. Where the clock was set back, what came before that stays for longer.
    fn forget(&self, shard: &mut Shard, now: u64) {
        while let Some(Used { proof, key, .. }) = shard.order.pop_front_if(|used| used.until <= now) {
            shard.used.remove(&proof);
            self.kept.fetch_sub(1, Ordering::Relaxed);
            let left = shard.by_key.get_mut(&key).map(|count| {
                *count = count.saturating_sub(1);
                *count
            });
            if left == Some(0) {
                shard.by_key.remove(&key);
            }
        }
    }

    pub(crate) fn count(&self) -> (usize, usize) {
        (self.kept.load(Ordering::Relaxed), self.most)
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A `jti` is unique only by its key, and as long as its client likes.
fn digest(key: &[u8; 32], jti: &str) -> u128 {
    let mut context = Context::new(&SHA256);
    context.update(key);
    context.update(jti.as_bytes());
    first_half(context.finish().as_ref())
}

fn first_half(bytes: &[u8]) -> u128 {
    bytes.first_chunk().copied().map_or(0, u128::from_be_bytes)
}

impl fmt::Debug for Replays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replays").field("kept", &self.kept).field("most", &self.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_taken_once_for_as_long_as_it_could_be_good() {
        let replays = Replays::new(100, 10);
        let take = |key: u8, jti: &str, now| replays.take(&[key; 32], jti, now, 65);
        assert_eq!(take(1, "a", 1_000), Ok(()));
        assert_eq!(take(1, "a", 1_000), Err(ProofError::Replayed));
        assert_eq!(take(1, "a", 1_064), Err(ProofError::Replayed));
        assert_eq!(take(2, "a", 1_000), Ok(()), "another key's name is another name");
        assert_eq!(take(1, "a", 1_065), Ok(()));
        assert_eq!(replays.count(), (2, 100), "what is over is forgotten, where somebody came by");
    }

    #[test]
    fn no_room_is_made_by_forgetting_what_is_still_good() {
        let replays = Replays::new(4, 2);
        let take = |key: u8, jti: &str, now| replays.take(&[key; 32], jti, now, 65);
        assert_eq!((take(1, "a", 0), take(1, "b", 0)), (Ok(()), Ok(())));
        assert_eq!(take(1, "c", 0), Err(ProofError::TooMany), "one key has had its share");
        assert_eq!((take(2, "a", 0), take(2, "b", 0)), (Ok(()), Ok(())));
        assert_eq!(take(3, "a", 0), Err(ProofError::Full));
        assert_eq!(take(1, "a", 0), Err(ProofError::Full), "whether it was used or not");
        assert_eq!(take(3, "a", 65), Ok(()), "all shards are looked through, also those where nobody comes by");
        assert_eq!(replays.count(), (1, 4));
    }

    #[test]
    fn a_clock_that_is_set_back_lets_nothing_in_twice() {
        let replays = Replays::new(100, 10);
        let take = |jti: &str, now| replays.take(&[1; 32], jti, now, 65);
        assert_eq!((take("a", 5_000), take("b", 1_000)), (Ok(()), Ok(())));
        assert_eq!((take("a", 1_001), take("b", 1_001)), (Err(ProofError::Replayed), Err(ProofError::Replayed)));
        assert_eq!(take("a", 5_064), Err(ProofError::Replayed));
    }
}
