use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Instant;

use crate::{Backoff, Breaker, BreakerSettings, Budget, BudgetSettings, Bulkhead, Caps};

/// What keeps one upstream and those who ask it from harm: how often an attempt is repeated, when it is left alone, and how
/// much of it one tenant may have.
#[derive(Debug)]
pub struct Defence {
    retries: Retries,
    budget: Budget,
    breaker: Arc<Breaker>,
    bulkhead: Arc<Bulkhead>,
}

/// How an upstream is defended.
#[derive(Clone, Debug)]
pub struct DefenceSettings {
    /// What is tried again.
    pub retries: Retries,
    /// How many retries there may be.
    pub budget: BudgetSettings,
    /// When it is left alone.
    pub breaker: BreakerSettings,
    /// What it takes at once.
    pub caps: Caps,
}

/// What is tried again, and how.
#[derive(Clone, Debug)]
pub struct Retries {
    /// How many attempts a request has in all.
    pub attempts: NonZeroU8,
    /// How long to wait between them.
    pub backoff: Backoff,
    /// The statuses that are worth another attempt.
    pub statuses: Vec<u16>,
}

impl Defence {
    /// A defence to which nothing has happened yet.
    #[must_use]
    pub fn new(settings: DefenceSettings, now: Instant) -> Self {
        let DefenceSettings { retries, budget, breaker, caps } = settings;
        Self {
            retries,
            budget: Budget::new(budget, now),
            breaker: Arc::new(Breaker::new(breaker, now)),
            bulkhead: Arc::new(Bulkhead::new(caps)),
        }
    }

    /// What is tried again.
    #[must_use]
    pub const fn retries(&self) -> &Retries {
        &self.retries
    }

    /// How many retries there are left.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Whether it is left alone.
    #[must_use]
    pub const fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }

    /// Who is in flight, and who waits.
    #[must_use]
    pub const fn bulkhead(&self) -> &Arc<Bulkhead> {
        &self.bulkhead
    }
}
