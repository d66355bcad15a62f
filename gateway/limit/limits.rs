use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use terms::{LimitId, Period, PlanId, Reason, Zone};

use crate::held::Held;
use crate::judge::Moment;
use crate::key::Seed;
use crate::near::{Mark, NearLimit};
use crate::numbers::Mode;
use crate::pace::Pace;
use crate::standing::{Level, Standing};
use crate::table::Table;
use crate::tiers::Tiers;
use crate::{Asker, InvalidLimit, Limit, Numbers};

/// How many limits one request may meet. `spend` refuses a longer list; the compiler of routes does so before.
pub const MAX_LEVELS: usize = 8;

/// All limits of one set of policy files, with what has been spent of them.
#[derive(Debug)]
pub struct Limits {
    pub(crate) kept: Vec<Kept>,
    /// Every plan that the files know, sorted.
    plans: Vec<PlanId>,
    pub(crate) seed: Seed,
    capacity: usize,
    start: Instant,
    /// Requests of tenants whose plan no file knows.
    unknown_plans: Arc<AtomicU64>,
    pub(crate) near: Arc<NearLimit>,
    /// Requests that were judged without the store: refused, by a share, let through.
    pub(crate) lost: Arc<[AtomicU64; 3]>,
}

#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) limit: Limit,
    pub(crate) tiers: Tiers,
    pub(crate) table: Arc<Table>,
    pub(crate) counts: Arc<Counts>,
}

/// How many requests one limit has refused, or would have.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) refused: AtomicU64,
    pub(crate) would_refuse: AtomicU64,
    nearly: AtomicU64,
    used_up: AtomicU64,
}

impl Counts {
    pub(crate) fn near(&self, mark: Mark) {
        let count = match mark {
            Mark::Nearly => &self.nearly,
            Mark::UsedUp => &self.used_up,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a request was charged: where its asker stands, and what is given back or charged when it ends.
#[derive(Debug)]
pub struct Spent {
    /// Where the asker stands.
    pub standing: Standing,
    /// To be kept until the request is over.
    pub held: Held,
}

impl Limits {
    /// Nothing spent yet. `plans` are all that there are; `capacity` is how many keys each limit can tell apart at the same
    /// time (at least 32 bytes of memory each, taken as they come); `start` is any time that is not after the first request.
    ///
    /// # Errors
    /// A limit cannot be kept, or two have one name.
    pub fn new(
        limits: Vec<Limit>,
        plans: Vec<PlanId>,
        seed: Seed,
        capacity: usize,
        start: Instant,
    ) -> Result<Self, InvalidLimit> {
        let unknown_plans = Arc::new(AtomicU64::new(0));
        let (near, lost) = (Arc::default(), Arc::default());
        let nothing = Self { kept: Vec::new(), plans: Vec::new(), seed, capacity, start, unknown_plans, near, lost };
        Self::succeed(&nothing, limits, plans)
    }

    /// The limits of the next set of policy files. What was spent stays spent as long as a limit keeps its name, its key and
    /// what it counts, also by requests that still run under `old`. If its numbers change, nobody is better off than with a
    /// budget that nothing was spent of, and nobody worse than with one that is used up; of bytes, debts included, that cannot
    /// be said, so such a limit starts afresh, as does one with another key.
    ///
    /// # Errors
    /// A limit cannot be kept, or two have one name.
    pub fn succeed(old: &Self, limits: Vec<Limit>, mut plans: Vec<PlanId>) -> Result<Self, InvalidLimit> {
        plans.sort();
        plans.dedup();
        let mut kept: Vec<Kept> = Vec::with_capacity(limits.len());
        for limit in limits {
            if kept.iter().any(|other| other.limit.id == limit.id) {
                return Err(InvalidLimit::Duplicate(limit.id));
            }
            let key = &limit.key;
            if key.iter().enumerate().any(|(i, part)| key.iter().skip(i + 1).any(|other| other == part)) {
                return Err(InvalidLimit::Repeated(limit.id));
            }
            let tiers = Tiers::of(&limit, &plans)?;
            let before = old.kept.iter().find(|before| goes_on(&before.limit, &limit));
            let table = before.map_or_else(|| Arc::new(Table::new(old.capacity)), |before| Arc::clone(&before.table));
            let counts = before.map(|before| Arc::clone(&before.counts)).unwrap_or_default();
            kept.push(Kept { limit, tiers, table, counts });
        }
        let Self { seed, capacity, start, .. } = *old;
        Ok(Self {
            kept,
            plans,
            seed,
            capacity,
            start,
            unknown_plans: Arc::clone(&old.unknown_plans),
            near: Arc::clone(&old.near),
            lost: Arc::clone(&old.lost),
        })
    }

    /// A limit by its place in the list that this was made of.
    #[must_use]
    pub fn limit(&self, place: usize) -> Option<&Limit> {
        self.kept.get(place).map(|kept| &kept.limit)
    }

    /// The place of a limit in the list that this was made of.
    #[must_use]
    pub fn place(&self, id: &LimitId) -> Option<usize> {
        self.kept.iter().position(|kept| kept.limit.id == *id)
    }

    /// Whether plans or time zones of tenants count for any of them.
    #[must_use]
    pub fn tell_tenants_apart(&self) -> bool {
        !self.plans.is_empty() || self.quotas().next().is_some()
    }

    /// For each limit, how many requests were charged to its shared budget because it had no room for their key. More
    /// than a few: the capacity is too small, or someone comes with very many keys.
    pub fn crowded(&self) -> impl Iterator<Item = (&LimitId, u64)> {
        self.kept.iter().map(|kept| (&kept.limit.id, kept.table.crowded()))
    }

    /// For each limit, how many requests it has refused.
    pub fn refused(&self) -> impl Iterator<Item = (&LimitId, u64)> {
        self.kept.iter().map(|kept| (&kept.limit.id, kept.counts.refused.load(Ordering::Relaxed)))
    }

    /// For each quota, how many keys came near its end in a period, and how many to it.
    pub fn near(&self) -> impl Iterator<Item = (&LimitId, Mark, u64)> {
        let quotas = self.kept.iter().filter(|kept| matches!(kept.limit.numbers, Numbers::Quota { .. }));
        quotas.flat_map(|kept| {
            let Counts { nearly, used_up, .. } = &*kept.counts;
            [(Mark::Nearly, nearly), (Mark::UsedUp, used_up)]
                .map(|(mark, count)| (&kept.limit.id, mark, count.load(Ordering::Relaxed)))
        })
    }

    /// For each limit that only looks, how many requests it would have refused.
    pub fn would_have_refused(&self) -> impl Iterator<Item = (&LimitId, u64)> {
        let looking = self.kept.iter().filter(|kept| kept.limit.mode == Mode::Shadow);
        looking.map(|kept| (&kept.limit.id, kept.counts.would_refuse.load(Ordering::Relaxed)))
    }

    /// How many requests came for tenants whose plan no file knows.
    #[must_use]
    pub fn of_unknown_plans(&self) -> u64 {
        self.unknown_plans.load(Ordering::Relaxed)
    }

    /// Which of the plans the asker's tenant has. `Some(None)`: one that nobody knows.
    pub(crate) fn plan(&self, asker: &Asker<'_>) -> Option<Option<usize>> {
        if self.plans.is_empty() {
            return None;
        }
        let known = self.plans.binary_search(asker.plan?).ok();
        if known.is_none() {
            self.unknown_plans.fetch_add(1, Ordering::Relaxed);
        }
        Some(known)
    }

    pub(crate) fn moment(&self, now: Instant) -> Moment<'static> {
        let nanos = now.saturating_duration_since(self.start).as_nanos();
        Moment { nanos: u64::try_from(nanos).unwrap_or(u64::MAX), calendar: 0, zone: Zone::utc() }
    }

    pub(crate) fn pace(&self, place: usize, tier: u16) -> Option<(&Pace, &Table)> {
        let kept = self.kept.get(place)?;
        Some((kept.tiers.pace(tier)?, &kept.table))
    }

    /// The quotas, each with what was used of it.
    pub(crate) fn quotas(&self) -> impl Iterator<Item = (&LimitId, Period, &Table)> {
        self.kept.iter().filter_map(|kept| match kept.limit.numbers {
            Numbers::Quota { per, .. } => Some((&kept.limit.id, per, &*kept.table)),
            Numbers::Bytes { .. } | Numbers::Concurrency(_) | Numbers::Failures(_) | Numbers::Rate { .. } => None,
        })
    }

    pub(crate) fn whole(&self, level: &Level) -> Option<u64> {
        self.kept.get(level.limit)?.tiers.whole(level.tier)
    }

    pub(crate) fn policy_item(&self, level: &Level) -> Option<&str> {
        self.kept.get(level.limit)?.tiers.policy_item(level.tier)
    }

    #[cfg(test)]
    pub(crate) fn slots(&self) -> usize {
        self.kept.iter().map(|kept| kept.table.slots()).sum()
    }
}

/// Whether what was spent of one is spent of the other.
fn goes_on(old: &Limit, new: &Limit) -> bool {
    let same = old.id == new.id && old.key == new.key;
    same && match (&old.numbers, &new.numbers) {
        (Numbers::Concurrency(_), Numbers::Concurrency(_)) => true, // it must: what is in flight gives back what it has
        (Numbers::Rate { .. }, Numbers::Rate { .. }) => true,
        (Numbers::Quota { per, .. }, Numbers::Quota { per: other, .. }) => per == other,
        (Numbers::Failures(_), Numbers::Failures(_)) => true,
        (one @ Numbers::Bytes { .. }, two @ Numbers::Bytes { .. }) => one == two,
        (_, _) => false,
    }
}

pub(crate) const fn reason(limit: &Limit) -> Reason {
    match limit.numbers {
        Numbers::Bytes { .. } => Reason::LimitBytes,
        Numbers::Concurrency(_) => Reason::LimitConcurrency,
        Numbers::Failures(_) => Reason::LimitLockout,
        Numbers::Quota { .. } => Reason::LimitQuota,
        Numbers::Rate { .. } => Reason::LimitRate,
    }
}

#[cfg(test)]
mod tests;
