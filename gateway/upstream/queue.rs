use std::collections::{HashMap, VecDeque};

use terms::TenantId;
use tokio::sync::oneshot;

use crate::bulkhead::{Caps, Occupancy, Shed};

/// Who is in flight and who waits. Nobody who could have a place waits: that holds between any two calls.
#[derive(Debug)]
pub(crate) struct Queue {
    caps: Caps,
    in_flight: u32,
    waiting: u32,
    /// Tenants of whom somebody is here. `None`: those of public routes.
    tenants: HashMap<Option<TenantId>, Tenant>,
    /// Tenants of whom somebody waits, in the order in which they are called.
    round: VecDeque<Option<TenantId>>,
    number: u64,
}

#[derive(Debug, Default)]
struct Tenant {
    in_flight: u32,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    call: oneshot::Sender<Result<(), Shed>>,
}

/// What becomes of a request that comes.
#[derive(Debug)]
pub(crate) enum Entered {
    /// It has a place.
    Place,
    /// It has none, and may not wait.
    Shed(Shed),
    /// It waits under this number, until it is called.
    Waiting(u64, oneshot::Receiver<Result<(), Shed>>),
}

impl Queue {
    pub(crate) fn new(caps: Caps) -> Self {
        Self { caps, in_flight: 0, waiting: 0, tenants: HashMap::new(), round: VecDeque::new(), number: 0 }
    }

    pub(crate) const fn occupancy(&self) -> Occupancy {
        Occupancy { in_flight: self.in_flight, waiting: self.waiting }
    }

    pub(crate) fn enter(&mut self, tenant: Option<&TenantId>) -> Entered {
        let tenant = tenant.cloned();
        let entry = self.tenants.entry(tenant.clone()).or_default();
        if self.in_flight < self.caps.in_flight.get() && entry.in_flight < self.caps.per_tenant.get() {
            self.in_flight += 1;
            entry.in_flight += 1;
            return Entered::Place;
        }
        if self.waiting >= self.caps.waiting && !self.make_room(&tenant) {
            let shed = self.obstacle(tenant.as_ref());
            self.tidy(&tenant);
            return Entered::Shed(shed);
        }
        let (call, place) = oneshot::channel();
        self.number += 1;
        self.waiting += 1;
        let entry = self.tenants.entry(tenant.clone()).or_default();
        entry.waiting.push_back(Waiter { number: self.number, call });
        if entry.waiting.len() == 1 {
            self.round.push_back(tenant);
        }
        Entered::Waiting(self.number, place)
    }

    /// Takes a place back, and gives it to who is next.
    pub(crate) fn leave(&mut self, tenant: Option<&TenantId>) {
        let tenant = tenant.cloned();
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(entry) = self.tenants.get_mut(&tenant) {
            entry.in_flight = entry.in_flight.saturating_sub(1);
        }
        self.tidy(&tenant);
        while self.in_flight < self.caps.in_flight.get() && self.call_next() {}
    }

    /// Takes a waiting request out. `false`: it was called before.
    pub(crate) fn forget(&mut self, tenant: Option<&TenantId>, number: u64) -> bool {
        let tenant = tenant.cloned();
        let Some(entry) = self.tenants.get_mut(&tenant) else { return false };
        let Some(index) = entry.waiting.iter().position(|waiter| waiter.number == number) else { return false };
        drop(entry.waiting.remove(index));
        self.waiting -= 1;
        self.tidy(&tenant);
        true
    }

    /// Whether nothing is kept of anybody.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.tenants.is_empty() && self.round.is_empty()
    }

    /// Why a request of this tenant has no place.
    pub(crate) fn obstacle(&self, tenant: Option<&TenantId>) -> Shed {
        let held = self.tenants.get(&tenant.cloned()).map_or(0, |entry| entry.in_flight);
        if held >= self.caps.per_tenant.get() { Shed::Tenant } else { Shed::Upstream }
    }

    /// Calls the next request of the next tenant that may have one more. `false`: there is none.
    fn call_next(&mut self) -> bool {
        for _ in 0..self.round.len() {
            let Some(tenant) = self.round.pop_front() else { return false };
            let Some(entry) = self.tenants.get_mut(&tenant) else { continue };
            if entry.in_flight >= self.caps.per_tenant.get() {
                self.round.push_back(tenant);
                continue;
            }
            let Some(waiter) = entry.waiting.pop_front() else { continue };
            self.waiting -= 1;
            // INVARIANT: who stops listening takes itself out of the queue first, so that somebody hears this.
            if waiter.call.send(Ok(())).is_ok() {
                entry.in_flight += 1;
                self.in_flight += 1;
            }
            if !entry.waiting.is_empty() {
                self.round.push_back(tenant);
            }
            return true;
        }
        false
    }

    /// Sends away the last one of the tenant of whom most wait, if that makes it fairer: a queue that one tenant has filled
    /// is still there for the others.
    fn make_room(&mut self, newcomer: &Option<TenantId>) -> bool {
        let waiting = |tenant: &Option<TenantId>| self.tenants.get(tenant).map_or(0, |entry| entry.waiting.len());
        let Some(longest) = self.round.iter().max_by_key(|tenant| waiting(tenant)).cloned() else { return false };
        if waiting(&longest) <= waiting(newcomer) + 1 {
            return false;
        }
        let shed = self.obstacle(longest.as_ref());
        let Some(waiter) = self.tenants.get_mut(&longest).and_then(|entry| entry.waiting.pop_back()) else {
            return false;
        };
        self.waiting -= 1;
        waiter.call.send(Err(shed)).is_ok()
    }

    /// Forgets what nobody needs: a tenant without a request, its place in the round without somebody who waits.
    fn tidy(&mut self, tenant: &Option<TenantId>) {
        let Some(entry) = self.tenants.get(tenant) else { return };
        if entry.waiting.is_empty() {
            if entry.in_flight == 0 {
                self.tenants.remove(tenant);
            }
            if !self.round.is_empty() {
                self.round.retain(|other| other != tenant);
            }
        }
    }
}
