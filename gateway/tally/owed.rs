use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use limit::{Demand, Due, Ended, Settling};

use crate::leases::Lease;
use crate::tally::Shared;

/// What is due at one level, on its way to the store.
#[derive(Clone, Debug)]
pub(crate) struct Owed {
    pub(crate) key: String,
    pub(crate) due: Due,
    pub(crate) lease: String,
    pub(crate) begun: u8,
}

/// How much may wait for the store. What comes beyond it is counted and lost.
pub(crate) const MOST: usize = 65_536;

/// Whether the store has let a request begin, or somebody else in its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Begun {
    Elsewhere,
    There,
}

/// What a request owes to the store when it is over. If it is dropped without a word, the places that it may have are given back.
pub(crate) struct Debt {
    pub(crate) shared: Arc<Shared>,
    pub(crate) lease: Lease,
    pub(crate) levels: Vec<(String, Demand)>,
    pub(crate) begun: Begun,
}

impl Debt {
    /// It owes only at these levels.
    pub(crate) fn keep(&mut self, charged: impl Fn(&Demand) -> bool) {
        self.levels.retain(|(_, demand)| charged(demand));
    }

    /// It was charged nothing.
    pub(crate) fn forgive(mut self) {
        self.levels.clear();
    }

    /// The places that it may have are free again: whether it got them, nobody has said.
    pub(crate) fn leave(&mut self) {
        for (key, demand) in &self.levels {
            if let Some(due @ Due::Place) = demand.due(&Ended::default()) {
                self.shared.owe(Owed { key: key.clone(), due, lease: self.lease.name(), begun: 0 });
            }
        }
        self.keep(|demand| demand.due(&Ended::default()) != Some(Due::Place));
    }

    /// Gives back what was charged at these levels to a request that does not begin.
    pub(crate) fn give_back(&self, charged: &[(String, Demand)], cost: NonZeroU32) {
        for (key, demand) in charged {
            if let Some(due) = demand.back(cost) {
                self.shared.owe(Owed { key: key.clone(), due, lease: self.lease.name(), begun: 1 });
            }
        }
    }

    fn pay(&mut self, ended: &Ended, pays: impl Fn(Due) -> bool) {
        for (key, demand) in std::mem::take(&mut self.levels) {
            if let Some(due) = demand.due(ended).filter(|due| pays(*due)) {
                let (lease, begun) = (self.lease.name(), u8::from(self.begun == Begun::There));
                self.shared.owe(Owed { key, due, lease, begun });
            }
        }
    }
}

impl Settling for Debt {
    fn settle(mut self: Box<Self>, ended: &Ended) {
        let begun = self.begun;
        self.pay(ended, |due| match due {
            Due::Place => begun == Begun::There,
            Due::Bytes { .. } => true,
            Due::QuotaBack { .. } | Due::RateBack { .. } => false,
            // Of what the store knows nothing, only what failed matters.
            Due::Try { failed, .. } => failed || begun == Begun::There,
        });
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.pay(&Ended::default(), |due| due == Due::Place);
    }
}

impl fmt::Debug for Debt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Debt").field("levels", &self.levels.len()).field("begun", &self.begun).finish_non_exhaustive()
    }
}

impl Shared {
    /// Never waits: what finds no room is lost, and that is counted.
    pub(crate) fn owe(&self, owed: Owed) {
        if self.owing.try_send(owed).is_err() {
            self.counts.unsettled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Debt {
    /// Nothing, where nothing can be due.
    pub(crate) fn owing(self) -> Option<Box<dyn Settling>> {
        if self.levels.is_empty() { None } else { Some(Box::new(self)) }
    }
}
