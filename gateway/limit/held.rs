use std::sync::Arc;
use std::time::Instant;

use crate::judge::Ended;
use crate::key::Fingerprint;
use crate::{Limits, MAX_LEVELS};

/// What a request has of limits that mind its end: a place among those in flight, bytes to be charged, a try at a login. It
/// is given back when this is dropped, on whatever way the request ends.
#[derive(Debug)]
pub struct Held {
    limits: Option<Arc<Limits>>,
    tickets: [Ticket; MAX_LEVELS],
    count: usize,
    ended: Ended,
    at: Option<Instant>,
}

/// One place in one limit.
#[derive(Clone, Copy, Debug, Default)]
struct Ticket {
    place: usize,
    tier: u16,
    /// 0: it is in the shared budget.
    key: u64,
}

impl Held {
    /// Nothing at all, which costs nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self { limits: None, tickets: [Ticket::default(); MAX_LEVELS], count: 0, ended: Ended::default(), at: None }
    }

    pub(crate) fn hold(&mut self, limits: &Arc<Limits>, place: usize, tier: u16, key: Option<Fingerprint>) {
        // INVARIANT: nobody is charged at more than `MAX_LEVELS`.
        if let Some(ticket) = self.tickets.get_mut(self.count) {
            *ticket = Ticket { place, tier, key: key.map_or(0, Fingerprint::get) };
            self.count += 1;
            self.limits.get_or_insert_with(|| Arc::clone(limits));
        }
    }

    /// Says how the request has ended, and when, which counts when this is dropped.
    pub fn ends(&mut self, ended: Ended, at: Instant) {
        (self.ended, self.at) = (ended, Some(at));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(limits) = self.limits.take() else { return };
        let now = limits.moment(self.at.unwrap_or_else(Instant::now));
        for Ticket { place, tier, key } in self.tickets.iter().take(self.count) {
            if let Some((pace, table)) = limits.pace(*place, *tier) {
                let mut budget = table.budget(Fingerprint::noted(*key), pace.stale(now));
                let value = budget.value();
                budget.set(pace.over(value, now, &self.ended));
            }
        }
    }
}
