use std::hash::RandomState;
use std::sync::Arc;
use std::time::Instant;

use terms::LimitId;

use crate::fields::policy_item;
use crate::gcra::{judge, level};
use crate::key::Fingerprint;
use crate::quota::Pace;
use crate::table::{Budget, Table};
use crate::{Asker, Exceeded, InvalidLimit, Limit, Standing};

/// How many limits one request may meet. `spend` refuses a longer list; the compiler of routes does so before.
pub const MAX_LEVELS: usize = 8;

/// All limits of one set of policy files, with what has been spent of them.
#[derive(Debug)]
pub struct Limits {
    kept: Vec<Kept>,
    seed: RandomState,
    capacity: usize,
    start: Instant,
}

#[derive(Debug)]
struct Kept {
    limit: Limit,
    pace: Pace,
    policy_item: String,
    table: Arc<Table>,
}

impl Limits {
    /// Nothing spent yet. `capacity` is how many keys each limit can tell apart at the same time (at least 32 bytes of
    /// memory each, taken as they come); `start` is any time that is not after the first request.
    ///
    /// # Errors
    /// A limit cannot be kept, or two have one name.
    pub fn new(limits: Vec<Limit>, capacity: usize, start: Instant) -> Result<Self, InvalidLimit> {
        let nothing = Self { kept: Vec::new(), seed: RandomState::new(), capacity, start };
        Self::succeed(&nothing, limits)
    }

    /// The limits of the next set of policy files. What was spent of a limit that did not change stays spent, also by
    /// requests that still run under `old`; a limit that is new, or has another rate, burst or key, starts afresh.
    ///
    /// # Errors
    /// A limit cannot be kept, or two have one name.
    pub fn succeed(old: &Self, limits: Vec<Limit>) -> Result<Self, InvalidLimit> {
        let mut kept: Vec<Kept> = Vec::with_capacity(limits.len());
        for limit in limits {
            if kept.iter().any(|other| other.limit.id == limit.id) {
                return Err(InvalidLimit::Duplicate(limit.id));
            }
            let pace = Pace::of(&limit)?;
            let before = old.kept.iter().find(|before| before.limit == limit);
            let table = before.map_or_else(|| Arc::new(Table::new(old.capacity)), |before| Arc::clone(&before.table));
            kept.push(Kept { pace, policy_item: policy_item(&limit), table, limit });
        }
        Ok(Self { kept, seed: old.seed.clone(), capacity: old.capacity, start: old.start })
    }

    /// Charges one request to each limit in `which` (places in the list that this was made of), or to none of them.
    ///
    /// `now` is the time of the request; a limit that stands in `which` twice counts once.
    ///
    /// # Errors
    /// At least one of them has no room for it.
    pub fn spend(&self, which: &[usize], asker: &Asker<'_>, now: Instant) -> Result<Standing, Exceeded> {
        let now = u64::try_from(now.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX);
        let mut order = [usize::MAX; MAX_LEVELS];
        let Some(order) = order.get_mut(..which.len()) else {
            return Err(Exceeded::broken()); // FAIL CLOSED: not judged is not allowed
        };
        order.copy_from_slice(which);
        // ORDER: everybody takes the locks in one order, also under an older set of files, whose list may be arranged
        // otherwise. The tables are the same ones there, so their addresses are an order that all agree on.
        order.sort_unstable_by_key(|place| self.kept.get(*place).map(|kept| Arc::as_ptr(&kept.table).addr()));

        // Locks are held from here to the end: a few sets, some hundred nanoseconds, no waiting inside.
        let mut budgets: [Option<Held<'_>>; MAX_LEVELS] = Default::default();
        let mut fits = true;
        let mut last = None;
        for (place, held) in order.iter().copied().zip(&mut budgets) {
            if last.replace(place) == Some(place) {
                continue;
            }
            let Some(Kept { limit, pace, table, .. }) = self.kept.get(place) else {
                return Err(Exceeded::broken()); // FAIL CLOSED: a limit that is not there has no room
            };
            let key = match limit.key.as_slice() {
                [] => None,
                parts => Fingerprint::of(parts, asker, &self.seed),
            };
            let budget = table.budget(key, now);
            let ahead = budget.time().saturating_sub(now);
            let after = judge(pace, ahead);
            fits &= after.is_some();
            *held = Some(Held { place, pace, budget, ahead, after });
        }

        let mut standing = Standing::default();
        for held in budgets.iter_mut().flatten() {
            let Held { place, pace, budget, ahead, after } = held;
            match after {
                Some(after) if fits => {
                    budget.spend_until(now.saturating_add(*after));
                    standing.push(level(*place, pace, *after));
                }
                Some(_) | None => standing.push(level(*place, pace, *ahead)),
            }
        }
        standing.arrange();
        if fits { Ok(standing) } else { Err(Exceeded::of(standing)) }
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

    /// For each limit, how many requests were charged to its shared budget because it had no room for their key. More
    /// than a few: the capacity is too small, or someone comes with very many keys.
    pub fn crowded(&self) -> impl Iterator<Item = (&LimitId, u64)> {
        self.kept.iter().map(|kept| (&kept.limit.id, kept.table.crowded()))
    }

    pub(crate) fn policy_item(&self, place: usize) -> Option<&str> {
        self.kept.get(place).map(|kept| kept.policy_item.as_str())
    }

    #[cfg(test)]
    pub(crate) fn slots(&self) -> usize {
        self.kept.iter().map(|kept| kept.table.slots()).sum()
    }
}

struct Held<'a> {
    place: usize,
    pace: &'a Pace,
    budget: Budget<'a>,
    ahead: u64,
    after: Option<u64>,
}

#[cfg(test)]
mod tests;
