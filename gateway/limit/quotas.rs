use terms::{LimitId, Period};

use crate::key::Fingerprint;
use crate::used::Used;
use crate::{Limits, Near};

/// What one key has used of a quota in the period that lasts: what must survive a restart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsedQuota {
    /// The quota.
    pub limit: LimitId,
    /// Its period.
    pub per: Period,
    /// The name of the key under the [`crate::Seed`] of the limits; 0 for the one that all share who have none.
    pub key: u64,
    /// When the period ends, in seconds since the Unix epoch.
    pub ends: u32,
    /// How much was used in it.
    pub count: u32,
}

impl Limits {
    /// Everything that was used of quotas since this was asked last.
    #[must_use]
    pub fn take_used(&self) -> Vec<UsedQuota> {
        let mut used = Vec::new();
        for (limit, per, table) in self.quotas() {
            table.take_changed(|key, value| {
                let Used { ends, count } = Used::read(value);
                used.push(UsedQuota { limit: limit.clone(), per, key, ends, count });
            });
        }
        used
    }

    /// Charges what was used before a restart. What no quota of these files is about is left out.
    pub fn restore(&self, used: &[UsedQuota]) {
        for UsedQuota { limit, per, key, ends, count } in used {
            let of_this = |(known, its, _): &(&LimitId, Period, _)| *known == limit && its == per;
            let Some((_, _, table)) = self.quotas().find(of_this) else { continue };
            let mut budget = table.budget(Fingerprint::noted(*key), 0);
            let before = Used::read(budget.value());
            if before.ends <= *ends {
                budget.restore(Used { ends: *ends, count: before.count.max(*count) }.value());
            }
        }
    }

    /// Keys that came to a mark since this was asked last.
    #[must_use]
    pub fn take_near(&self) -> impl IntoIterator<Item = Near> + use<> {
        self.near.take()
    }
}
