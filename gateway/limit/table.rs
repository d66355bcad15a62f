use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::key::Fingerprint;

/// How many keys share one set.
pub(crate) const WAYS: usize = 32;

/// The budgets of one limit: for each live key one number, which the kind of the limit gives its meaning. Of a rate it is the
/// time up to which the key has spent, in nanoseconds since the start; see `pace.rs`.
///
/// A key can only be in the set that its fingerprint chooses. A slot whose number is not above a bound that the asker
/// names (of a rate: now) says nothing any more (its key is as good as new) and is free for the next key; so old keys go as new ones come, and nobody sweeps. A set is
/// made when its first key comes: memory grows with use, up to 32 bytes for each key of the capacity.
///
/// A key that finds its set full of live others is charged to `shared`. Nobody who is at their limit is ever forgotten
/// to make room: that would be how to escape one.
#[derive(Debug)]
pub(crate) struct Table {
    sets: Box<[Mutex<Option<Box<Set>>>]>,
    shared: Mutex<u64>,
    /// Which sets were charged since they were looked at last; the last bit is that of `shared`.
    changed: Box<[AtomicU64]>,
    crowded: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Set {
    keys: [u64; WAYS],
    values: [u64; WAYS],
}

/// Where one key's number stands, locked.
#[derive(Debug)]
pub(crate) enum Budget<'a> {
    Own { set: MutexGuard<'a, Option<Box<Set>>>, way: usize, changed: Changed<'a> },
    Shared { value: MutexGuard<'a, u64>, changed: Changed<'a> },
}

/// Where it is noted that a set was charged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed<'a> {
    bits: &'a [AtomicU64],
    place: usize,
}

impl Changed<'_> {
    /// Seldom more than one look: a bit that is there stays until somebody keeps what was charged.
    fn note(self) {
        let bit = 1 << (self.place % 64);
        if let Some(word) = self.bits.get(self.place / 64)
            && word.load(Ordering::Relaxed) & bit == 0
        {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }
}

impl Table {
    /// Holds `capacity` keys and a few more. Sets are half full then, so that a full one is rare: 1 in 10,000.
    pub(crate) fn new(capacity: usize) -> Self {
        let count = capacity.div_ceil(WAYS / 2).max(1);
        Self {
            sets: std::iter::repeat_with(Mutex::default).take(count).collect(),
            shared: Mutex::default(),
            changed: std::iter::repeat_with(AtomicU64::default).take((count + 1).div_ceil(64)).collect(),
            crowded: AtomicU64::new(0),
        }
    }

    /// Locks the budget of a key; in its set, what is not above `stale` may be given to it. While it is held, its set is: whoever holds several takes them in one
    /// order, or two requests wait for each other.
    pub(crate) fn budget(&self, key: Option<Fingerprint>, stale: u64) -> Budget<'_> {
        let own = key.and_then(|key| {
            // The upper half of a product: the fingerprint scaled down to the number of sets.
            let scaled = (u128::from(key.get()) * self.sets.len() as u128) >> 64;
            let place = usize::try_from(scaled).ok()?;
            let mut set = locked(self.sets.get(place)?);
            let way = set.get_or_insert_with(Box::default).way(key.get(), stale);
            if way.is_none() {
                self.crowded.fetch_add(1, Ordering::Relaxed);
            }
            way.map(|way| Budget::Own { set, way, changed: self.changed(place) })
        });
        // FAIL CLOSED: without a key or without room there is one budget for all such, not none at all.
        own.unwrap_or_else(|| Budget::Shared { value: locked(&self.shared), changed: self.changed(self.sets.len()) })
    }

    const fn changed(&self, place: usize) -> Changed<'_> {
        Changed { bits: &self.changed, place }
    }

    /// Tells the key and the number of all that may have been charged since this was asked last; 0 stands for the shared one.
    pub(crate) fn take_changed(&self, mut tell: impl FnMut(u64, u64)) {
        for (word, bits) in self.changed.iter().enumerate() {
            let mut left = if bits.load(Ordering::Relaxed) == 0 { 0 } else { bits.swap(0, Ordering::Relaxed) };
            while left != 0 {
                let place = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                match self.sets.get(place) {
                    Some(set) => {
                        let set = locked(set);
                        let slots = set.iter().flat_map(|set| set.keys.iter().zip(&set.values));
                        slots
                            .filter(|(key, value)| **key != 0 && **value != 0)
                            .for_each(|(key, value)| tell(*key, *value));
                    }
                    None => tell(0, *locked(&self.shared)),
                }
            }
        }
    }

    /// How many requests were charged to the shared budget for want of room.
    pub(crate) fn crowded(&self) -> u64 {
        self.crowded.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn slots(&self) -> usize {
        self.sets.iter().filter(|set| locked(set).is_some()).count() * WAYS
    }
}

impl Set {
    /// The slot that has the key, or a free one made to have it. `None`: all are taken.
    fn way(&mut self, key: u64, stale: u64) -> Option<usize> {
        if let Some(way) = self.keys.iter().position(|other| *other == key) {
            return Some(way);
        }
        let way = self.values.iter().position(|value| *value <= stale)?;
        *self.keys.get_mut(way)? = key;
        // What the last key left there is stale, which is what a new key starts with.
        Some(way)
    }
}

impl Default for Set {
    fn default() -> Self {
        Self { keys: [0; WAYS], values: [0; WAYS] }
    }
}

impl Budget<'_> {
    /// Where the key stands.
    pub(crate) fn value(&self) -> u64 {
        match self {
            Self::Own { set, way, .. } => {
                set.as_ref().and_then(|set| set.values.get(*way)).copied().unwrap_or(u64::MAX)
            }
            Self::Shared { value, .. } => **value,
        }
    }

    /// Charges.
    pub(crate) fn set(&mut self, next: u64) {
        match self {
            Self::Own { changed, .. } | Self::Shared { changed, .. } => changed.note(),
        }
        self.restore(next);
    }

    /// Puts back what is known elsewhere already.
    pub(crate) fn restore(&mut self, next: u64) {
        match self {
            Self::Own { set, way, .. } => {
                if let Some(value) = set.as_mut().and_then(|set| set.values.get_mut(*way)) {
                    *value = next;
                }
            }
            Self::Shared { value, .. } => **value = next,
        }
    }

    /// Whether the key has it for itself.
    pub(crate) const fn is_own(&self) -> bool {
        matches!(self, Self::Own { .. })
    }
}

/// A lock that another thread died with holds numbers that are as good as before: each is written in one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
