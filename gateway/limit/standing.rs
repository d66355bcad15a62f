use std::time::Duration;

use terms::Reason;

use crate::MAX_LEVELS;

/// Where one asker stands in one limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Level {
    /// Which limit: its place in the list that [`crate::Limits`] was made of.
    pub limit: usize,
    /// How many more requests fit now.
    pub remaining: u32,
    /// How long until the whole burst is there again.
    pub reset: Duration,
    /// How long until there is one unit more than `remaining`; zero if there cannot be more.
    pub next: Duration,
}

/// Where the asker stands in every limit of the route. After a request that was let through: with it charged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    levels: [Level; MAX_LEVELS],
    count: usize,
}

/// The request does not fit into at least one limit. Nothing was charged anywhere.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", reason.as_str())]
pub struct Exceeded {
    standing: Box<Standing>,
    reason: Reason,
}

impl Standing {
    pub(crate) fn push(&mut self, level: Level) {
        if let Some(slot) = self.levels.get_mut(self.count) {
            *slot = level;
            self.count += 1;
        }
    }

    pub(crate) fn arrange(&mut self) {
        self.levels.get_mut(..self.count).unwrap_or_default().sort_unstable_by_key(|level| level.limit);
    }

    /// The levels, in the order of the limits.
    #[must_use]
    pub fn levels(&self) -> &[Level] {
        self.levels.get(..self.count).unwrap_or_default()
    }

    /// The level that will refuse first: the fewest left, and of those the one that needs longest for more.
    #[must_use]
    pub fn tightest(&self) -> Option<&Level> {
        self.levels().iter().min_by_key(|level| (level.remaining, std::cmp::Reverse(level.next)))
    }
}

impl Exceeded {
    pub(crate) fn of(standing: Standing) -> Self {
        Self { standing: Box::new(standing), reason: Reason::LimitRate }
    }

    /// A route names a limit that is not there: a fault of ours, not of the asker.
    pub(crate) fn broken() -> Self {
        Self { standing: Box::default(), reason: Reason::Internal }
    }

    /// [`Reason::LimitRate`]; [`Reason::Internal`] where the question itself was wrong.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Where the asker stands, with this request charged nowhere.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The level that has nothing left and needs longest until it has.
    #[must_use]
    pub fn deciding(&self) -> Option<&Level> {
        self.standing.tightest()
    }

    /// The value of `Retry-After` (RFC 9110 §10.2.3): whole seconds until every level has room, at least 1.
    #[must_use]
    pub fn retry_after(&self) -> u64 {
        self.deciding().map_or(1, |level| whole_seconds(level.next))
    }
}

/// Rounded up, so that who waits as long is not early; at least 1, so that nobody asks again at once.
pub(crate) fn whole_seconds(span: Duration) -> u64 {
    (span.as_secs() + u64::from(span.subsec_nanos() > 0)).max(1)
}
