use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many retries one upstream may be asked for: what its requests have earned, and a few in each second besides. A
/// backend that is down gets that much more than its load, and never a multiple of it.
#[derive(Debug)]
pub struct Budget {
    settings: BudgetSettings,
    /// What was earned and not spent, in [`RETRY`] parts of a retry.
    saved: AtomicU64,
    /// When the reserve is full again, in nanoseconds after `origin`.
    full_at: AtomicU64,
    origin: Instant,
}

/// What may be spent on retries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BudgetSettings {
    /// How many retries a hundred requests earn.
    pub percent: u32,
    /// How many there are in each second whatever was earned: without them, one request in an hour has no retry.
    pub per_second: NonZeroU32,
}

/// There is no retry left.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the budget for retries is spent")]
pub struct Spent;

/// One retry, in the parts that are counted.
const RETRY: u64 = 100;

/// The most that is saved up, in retries: what a sudden outage after a long quiet time may cost at once.
const SAVINGS: u64 = 100;

impl Budget {
    /// A budget that has earned nothing yet.
    #[must_use]
    pub const fn new(settings: BudgetSettings, now: Instant) -> Self {
        Self { settings, saved: AtomicU64::new(0), full_at: AtomicU64::new(0), origin: now }
    }

    /// Notes that a request came.
    pub fn earn(&self) {
        // A budget that is full is only read: no two workers write to it while all is well.
        if self.saved.load(Ordering::Relaxed) < SAVINGS * RETRY {
            self.saved.fetch_add(u64::from(self.settings.percent), Ordering::Relaxed);
        }
    }

    /// Takes one retry.
    ///
    /// # Errors
    /// There is none left.
    pub fn spend(&self, now: Instant) -> Result<(), Spent> {
        let less = |saved: u64| saved.checked_sub(RETRY);
        if self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            return Ok(());
        }
        let now = u64::try_from(now.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX);
        let second = Duration::from_secs(1).as_nanos() as u64;
        let each = second / u64::from(self.settings.per_second.get());
        let less = |full_at: u64| {
            let next = full_at.max(now).checked_add(each)?;
            (next <= now.checked_add(second)?).then_some(next)
        };
        self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).map(drop).map_err(|_| Spent)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget(percent: u32, per_second: u32, now: Instant) -> Budget {
        Budget::new(BudgetSettings { percent, per_second: NonZeroU32::new(per_second).unwrap() }, now)
    }

    #[test]
    fn a_request_in_an_hour_has_its_retry_and_ten_at_once_share_the_reserve() {
        let start = Instant::now();
        let budget = budget(20, 3, start);
        let granted = |at| (0..10).filter(|_| budget.spend(at).is_ok()).count();
        assert_eq!(granted(start), 3);
        assert_eq!(granted(start + Duration::from_millis(334)), 1);
        assert_eq!(granted(start + Duration::from_secs(3_600)), 3, "the reserve does not grow over the years");
    }

    #[test]
    fn five_requests_earn_one_retry_and_a_quiet_day_no_more_than_the_savings() {
        let start = Instant::now();
        let budget = budget(20, 1, start);
        (0..5).for_each(|_| budget.earn());
        assert_eq!((0..10).filter(|_| budget.spend(start).is_ok()).count(), 1 + 1);
        (0..1_000_000).for_each(|_| budget.earn());
        assert_eq!((0..1_000).filter(|_| budget.spend(start).is_ok()).count(), 100);
    }

    proptest! {
        #[test]
        fn no_order_of_events_gets_more_than_the_share_and_the_reserve(
            percent in 0_u32..=100,
            per_second in 1_u32..=20,
            events in prop::collection::vec((0_u64..50, any::<bool>()), 1..500),
        ) {
            let start = Instant::now();
            let budget = budget(percent, per_second, start);
            let (mut now, mut came, mut retried) = (start, 0_u64, 0_u64);
            for (milliseconds, retry) in events {
                now += Duration::from_millis(milliseconds);
                if retry {
                    retried += u64::from(budget.spend(now).is_ok());
                } else {
                    budget.earn();
                    came += 1;
                }
            }
            let seconds = (now - start).as_secs_f64() + 1.0;
            let most = (came * u64::from(percent) / 100) as f64 + f64::from(per_second) * seconds;
            prop_assert!(retried as f64 <= most + 1e-6, "{retried} of at most {most}");
        }
    }
}
