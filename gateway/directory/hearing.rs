use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Whether notices are heard: when the connection that they come by has last answered.
#[derive(Debug)]
pub(crate) struct Hearing {
    origin: Instant,
    /// In milliseconds since then, and one more; 0: it is gone, or has never been.
    last: AtomicU64,
}

/// How long it may be silent. Also a network that just swallows everything hides no change for longer.
const SILENCE: Duration = Duration::from_secs(1);

impl Hearing {
    pub(crate) fn new(origin: Instant) -> Self {
        Self { origin, last: AtomicU64::new(0) }
    }

    /// It has answered what it was asked at this time.
    pub(crate) fn heard(&self, at: Instant) {
        let millis = at.saturating_duration_since(self.origin).as_millis();
        self.last.store(u64::try_from(millis).unwrap_or(u64::MAX - 1) + 1, Ordering::Release);
    }

    /// It is gone.
    pub(crate) fn lost(&self) {
        self.last.store(0, Ordering::Release);
    }

    pub(crate) fn hears(&self, now: Instant) -> bool {
        let Some(last) = self.last.load(Ordering::Acquire).checked_sub(1) else { return false };
        now.saturating_duration_since(self.origin).saturating_sub(Duration::from_millis(last)) <= SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_has_been_silent_for_a_second_is_not_heard() {
        let origin = Instant::now();
        let hearing = Hearing::new(origin);
        assert!(!hearing.hears(origin), "never yet");
        hearing.heard(origin);
        assert!(hearing.hears(origin) && hearing.hears(origin + SILENCE));
        assert!(!hearing.hears(origin + SILENCE + Duration::from_millis(1)));
        hearing.heard(origin + SILENCE * 2);
        assert!(hearing.hears(origin + SILENCE * 3));
        hearing.lost();
        assert!(!hearing.hears(origin + SILENCE * 2));
    }
}
