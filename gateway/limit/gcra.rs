use std::cell::Cell;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{NotUntil, RateLimiter};

use crate::quota::Pace;
use crate::standing::Level;

/// Judges one level.
///
/// `ahead` is how far the key has spent into the future, in nanoseconds from now: 0 for one that is rested. This is
/// GCRA's theoretical arrival time, told from now instead of from the beginning, so that governor can be asked about any
/// key at any time without holding a limiter for it.
///
/// Answers what `ahead` becomes if the request is charged, or `None` if it does not fit.
pub(crate) fn judge(pace: &Pace, ahead: u64) -> Option<u64> {
    let slot = Slot { ahead, next: Cell::new(None) };
    let limiter = RateLimiter::<_, _, _, NoOpMiddleware<Nanos>>::new(pace.quota, slot, Now);
    let outcome: Result<(), NotUntil<Nanos>> = limiter.check();
    outcome.ok()?;
    limiter.into_state_store().next.get()
}

/// What can be said of a key that is `ahead` nanoseconds ahead.
pub(crate) fn level(limit: usize, pace: &Pace, ahead: u64) -> Level {
    let interval = pace.interval.get();
    let burst = u64::from(pace.burst.get());
    let spent = ahead.div_ceil(interval).min(burst);
    let remaining = burst - spent;
    // The bucket as it is with one more unit in it: that is when there is more to spend.
    let next = ahead.saturating_sub((burst - remaining.saturating_add(1).min(burst)) * interval);
    Level {
        limit,
        remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
        reset: std::time::Duration::from_nanos(ahead),
        next: std::time::Duration::from_nanos(next),
    }
}

/// The one value that governor sees as the state of the key in question.
struct Slot {
    ahead: u64,
    next: Cell<Option<u64>>,
}

impl StateStore for Slot {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, judge: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, next) = judge(Some(Nanos::new(self.ahead)))?;
        self.next.set(Some(next.as_u64()));
        Ok(outcome)
    }
}

/// Governor's clock: it is always now.
struct Now;

impl Clock for Now {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(0)
    }
}
