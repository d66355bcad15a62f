use std::num::NonZeroU16;
use std::time::Duration;

use terms::{ByteRate, Rate};

use crate::Numbers;
use crate::judge::Moment;
use crate::lockout::Tries;
use crate::numbers::Failures;
use crate::pace::{Pace, bounded};
use crate::used::Used;

impl Numbers {
    /// What one of so many gateways has of it. Rounded down, so that all of them together never have more than there is; but
    /// never to nothing, where there is anything.
    pub(crate) fn share(self, gateways: NonZeroU16) -> Self {
        let most = |count: u32| if count == 0 { 0 } else { (count / u32::from(gateways.get())).max(1) };
        let slower = |per: Duration| per.saturating_mul(gateways.get().into());
        match self {
            Self::Bytes { rate, burst } => Self::Bytes {
                rate: ByteRate { per: slower(rate.per), ..rate },
                burst: if burst == 0 { 0 } else { (burst / u64::from(gateways.get())).max(1) },
            },
            Self::Concurrency(count) => Self::Concurrency(most(count)),
            Self::Failures(failures) => {
                let share = u16::try_from(most(failures.most.into())).unwrap_or(failures.most);
                Self::Failures(Failures { most: share, ..failures })
            }
            Self::Quota { count, per } => Self::Quota { count: most(count), per },
            Self::Rate { rate, burst } => {
                Self::Rate { rate: Rate { per: slower(rate.per), ..rate }, burst: most(burst) }
            }
        }
    }
}

impl Pace {
    /// What a key's number becomes when a request is charged that somebody else has let through, whether it fits or not: at
    /// most a budget that is used up.
    pub(crate) fn charged_in_any_case(&self, value: u64, now: Moment<'_>, cost: u32) -> u64 {
        match self {
            Self::Rate(steady) => {
                let ahead = value.saturating_sub(now.nanos);
                let ahead = ahead.saturating_add(steady.interval.get().saturating_mul(cost.into()));
                now.nanos.saturating_add(ahead.min(steady.whole()))
            }
            Self::Bytes(_) => value.max(now.nanos),
            Self::Concurrency(_) => value.saturating_add(1),
            Self::Failures(failures) => Tries::read(value, now.seconds()).made(failures, now.seconds()).value(),
            Self::Quota { per, .. } => {
                let used = Used::read(value).in_period(now.calendar, now.zone.end_of(*per, now.calendar));
                Used { count: used.count.saturating_add(cost), ..used }.value()
            }
            Self::Nothing => value,
        }
    }

    /// What a key's number becomes when a request that was charged is given back before it began. Those kinds that mind the end
    /// of a request give back then.
    pub(crate) fn refunded(&self, value: u64, now: Moment<'_>, cost: u32) -> u64 {
        match self {
            Self::Rate(steady) => value.saturating_sub(bounded(steady.interval.get().saturating_mul(cost.into()))),
            Self::Quota { .. } => {
                let used = Used::read(value);
                if used.ends <= now.calendar {
                    return value;
                }
                Used { count: used.count.saturating_sub(cost), ..used }.value()
            }
            Self::Bytes(_) | Self::Concurrency(_) | Self::Failures(_) | Self::Nothing => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shares_together_are_no_more_than_the_whole_and_none_of_something_is_nothing() {
        let gateways = NonZeroU16::new(3).unwrap();
        let rate = |burst| Numbers::Rate { rate: "100/m".parse().unwrap(), burst };
        let third = |burst| Numbers::Rate { rate: Rate { per: Duration::from_secs(180), ..rate_of("100/m") }, burst };
        for (whole, share) in [
            (rate(20), third(6)),
            (rate(2), third(1)),
            (rate(0), third(0)),
            (Numbers::Concurrency(10), Numbers::Concurrency(3)),
            (Numbers::Concurrency(0), Numbers::Concurrency(0)),
        ] {
            assert_eq!(whole.share(gateways), share);
            assert_eq!(whole.share(NonZeroU16::MIN), whole);
        }
    }

    fn rate_of(text: &str) -> Rate {
        text.parse().unwrap()
    }
}
