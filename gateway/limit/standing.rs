use std::time::Duration;

use terms::Reason;

use crate::judge::NEVER;
use crate::{MAX_LEVELS, OnLoss};

/// Where one asker stands in one limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Level {
    /// Which limit: its place in the list that [`crate::Limits`] was made of.
    pub limit: usize,
    /// Which of its numbers count for the asker.
    pub(crate) tier: u16,
    /// What it says of the request.
    pub room: Room,
    /// Who says so.
    pub(crate) source: Source,
    /// How much more fits now.
    pub remaining: u64,
    /// How long until all of it is there again.
    pub reset: Duration,
    /// How long until there is one unit more than `remaining`, and of a request that does not fit, until it does; zero if
    /// there cannot be more, and [`Duration::MAX`] if that never comes.
    pub next: Duration,
}

/// What one level says of a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Room {
    /// It fits.
    #[default]
    Fits,
    /// It does not.
    Refuses,
    /// It does not, and is not refused for that: the limit only looks.
    WouldRefuse,
}

/// Who has judged a level.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Source {
    /// Whoever is to.
    #[default]
    Itself,
    /// This gateway, in place of a store that could not be asked: clients are not told of that, since it is not what the limit
    /// promises.
    InPlace,
}

/// Where the asker stands in every limit of the route. After a request that was let through: with it charged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    levels: [Level; MAX_LEVELS],
    count: usize,
    lost: Option<OnLoss>,
}

/// The request does not fit into at least one limit. Nothing was charged anywhere.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", reason.as_str())]
pub struct Exceeded {
    standing: Box<Standing>,
    reason: Reason,
}

impl Level {
    pub(crate) const fn new(remaining: u64, reset: Duration, next: Duration) -> Self {
        Self { limit: 0, tier: 0, room: Room::Fits, source: Source::Itself, remaining, reset, next }
    }
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

    pub(crate) fn lose(&mut self, lost: OnLoss) {
        self.lost = self.lost.max(Some(lost));
    }

    /// What was done for want of the store in which limits stand: of several things the laxest.
    #[must_use]
    pub const fn lost(&self) -> Option<OnLoss> {
        self.lost
    }

    /// The levels that have no room and refuse nothing.
    pub fn would_refuse(&self) -> impl Iterator<Item = &Level> {
        self.levels().iter().filter(|level| level.room == Room::WouldRefuse)
    }
}

impl Exceeded {
    pub(crate) fn of(standing: Standing, reason: Reason) -> Self {
        Self { standing: Box::new(standing), reason }
    }

    /// The same, judged without the store.
    pub(crate) fn without_store(mut self, lost: OnLoss) -> Self {
        self.standing.lose(lost);
        self
    }

    /// A route names a limit that is not there: a fault of ours, not of the asker.
    pub(crate) fn broken() -> Self {
        Self { standing: Box::default(), reason: Reason::Internal }
    }

    /// What the deciding level counts; [`Reason::Internal`] where the question itself was wrong.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Where the asker stands, with this request charged nowhere.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Every level that refuses.
    pub fn violated(&self) -> impl Iterator<Item = &Level> {
        self.standing.levels().iter().filter(|level| level.room == Room::Refuses)
    }

    /// The level that refuses and needs longest until it does not.
    #[must_use]
    pub fn deciding(&self) -> Option<&Level> {
        deciding(&self.standing)
    }

    /// The value of `Retry-After` (RFC 9110 §10.2.3): whole seconds until every level has room, at least 1. `None` if that
    /// never comes.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self.deciding() {
            Some(level) if level.next == NEVER => None,
            Some(level) => Some(whole_seconds(level.next)),
            None => Some(1),
        }
    }
}

pub(crate) fn deciding(standing: &Standing) -> Option<&Level> {
    standing.levels().iter().filter(|level| level.room == Room::Refuses).max_by_key(|level| level.next)
}

/// Rounded up, so that who waits as long is not early; at least 1, so that nobody asks again at once.
pub(crate) fn whole_seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0)).max(1)
}
