use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hub::Together;
use terms::{Attempt, Breaker};

/// Parts of a store, each of which is left alone by itself: a node of a cluster that is lost takes its own keys with it, and no
/// others. Of one server there is one part.
#[derive(Debug)]
pub(crate) struct Parts {
    all: Vec<Part>,
    /// How many fail.
    ill: AtomicUsize,
}

#[derive(Debug, Default)]
struct Part {
    breaker: Breaker,
    is_ill: AtomicBool,
}

/// So many of a cluster. A node has a stretch of slots, and so a stretch of these.
const PARTS: usize = 64;

const SLOTS: usize = 16_384;

impl Default for Parts {
    fn default() -> Self {
        Self { all: (0..PARTS).map(|_| Part::default()).collect(), ill: AtomicUsize::new(0) }
    }
}

impl Parts {
    /// In which part a key is.
    pub(crate) fn of(together: Together, key: &str) -> usize {
        match together {
            Together::All => 0,
            Together::SameTag => usize::from(slot(key)) / (SLOTS / PARTS),
        }
    }

    /// `None`: this part is to be left alone.
    pub(crate) fn attempt(&self, part: usize, now: u64) -> Option<Attempt<'_>> {
        self.all.get(part)?.breaker.attempt(now)
    }

    /// It did not answer. `true` if it is to be left alone from now on, and was not before.
    pub(crate) fn failed(&self, part: usize, attempt: Attempt<'_>, now: u64) -> bool {
        let falls_ill =
            attempt.failed(now) && self.all.get(part).is_some_and(|part| !part.is_ill.swap(true, Ordering::AcqRel));
        if falls_ill {
            self.ill.fetch_add(1, Ordering::AcqRel);
        }
        falls_ill
    }

    /// It answered. `true` if all of them do.
    pub(crate) fn succeeded(&self, part: usize, attempt: Attempt<'_>) -> bool {
        attempt.succeeded();
        // Costs one look where nothing was wrong.
        if self.ill.load(Ordering::Acquire) == 0 {
            return true;
        }
        let gets_well = self.all.get(part).is_some_and(|part| part.is_ill.swap(false, Ordering::AcqRel));
        gets_well && self.ill.fetch_sub(1, Ordering::AcqRel) == 1
    }

    pub(crate) fn is_left_alone(&self, part: usize, now: u64) -> bool {
        self.all.get(part).is_none_or(|part| part.breaker.is_open(now))
    }

    /// Whether any is left alone.
    pub(crate) fn any_is_left_alone(&self, now: u64) -> bool {
        self.all.iter().any(|part| part.breaker.is_open(now))
    }
}

/// Where a cluster keeps a key: CRC-16 (XMODEM) of what is in its braces, as its specification says.
pub(crate) fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or(key, |(tag, _)| tag);
    let tag = if tag.is_empty() { key } else { tag };
    let shifted = |crc: u16| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
    let crc = tag.bytes().fold(0, |crc, byte| (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| shifted(crc)));
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first is the check value of that CRC.
    #[test]
    fn a_key_is_where_the_specification_says() {
        for (key, at) in
            [("123456789", 0x31c3), ("x:{123456789}:y", 0x31c3), ("foo{}{bar}", 8_363), ("foo{{bar}}zap", 4_015)]
        {
            assert_eq!(slot(key), at, "{key}");
        }
        assert_eq!(Parts::of(Together::All, "123456789"), 0);
        assert_eq!(Parts::of(Together::SameTag, "123456789"), 0x31c3 / 256);
    }

    #[test]
    fn a_part_that_fails_is_left_alone_and_no_other_one_is() {
        let parts = Parts::default();
        let fail = |part| parts.failed(part, parts.attempt(part, 100).unwrap(), 100);
        let fell_ill: Vec<_> = (0..5).map(|_| fail(7)).collect();
        assert_eq!(fell_ill, [false, false, false, false, true]);
        assert!(parts.is_left_alone(7, 100) && !parts.is_left_alone(8, 100) && parts.any_is_left_alone(100));
        assert!(parts.attempt(7, 100).is_none());
        for _ in 0..10 {
            assert!(!parts.succeeded(8, parts.attempt(8, 100).unwrap()), "not all of them are well");
        }
        assert!(parts.attempt(7, 104).is_none());
        assert!(parts.succeeded(7, parts.attempt(7, 105).unwrap()));
        assert!(!parts.any_is_left_alone(105) && parts.succeeded(8, parts.attempt(8, 105).unwrap()));
    }
}
