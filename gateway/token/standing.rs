use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use terms::IssuerId;

/// All that a token which was verified before is asked about its key, each time: whose it is, whether it is still
/// published, and when its issuer last said so.
///
/// It lies together in one line of memory (64 bytes with the counts of its `Arc`), so that of ten thousand issuers each
/// costs what one does: beside what is known of the token itself, nothing else has to be looked at.
#[derive(Debug)]
pub(crate) struct Standing {
    /// What routes call the issuer, to compare with those that they accept.
    issuer: IssuerId,
    /// How long keys are used that could not be read again, in seconds.
    max_stale: u64,
    /// When the key was last read, in seconds since the Unix epoch.
    confirmed: AtomicU64,
    /// When a token of its was good for the last time.
    used: AtomicU64,
    /// It is not published any more, or its issuer was let go.
    gone: AtomicBool,
}

impl Standing {
    /// Of a key that was not read yet.
    pub(crate) fn new(issuer: IssuerId, max_stale: Duration) -> Self {
        Self {
            issuer,
            max_stale: max_stale.as_secs(),
            confirmed: AtomicU64::new(0),
            used: AtomicU64::new(0),
            gone: AtomicBool::new(false),
        }
    }

    pub(crate) const fn issuer(&self) -> &IssuerId {
        &self.issuer
    }

    /// The key was read just now.
    pub(crate) fn confirm(&self, now: u64) {
        self.confirmed.store(now, Ordering::Release);
    }

    /// Whether the key may be used now.
    pub(crate) fn is_fresh(&self, now: u64) -> bool {
        is_fresh(self.confirmed.load(Ordering::Acquire), now, self.max_stale)
    }

    /// Tokens that it has verified are to be verified again. One that comes back is a new key.
    pub(crate) fn withdraw(&self) {
        self.gone.store(true, Ordering::Release);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// A token of its is good now.
    pub(crate) fn note_use(&self, now: u64) {
        if self.used() != now {
            self.used.store(now, Ordering::Relaxed);
        }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

/// Whether keys that were last read then may be used now.
///
/// FAIL CLOSED: not if they were never read, read too long ago, or by a clock that has since been set back by as much.
pub(crate) const fn is_fresh(confirmed: u64, now: u64, max_stale: u64) -> bool {
    confirmed != 0 && confirmed.abs_diff(now) <= max_stale
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn it_fits_in_one_line_of_memory_with_the_counts_of_its_arc() {
        let counts = size_of::<usize>() * 2;
        assert!(size_of::<Standing>() + counts <= 64, "{}", size_of::<Standing>());
        assert_eq!(size_of::<Arc<Standing>>(), 8);
    }
}
