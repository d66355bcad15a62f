use std::time::Duration;

use tokio::time::Instant;

/// How quickly those that wait are called, as far as it could be seen.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The mean time between two calls while somebody waited, if there was one.
    mean: Option<Duration>,
    /// When the last was called, or the first began to wait. `None`: nobody waits.
    since: Option<Instant>,
    clock: fn() -> Instant,
}

/// What nobody is told less than, and what is told as long as nothing was seen.
const LEAST: Duration = Duration::from_secs(1);

/// What nobody is told more than: much may change in that time.
const MOST: Duration = Duration::from_secs(60);

impl Pace {
    pub(crate) const fn new(clock: fn() -> Instant) -> Self {
        Self { mean: None, since: None, clock }
    }

    /// Somebody begins to wait.
    pub(crate) fn wait(&mut self) {
        self.since.get_or_insert_with(self.clock);
    }

    /// Nobody waits any more.
    pub(crate) const fn rest(&mut self) {
        self.since = None;
    }

    /// Somebody is called.
    pub(crate) fn call(&mut self) {
        let now = (self.clock)();
        let since = self.since.replace(now).unwrap_or(now);
        let time = now.saturating_duration_since(since);
        self.mean = Some(self.mean.map_or(time, |mean| (mean * 7 + time) / 8));
    }

    /// How long so many calls take. If none came for longer than the mean, that is what one takes now.
    pub(crate) fn of(&self, calls: u64) -> Duration {
        let silence = self.since.map(|since| (self.clock)().saturating_duration_since(since));
        let each = self.mean.max(silence).unwrap_or_default();
        each.saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX)).clamp(LEAST, MOST)
    }
}
