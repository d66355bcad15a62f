use std::time::Duration;

use crate::numbers::Failures;

/// What is known of a key that may be locked out, in one number: until when it counts (seconds since the start, 32 bits),
/// how many requests wait for their answers (16 bits), and how many answers said no (16 bits; all ones: it is locked).
///
/// Who waits for an answer counts as if it said no, until it is there. Otherwise as many guesses as fit into one round trip
/// would be free.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tries {
    until: u32,
    pending: u16,
    failed: u16,
}

const LOCKED: u16 = u16::MAX;

/// What becomes of one more try.
pub(crate) enum Try {
    /// It may be made.
    Made { then: Tries, left: u16 },
    /// Not before so many seconds are over.
    Refused { wait: u64, left: u16 },
}

impl Tries {
    /// What is not above says nothing any more at this time.
    pub(crate) const fn stale(now: u32) -> u64 {
        ((now as u64) << 32) | u32::MAX as u64
    }

    pub(crate) fn read(value: u64, now: u32) -> Self {
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        let read = Self {
            until: u32::from_be_bytes([a, b, c, d]),
            pending: u16::from_be_bytes([e, f]),
            failed: u16::from_be_bytes([g, h]),
        };
        if read.until > now { read } else { Self::default() }
    }

    pub(crate) const fn value(self) -> u64 {
        ((self.until as u64) << 32) | ((self.pending as u64) << 16) | self.failed as u64
    }

    /// One more request asks to try.
    pub(crate) fn one_more(self, failures: &Failures, now: u32) -> Try {
        if self.failed == LOCKED {
            return Try::Refused { wait: u64::from(self.until.saturating_sub(now)), left: 0 };
        }
        let left = failures.most.saturating_sub(self.failed).saturating_sub(self.pending);
        if left == 0 {
            return Try::Refused { wait: 1, left }; // as many as are left are being tried right now
        }
        let until = if self.until > now { self.until } else { later(now, failures.within) };
        Try::Made { then: Self { until, pending: self.pending.saturating_add(1), ..self }, left: left - 1 }
    }

    /// One more was made in any case: somebody else has judged it.
    pub(crate) fn made(self, failures: &Failures, now: u32) -> Self {
        let until = if self.until > now { self.until } else { later(now, failures.within) };
        Self { until, pending: self.pending.saturating_add(1), ..self }
    }

    /// A request that was tried is over: with an answer that says no, or with any other end.
    pub(crate) fn over(self, failures: &Failures, said_no: bool, now: u32) -> Self {
        let pending = self.pending.saturating_sub(1);
        if !said_no || self.failed == LOCKED {
            return Self { pending, ..self };
        }
        let failed = self.failed.saturating_add(1);
        if failed >= failures.most {
            return Self { until: later(now, failures.lock), pending, failed: LOCKED };
        }
        let until = if self.until > now { self.until } else { later(now, failures.within) };
        Self { until, pending, failed }
    }
}

/// Rounded up, and at least a second.
fn later(now: u32, span: Duration) -> u32 {
    let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    now.saturating_add(u32::try_from(seconds.max(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_comes_when_it_is_locked_locks_for_no_longer() {
        let failures = |most| Failures {
            most,
            within: Duration::from_secs(600),
            lock: Duration::from_secs(900),
            statuses: [401, 0, 0, 0],
        };
        // Two are tried, and meanwhile other rules allow one alone.
        let tried = (0..2).fold(Tries::default(), |tries, _| tries.made(&failures(2), 100));
        let locked = tried.over(&failures(1), true, 101);
        let late = locked.over(&failures(1), true, 500);
        assert!(matches!(late.one_more(&failures(1), 500), Try::Refused { wait: 501, left: 0 }));
        assert!(matches!(Tries::read(late.value(), 1_001).one_more(&failures(1), 1_001), Try::Made { .. }));
    }
}
