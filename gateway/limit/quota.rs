use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use governor::Quota;
use terms::{LimitId, Rate};

use crate::KeyPart;

/// One limit as a policy file states it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limit {
    /// What the file calls it. Clients see it in the `RateLimit` fields.
    pub id: LimitId,
    /// How fast what was spent comes back.
    pub rate: Rate,
    /// How much may be spent at once after a rest.
    pub burst: NonZeroU32,
    /// What has a budget of its own: each combination of these. None at all: one budget for everybody.
    pub key: Vec<KeyPart>,
}

/// Why a limit cannot be kept.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidLimit {
    /// A name that stands for two limits.
    #[error("the limit `{0}` is defined twice")]
    Duplicate(LimitId),
    /// More than one per nanosecond.
    #[error("the limit `{0}` is faster than time can be measured; at most 1000000000/s can be kept")]
    Fast(LimitId),
    /// An empty budget needs more than a year to be full again.
    #[error(
        "the limit `{0}` needs more than 366 days until its burst is whole again; lower the burst or raise the rate"
    )]
    Long(LimitId),
    /// A part of the key that stands there twice.
    #[error("the limit `{0}` names a part of its key twice")]
    Repeated(LimitId),
}

/// A limit in the numbers that judge it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) quota: Quota,
    /// Nanoseconds until one unit is back. Rounded up: never more than what is written.
    pub(crate) interval: NonZeroU64,
    pub(crate) burst: NonZeroU32,
}

impl Pace {
    const LONGEST: Duration = Duration::from_secs(366 * 86_400);

    pub(crate) fn of(limit: &Limit) -> Result<Self, InvalidLimit> {
        let Limit { id, rate, burst, key } = limit;
        if key.iter().enumerate().any(|(i, part)| key.iter().skip(i + 1).any(|other| other == part)) {
            return Err(InvalidLimit::Repeated(id.clone()));
        }
        let count = u128::from(rate.count.get());
        if rate.per.as_nanos() < count {
            return Err(InvalidLimit::Fast(id.clone()));
        }
        let interval = rate.per.as_nanos().div_ceil(count);
        // INVARIANT: a whole budget fits into 366 days, so no sum of times below overflows 64 bits.
        if interval * u128::from(burst.get()) > Self::LONGEST.as_nanos() {
            return Err(InvalidLimit::Long(id.clone()));
        }
        let interval = u64::try_from(interval).ok().and_then(NonZeroU64::new);
        let interval = interval.ok_or_else(|| InvalidLimit::Fast(id.clone()))?;
        let quota = Quota::with_period(Duration::from_nanos(interval.get()));
        let quota = quota.ok_or_else(|| InvalidLimit::Fast(id.clone()))?.allow_burst(*burst);
        Ok(Self { quota, interval, burst: *burst })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(rate: &str, burst: u32) -> Limit {
        Limit {
            id: "l".parse().unwrap(),
            rate: rate.parse().unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
            key: Vec::new(),
        }
    }

    #[test]
    fn a_limit_that_cannot_be_kept_is_refused_and_never_unlimited() {
        let id = || "l".parse().unwrap();
        assert!(Pace::of(&limit("1000000000/s", 1)).is_ok());
        assert_eq!(Pace::of(&limit("1000000001/s", 1)).unwrap_err(), InvalidLimit::Fast(id()));
        assert_eq!(Pace::of(&limit("4294967295/s", u32::MAX)).unwrap_err(), InvalidLimit::Fast(id()));
        assert!(Pace::of(&limit("1/d", 366)).is_ok());
        assert_eq!(Pace::of(&limit("1/d", 367)).unwrap_err(), InvalidLimit::Long(id()));
        assert_eq!(Pace::of(&limit("1/d", u32::MAX)).unwrap_err(), InvalidLimit::Long(id()));
        let twice = Limit { key: vec![KeyPart::User, KeyPart::Tenant, KeyPart::User], ..limit("1/s", 1) };
        assert_eq!(Pace::of(&twice).unwrap_err(), InvalidLimit::Repeated(id()));
    }

    #[test]
    fn a_rate_that_does_not_divide_is_rounded_to_the_strict_side() {
        assert_eq!(Pace::of(&limit("3/s", 1)).unwrap().interval.get(), 333_333_334);
        assert_eq!(Pace::of(&limit("100/m", 1)).unwrap().interval.get(), 600_000_000);
    }
}
