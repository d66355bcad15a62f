use std::time::Duration;

/// How long to wait after failures: twice as long each time, and never the same for two who failed together.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(60);
/// A receiver that asks for more than this is asked again all the same.
const MOST_ASKED: Duration = Duration::from_secs(600);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST }
    }

    pub(crate) const fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The next wait: at least as long as was asked for.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let wait = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.next = (self.next * 2).min(LONGEST);
        wait.max(asked.unwrap_or_default().min(MOST_ASKED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..12).map(|_| backoff.next(None)).collect();
        assert!(waits[0] >= FIRST / 2 && waits[0] <= FIRST, "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= LONGEST), "{waits:?}");
        assert!(waits[11] >= LONGEST / 2, "{waits:?}");
        backoff.reset();
        assert!(backoff.next(None) <= FIRST);
    }

    #[test]
    fn a_receiver_may_ask_for_time_but_not_for_ever() {
        assert!(Backoff::new().next(Some(Duration::from_secs(7))) >= Duration::from_secs(7));
        assert_eq!(Backoff::new().next(Some(Duration::from_secs(86_400))), MOST_ASKED);
    }
}
