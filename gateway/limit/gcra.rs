use std::cell::Cell;
use std::num::NonZeroU32;

use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};

use crate::pace::Steady;

/// Judges a request of this cost at one level.
///
/// `ahead` is how far the key has spent into the future, in nanoseconds from now: 0 for one that is rested. This is
/// GCRA's theoretical arrival time, told from now instead of from the beginning, so that governor can be asked about any
/// key at any time without holding a limiter for it.
///
/// Answers what `ahead` becomes if the request is charged, or `None` if it does not fit.
pub(crate) fn judge(steady: &Steady, ahead: u64, cost: NonZeroU32) -> Option<u64> {
    let slot = Slot { ahead, next: Cell::new(None) };
    let limiter = RateLimiter::<_, _, _, NoOpMiddleware<Nanos>>::new(steady.quota, slot, Now);
    match cost {
        NonZeroU32::MIN => limiter.check().ok()?,
        cost => limiter.check_n(cost).ok()?.ok()?,
    }
    limiter.into_state_store().next.get()
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
