use std::fmt;
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
    settling: Option<Box<dyn Settling>>,
}

/// Hears of the end of a request whose limits stand somewhere else.
pub trait Settling: fmt::Debug + Send + Sync {
    /// It has ended like this.
    fn settle(self: Box<Self>, ended: &Ended);
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
        let tickets = [Ticket::default(); MAX_LEVELS];
        Self { limits: None, tickets, count: 0, ended: Ended::default(), at: None, settling: None }
    }

    /// Has what the other has, too, and tells somebody else of the end.
    pub(crate) fn join(&mut self, mut other: Self, settling: Option<Box<dyn Settling>>) {
        for ticket in other.tickets.iter().take(other.count) {
            // INVARIANT: nobody is charged at more than `MAX_LEVELS`.
            if let Some(slot) = self.tickets.get_mut(self.count) {
                *slot = *ticket;
                self.count += 1;
            }
        }
        let limits = other.limits.take(); // it gives nothing back any more
        self.limits = self.limits.take().or(limits);
        self.settling = settling;
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
        if let Some(settling) = self.settling.take() {
            settling.settle(&self.ended);
        }
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
