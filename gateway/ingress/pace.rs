use std::time::Duration;

use tokio::time::Instant;

use crate::BodyPace;

/// How long a client may still keep us waiting. Waiting takes from it, bytes that move give back, so that whoever moves
/// more than the rate bytes a second on the whole goes on for ever, in whatever pieces, and whoever moves less does not.
///
/// It never holds more than the grace: bytes of long ago do not pay for standing still now.
#[derive(Debug)]
pub(crate) struct Pace {
    may: BodyPace,
    left: Duration,
    waiting: Option<Instant>,
}

/// A client has kept us waiting for longer than it may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TooSlow;

impl Pace {
    pub(crate) const fn new(may: BodyPace) -> Self {
        Self { may, left: may.grace, waiting: None }
    }

    /// It is the client's turn, and it does nothing. Until when that may go on.
    pub(crate) fn wait(&mut self, now: Instant) -> Result<Instant, TooSlow> {
        let until = *self.waiting.get_or_insert(now) + self.left;
        if now < until { Ok(until) } else { Err(TooSlow) }
    }

    /// So many bytes have moved.
    pub(crate) fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        if self.left < self.may.grace {
            let earned = self.may.time_for(u64::try_from(bytes).unwrap_or(u64::MAX));
            self.left = self.left.saturating_add(earned).min(self.may.grace);
        }
    }

    /// It is not the client's turn.
    pub(crate) const fn rest(&mut self) {
        self.waiting = None;
        self.left = self.may.grace;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    fn pace() -> Pace {
        Pace::new(BodyPace { rate: 1000.try_into().unwrap(), grace: GRACE })
    }

    /// Moves `bytes` every `every`, and says after how long that was too slow, if it was within an hour.
    async fn endures(bytes: usize, every: Duration) -> Option<Duration> {
        let (mut pace, start) = (pace(), Instant::now());
        while start.elapsed() < Duration::from_secs(3600) {
            let waited = Instant::now();
            while waited.elapsed() < every {
                let until = match pace.wait(Instant::now()) {
                    Ok(until) => until,
                    Err(TooSlow) => return Some(start.elapsed()),
                };
                tokio::time::sleep_until(until.min(waited + every)).await;
            }
            pace.moved(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_moves_enough_goes_on_and_whoever_does_not_is_too_slow() {
        let seconds = Duration::from_secs;
        for (bytes, every, until) in [
            (0, 1, Some(10)),
            (1, 9, Some(10)),
            (1, 1, Some(10)),
            (500, 1, Some(20)),
            (900, 1, Some(92)),
            (1000, 1, None),
            (9000, 9, None),
            (1_000_000, 9, None),
            (1_000_000_000, 11, Some(10)), // the grace is also the longest silence
        ] {
            let endured = endures(bytes, seconds(every)).await;
            let near = |endured: Duration, until| endured.abs_diff(seconds(until)) <= seconds(1);
            let fits = match (endured, until) {
                (Some(endured), Some(until)) => near(endured, until),
                (endured, until) => endured.is_none() && until.is_none(),
            };
            assert!(fits, "{bytes} bytes every {every} s: {endured:?}, not {until:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_it_was_not_the_clients_turn_does_not_count() {
        let mut pace = pace();
        for _ in 0..100 {
            pace.wait(Instant::now()).unwrap();
            tokio::time::sleep(Duration::from_secs(9)).await;
            pace.rest();
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        pace.moved(1);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(pace.wait(Instant::now()).is_ok(), "only from now on it is waited for");
    }
}
