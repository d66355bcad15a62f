use std::num::NonZeroU32;
use std::time::Duration;

use terms::Zone;

use crate::lockout::{Tries, Try};
use crate::pace::{Pace, bounded};
use crate::used::Used;
use crate::{gcra, standing::Level};

/// When a request is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    /// Nanoseconds since the start.
    pub(crate) nanos: u64,
    /// Seconds since the Unix epoch.
    pub(crate) calendar: u32,
    /// Whose days and months those of the asker are.
    pub(crate) zone: &'a Zone,
}

impl Moment<'_> {
    pub(crate) fn seconds(self) -> u32 {
        u32::try_from(self.nanos / 1_000_000_000).unwrap_or(u32::MAX)
    }
}

/// What one level says of a request.
pub(crate) struct Judged {
    /// What the key's number should have been, also if the request is refused: under numbers that became smaller nobody is
    /// further behind than a budget that is used up.
    pub(crate) before: u64,
    /// The key's number once the request is charged. `None`: it does not fit.
    pub(crate) after: Option<u64>,
    /// Where the key stands once it is charged.
    pub(crate) charged: Level,
    /// Where it stands if it is not: because it does not fit here, or not elsewhere.
    pub(crate) uncharged: Level,
}

/// How long until there is more of what never comes.
pub(crate) const NEVER: Duration = Duration::MAX;

/// How long whoever waits for a request of somebody to end is asked to wait.
const A_WHILE: Duration = Duration::from_secs(1);

impl Pace {
    /// A key whose number is not above is as good as new.
    pub(crate) fn stale(&self, now: Moment<'_>) -> u64 {
        match self {
            Self::Bytes(_) | Self::Rate(_) => now.nanos,
            Self::Quota { .. } => Used::stale(now.calendar),
            Self::Concurrency(_) | Self::Nothing => 0,
            Self::Failures(_) => Tries::stale(now.seconds()),
        }
    }

    /// Judges a request of this cost against a key's number. It is pure, and all that a store which several gateways share
    /// would have to do.
    pub(crate) fn judge(&self, value: u64, now: Moment<'_>, cost: NonZeroU32) -> Judged {
        match self {
            Self::Rate(steady) => {
                let ahead = value.saturating_sub(now.nanos).min(steady.whole());
                let interval = steady.interval.get();
                let level = |ahead: u64, units: u64| {
                    let burst = u64::from(steady.burst.get());
                    let remaining = burst - ahead.div_ceil(interval).min(burst);
                    // The budget as it is with so many units in it.
                    let then = (burst - units.max(remaining.saturating_add(1)).min(burst)) * interval;
                    Level::new(remaining, Duration::from_nanos(ahead), Duration::from_nanos(ahead.saturating_sub(then)))
                };
                let after = gcra::judge(steady, ahead, cost);
                let cost = u64::from(cost.get());
                let mut uncharged = level(ahead, if after.is_some() { 0 } else { cost });
                if after.is_none() && cost > u64::from(steady.burst.get()) {
                    uncharged.next = NEVER;
                }
                let charged = after.map_or(uncharged, |after| level(after, 0));
                let before = value.min(now.nanos.saturating_add(ahead));
                Judged { before, after: after.map(|after| now.nanos.saturating_add(after)), charged, uncharged }
            }
            Self::Bytes(volume) => {
                let ahead = bounded(value.saturating_sub(now.nanos));
                let remaining = volume.bytes_in(volume.whole.saturating_sub(ahead));
                let fits = ahead < volume.whole;
                let next = ahead.saturating_sub(volume.whole.saturating_sub(1));
                let level = Level::new(remaining, Duration::from_nanos(ahead), Duration::from_nanos(next));
                Judged { before: value, after: fits.then_some(value.max(now.nanos)), charged: level, uncharged: level }
            }
            Self::Concurrency(most) => {
                let most = u64::from(*most);
                let level = |taken: u64| {
                    let remaining = most.saturating_sub(taken);
                    Level::new(remaining, A_WHILE, if remaining == 0 { A_WHILE } else { Duration::ZERO })
                };
                let after = (value < most).then_some(value + 1);
                Judged { before: value, after, charged: level(value.saturating_add(1)), uncharged: level(value) }
            }
            Self::Failures(failures) => {
                let tries = Tries::read(value, now.seconds());
                match tries.one_more(failures, now.seconds()) {
                    Try::Made { then, left } => {
                        let level = Level::new(u64::from(left), failures.within, Duration::ZERO);
                        Judged { before: value, after: Some(then.value()), charged: level, uncharged: level }
                    }
                    Try::Refused { wait, left } => {
                        let wait = Duration::from_secs(wait);
                        let level = Level::new(u64::from(left), wait, wait);
                        Judged { before: value, after: None, charged: level, uncharged: level }
                    }
                }
            }
            Self::Quota { count, per } => {
                let used = Used::read(value).in_period(now.calendar, now.zone.end_of(*per, now.calendar));
                let end = Duration::from_secs(u64::from(used.ends.saturating_sub(now.calendar)));
                let cost = cost.get();
                let level = |used: u32, cost: u32| {
                    let left = count.saturating_sub(used);
                    let next = if cost > *count { NEVER } else { end };
                    Level::new(u64::from(left), end, next)
                };
                let after = used.count.checked_add(cost).filter(|after| after <= count);
                let uncharged = level(used.count, if after.is_none() { cost } else { 0 });
                let charged = after.map_or(uncharged, |after| level(after, 0));
                let after = after.map(|count| Used { count, ..used }.value());
                Judged { before: value, after, charged, uncharged }
            }
            Self::Nothing => {
                let level = Level::new(0, NEVER, NEVER);
                Judged { before: value, after: None, charged: level, uncharged: level }
            }
        }
    }

    /// A request that was charged is over: what its key's number becomes, if that is another one.
    pub(crate) fn over(&self, value: u64, now: Moment<'_>, end: &Ended) -> u64 {
        match self {
            Self::Concurrency(_) => value.saturating_sub(1),
            Self::Bytes(volume) => {
                let ahead = value.saturating_sub(now.nanos).saturating_add(volume.time_of(end.bytes));
                now.nanos.saturating_add(bounded(ahead))
            }
            Self::Failures(failures) => {
                let said_no = end.status.is_some_and(|status| failures.statuses.contains(&status));
                Tries::read(value, now.seconds()).over(failures, said_no, now.seconds()).value()
            }
            Self::Nothing | Self::Quota { .. } | Self::Rate(_) => value,
        }
    }

    /// Whether the end of a request changes what its key has.
    pub(crate) const fn minds_the_end(&self) -> bool {
        matches!(self, Self::Bytes(_) | Self::Concurrency(_) | Self::Failures(_))
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended {
    /// Bytes of its bodies that went either way.
    pub bytes: u64,
    /// The status that the client got, if it got one.
    pub status: Option<u16>,
}
