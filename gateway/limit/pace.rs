use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use governor::Quota;
use terms::{LimitId, Period};

use crate::numbers::Failures;
use crate::{InvalidLimit, Numbers};

/// A limit in the numbers that judge it. Each kind says what the one number of a key means:
///
/// - rates and bytes: the time up to which it has spent, in nanoseconds since the start (GCRA's theoretical arrival time);
/// - requests in flight: how many there are;
/// - quotas: see `used.rs`; failures: see `lockout.rs`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    Bytes(Volume),
    Concurrency(u32),
    Failures(Failures),
    /// Zero: nothing passes, ever.
    Nothing,
    Quota {
        count: u32,
        per: Period,
    },
    Rate(Steady),
}

/// Requests at a rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steady {
    pub(crate) quota: Quota,
    /// Nanoseconds until one unit is back. Rounded up: never more than what is written.
    pub(crate) interval: NonZeroU64,
    pub(crate) burst: NonZeroU32,
}

/// Bytes at a rate. A byte may come back in less than a nanosecond, so that this is a fraction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Volume {
    bytes: NonZeroU64,
    per: u64,
    /// Nanoseconds until a whole budget is back.
    pub(crate) whole: u64,
}

/// Nanoseconds in a microsecond.
pub(crate) const MICRO: u64 = 1_000;

const LONGEST: Duration = Duration::from_secs(366 * 86_400);

impl Pace {
    pub(crate) fn of(id: &LimitId, numbers: &Numbers) -> Result<Self, InvalidLimit> {
        match *numbers {
            Numbers::Bytes { burst: 0, .. }
            | Numbers::Concurrency(0)
            | Numbers::Quota { count: 0, .. }
            | Numbers::Rate { burst: 0, .. } => Ok(Self::Nothing),
            Numbers::Quota { count, per } => Ok(Self::Quota { count, per }),
            Numbers::Failures(failures) if failures.most == 0 => Ok(Self::Nothing),
            Numbers::Bytes { rate, burst } => Volume::of(id, rate, burst).map(Self::Bytes),
            Numbers::Concurrency(most) => Ok(Self::Concurrency(most)),
            Numbers::Failures(failures) if failures.within.max(failures.lock) > LONGEST => {
                Err(InvalidLimit::Long(id.clone()))
            }
            Numbers::Failures(failures) => Ok(Self::Failures(failures)),
            Numbers::Rate { rate, burst } => Steady::of(id, rate, burst).map(Self::Rate),
        }
    }
}

impl Pace {
    /// The same in whole microseconds, in which a store counts; rounded to the strict side.
    pub(crate) fn in_micros(self, id: &LimitId) -> Result<Self, InvalidLimit> {
        match self {
            Self::Rate(steady) if steady.interval.get() < MICRO => Err(InvalidLimit::FastShared(id.clone())),
            Self::Rate(steady) => {
                let interval = steady.interval.get().div_ceil(MICRO).saturating_mul(MICRO);
                Steady::every(id, interval.into(), steady.burst.get()).map(Self::Rate)
            }
            Self::Bytes(volume) => {
                Ok(Self::Bytes(Volume { whole: (volume.whole / MICRO).max(1).saturating_mul(MICRO), ..volume }))
            }
            Self::Concurrency(_) | Self::Failures(_) | Self::Nothing | Self::Quota { .. } => Ok(self),
        }
    }
}

impl Steady {
    fn of(id: &LimitId, rate: terms::Rate, burst: u32) -> Result<Self, InvalidLimit> {
        let count = u128::from(rate.count.get());
        let fast = || InvalidLimit::Fast(id.clone());
        if rate.per.as_nanos() < count {
            return Err(fast());
        }
        Self::every(id, rate.per.as_nanos().div_ceil(count), burst)
    }

    /// So many, one of which is back after so many nanoseconds.
    fn every(id: &LimitId, interval: u128, burst: u32) -> Result<Self, InvalidLimit> {
        let fast = || InvalidLimit::Fast(id.clone());
        // INVARIANT: a whole budget fits into 366 days, so no sum of times overflows 64 bits.
        if interval * u128::from(burst) > LONGEST.as_nanos() {
            return Err(InvalidLimit::Long(id.clone()));
        }
        let interval = u64::try_from(interval).ok().and_then(NonZeroU64::new).ok_or_else(fast)?;
        let burst = NonZeroU32::new(burst).ok_or_else(fast)?;
        let quota = Quota::with_period(Duration::from_nanos(interval.get())).ok_or_else(fast)?.allow_burst(burst);
        Ok(Self { quota, interval, burst })
    }

    /// Nanoseconds until a whole budget is back.
    pub(crate) const fn whole(&self) -> u64 {
        self.interval.get().saturating_mul(self.burst.get() as u64)
    }
}

impl Volume {
    fn of(id: &LimitId, rate: terms::ByteRate, burst: u64) -> Result<Self, InvalidLimit> {
        let per = u64::try_from(rate.per.as_nanos()).unwrap_or(u64::MAX);
        let volume = Self { bytes: rate.bytes, per, whole: 0 };
        let whole = volume.time_of(burst).max(1);
        if Duration::from_nanos(whole) > LONGEST {
            return Err(InvalidLimit::Long(id.clone()));
        }
        Ok(Self { whole, ..volume })
    }

    /// How long so many bytes need to come back, rounded up.
    pub(crate) fn time_of(&self, bytes: u64) -> u64 {
        let time = (u128::from(bytes) * u128::from(self.per)).div_ceil(u128::from(self.bytes.get()));
        u64::try_from(time).unwrap_or(u64::MAX)
    }

    /// How many bytes come back in such a time, rounded down.
    pub(crate) fn bytes_in(&self, nanos: u64) -> u64 {
        let bytes = u128::from(nanos) * u128::from(self.bytes.get()) / u128::from(self.per.max(1));
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// The most that anybody can be in debt: no sum of times overflows.
pub(crate) const fn bounded(ahead: u64) -> u64 {
    let longest = LONGEST.as_secs() * 1_000_000_000;
    if ahead > longest { longest } else { ahead }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate: &str, burst: u32) -> Result<Pace, InvalidLimit> {
        Pace::of(&"l".parse().unwrap(), &Numbers::Rate { rate: rate.parse().unwrap(), burst })
    }

    #[test]
    fn a_limit_that_cannot_be_kept_is_refused_and_never_unlimited() {
        let id = || "l".parse().unwrap();
        assert!(pace("1000000000/s", 1).is_ok());
        assert_eq!(pace("1000000001/s", 1).unwrap_err(), InvalidLimit::Fast(id()));
        assert_eq!(pace("4294967295/s", u32::MAX).unwrap_err(), InvalidLimit::Fast(id()));
        assert!(pace("1/d", 366).is_ok());
        assert_eq!(pace("1/d", 367).unwrap_err(), InvalidLimit::Long(id()));
        assert_eq!(pace("1/d", u32::MAX).unwrap_err(), InvalidLimit::Long(id()));
    }

    #[test]
    fn a_rate_that_does_not_divide_is_rounded_to_the_strict_side() {
        for (rate, nanos) in [("3/s", 333_333_334), ("100/m", 600_000_000)] {
            assert!(matches!(pace(rate, 1), Ok(Pace::Rate(steady)) if steady.interval.get() == nanos), "{rate}");
        }
    }
}
