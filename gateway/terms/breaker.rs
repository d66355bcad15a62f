use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Leaves somebody who is asked alone that fails again and again, so that nobody waits for it in vain.
#[derive(Debug, Default)]
pub struct Breaker {
    in_a_row: AtomicU32,
    /// In seconds since the Unix epoch.
    open_until: AtomicU64,
    /// Somebody tries whether it is well again.
    trying: AtomicBool,
}

/// Leave to ask. What came of it must be said; if it is dropped, nothing came of it.
#[derive(Debug)]
pub struct Attempt<'b> {
    breaker: &'b Breaker,
    is_trial: bool,
}

/// Failures in a row until it is left alone, and for how many seconds.
const FAILURES: u32 = 5;
const SECONDS: u64 = 5;

impl Breaker {
    /// `None`: it is to be left alone. Once that time is over, one at a time may try.
    #[must_use]
    pub fn attempt(&self, now: u64) -> Option<Attempt<'_>> {
        if self.in_a_row.load(Ordering::Acquire) < FAILURES {
            return Some(Attempt { breaker: self, is_trial: false });
        }
        let is_over = !self.is_within(now);
        (is_over && !self.trying.swap(true, Ordering::AcqRel)).then_some(Attempt { breaker: self, is_trial: true })
    }

    /// Whether it is left alone now.
    #[must_use]
    pub fn is_open(&self, now: u64) -> bool {
        self.in_a_row.load(Ordering::Acquire) >= FAILURES && self.is_within(now)
    }

    /// A clock that was set back does not leave it alone for ever.
    fn is_within(&self, now: u64) -> bool {
        let until = self.open_until.load(Ordering::Acquire);
        now < until && until - now <= SECONDS
    }
}

impl Attempt<'_> {
    /// It did not answer. `true` if it is to be left alone from now on.
    #[must_use]
    pub fn failed(self, now: u64) -> bool {
        let before = self.breaker.in_a_row.load(Ordering::Acquire);
        self.breaker.in_a_row.store(before.saturating_add(1), Ordering::Release);
        let opens = before + 1 >= FAILURES;
        if opens {
            self.breaker.open_until.store(now.saturating_add(SECONDS), Ordering::Release);
        }
        opens && before < FAILURES
    }

    /// It answered.
    pub fn succeeded(self) {
        self.breaker.in_a_row.store(0, Ordering::Release);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.is_trial {
            self.breaker.trying.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_fails_again_and_again_is_left_alone_and_tried_by_one_at_a_time() {
        let breaker = Breaker::default();
        for round in 1..=FAILURES {
            assert!(!breaker.is_open(100));
            assert_eq!(breaker.attempt(100).unwrap().failed(100), round == FAILURES);
        }
        assert!(breaker.is_open(100) && breaker.attempt(104).is_none());
        assert!(!breaker.is_open(90), "by a clock that was set back");
        let trial = breaker.attempt(105).unwrap();
        assert!(breaker.attempt(105).is_none(), "one at a time");
        assert!(!trial.failed(105));
        assert!(breaker.attempt(109).is_none());
        drop(breaker.attempt(110).unwrap());
        breaker.attempt(110).unwrap().succeeded();
        let all: Vec<_> = (0..10).map(|_| breaker.attempt(110)).collect();
        assert!(all.iter().all(Option::is_some));
    }

    #[test]
    fn one_that_succeeds_now_and_then_is_not_left_alone() {
        let breaker = Breaker::default();
        for _ in 0..100 {
            assert!(!breaker.attempt(1).unwrap().failed(1));
            breaker.attempt(1).unwrap().succeeded();
        }
    }
}
