use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use terms::{TenantId, Weight};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::bulkhead::{Bound, Caps, Occupancy, Shed};
use crate::pace::Pace;
use crate::turns::{Callable, Filed, Holds, Line, Turns, ratio};

/// Who is in flight and who waits. Nobody who could have a place waits: that holds between any two calls.
///
/// The last places of many, one of sixteen, are for tenants that have less than their share, those counted that were here
/// within the last second. Else whoever asks now and then would always find them taken by somebody who asks all the time,
/// and would wait for the next one to be given back: with requests that take all the same time a good part of that time.
#[derive(Debug)]
pub(crate) struct Queue {
    caps: Caps,
    in_flight: u32,
    waiting: u32,
    /// Tenants of whom somebody is here. `None`: those of public routes.
    tenants: HashMap<Option<TenantId>, Tenant>,
    /// Their weights.
    weights: u64,
    /// Those who were here lately, and when they are to be forgotten: each once.
    lately: VecDeque<(Instant, Option<TenantId>)>,
    clock: fn() -> Instant,
    turns: Turns,
    pace: Pace,
    number: u64,
}

#[derive(Debug, Default)]
struct Tenant {
    weight: Weight,
    /// What of it is among the weights of all.
    counted: u64,
    /// Until when it is not forgotten, if it is among those who were here lately.
    kept_until: Option<Instant>,
    in_flight: u32,
    waiting: VecDeque<Waiter>,
    /// How far its turns have come.
    pass: u128,
    /// Where it stands among those that wait, if it does.
    filed: Option<Filed>,
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

/// Of so many places one is for those who have less than their share.
const RESERVE: u32 = 16;

/// For how long a tenant is counted that has nothing here.
const LATELY: Duration = Duration::from_secs(1);

/// How many of them are.
const MOST_LATELY: usize = 1_024;

impl Queue {
    pub(crate) fn new(caps: Caps, clock: fn() -> Instant) -> Self {
        Self {
            caps,
            in_flight: 0,
            waiting: 0,
            tenants: HashMap::new(),
            weights: 0,
            lately: VecDeque::new(),
            clock,
            turns: Turns::default(),
            pace: Pace::new(clock),
            number: 0,
        }
    }

    pub(crate) const fn occupancy(&self) -> Occupancy {
        Occupancy { in_flight: self.in_flight, waiting: self.waiting }
    }

    pub(crate) fn enter(&mut self, tenant: Option<&TenantId>, weight: Weight) -> Entered {
        let tenant = tenant.cloned();
        self.forget_some();
        let entry = self.tenants.entry(tenant.clone()).or_default();
        entry.weight = weight; // what the newest rules say
        self.weights = self.weights - entry.counted + u64::from(weight.get());
        entry.counted = weight.get().into();
        let (in_flight, waits) = (entry.in_flight, !entry.waiting.is_empty());
        if !waits && self.may_have_one_more(in_flight, weight) {
            self.in_flight += 1;
            self.tenants.entry(tenant).or_default().in_flight += 1;
            return Entered::Place;
        }
        if self.waiting >= self.caps.waiting && !self.make_room(&tenant) {
            let shed = self.shed(tenant.as_ref());
            self.file(&tenant);
            return Entered::Shed(shed);
        }
        let (call, place) = oneshot::channel();
        self.number += 1;
        self.waiting += 1;
        self.pace.wait();
        let entry = self.tenants.entry(tenant.clone()).or_default();
        entry.waiting.push_back(Waiter { number: self.number, call });
        if entry.waiting.len() == 1 {
            entry.pass = entry.pass.max(self.turns.now());
        }
        self.file(&tenant);
        Entered::Waiting(self.number, place)
    }

    /// Takes a place back, and gives it to who is next.
    pub(crate) fn leave(&mut self, tenant: Option<&TenantId>) {
        let tenant = tenant.cloned();
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(entry) = self.tenants.get_mut(&tenant) {
            entry.in_flight = entry.in_flight.saturating_sub(1);
        }
        self.file(&tenant);
        self.forget_some();
        while self.in_flight < self.caps.in_flight.get() && self.call_next() {}
    }

    /// Takes a waiting request out. `false`: it was called before.
    pub(crate) fn forget(&mut self, tenant: Option<&TenantId>, number: u64) -> bool {
        let tenant = tenant.cloned();
        let Some(entry) = self.tenants.get_mut(&tenant) else { return false };
        let Ok(index) = entry.waiting.binary_search_by_key(&number, |waiter| waiter.number) else { return false };
        drop(entry.waiting.remove(index));
        self.gone();
        self.file(&tenant);
        true
    }

    /// Whether nothing is kept of anybody.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let are_lately =
            |entry: &Tenant| entry.kept_until.is_some() && entry.in_flight == 0 && entry.waiting.is_empty();
        self.tenants.values().all(are_lately) && self.tenants.len() == self.lately.len() && self.turns.is_empty()
    }

    /// Why a request of this tenant has no place, and when it is worth to ask for one again.
    pub(crate) fn shed(&self, tenant: Option<&TenantId>) -> Shed {
        let Some(entry) = self.tenants.get(&tenant.cloned()) else {
            return Shed { bound: Bound::Upstream, retry_after: self.pace.of(u64::from(self.waiting) + 1) };
        };
        let Tenant { weight, in_flight, waiting, .. } = entry;
        let waiting = waiting.len() as u64;
        let (weight, all) = (u128::from(weight.get()), u128::from(self.in_flight) + u128::from(self.waiting));
        let has = u128::from(*in_flight) + u128::from(waiting);
        let capped = self.caps.per_tenant < self.caps.in_flight; // else there is no such thing as all that one may have
        let bound = if capped && *in_flight >= self.caps.per_tenant.get() {
            Bound::Tenant
        } else if has * u128::from(self.weights) > all * weight {
            Bound::Share
        } else {
            Bound::Upstream
        };
        // Its own requests that wait, each of which has its turn after those of others; or all, if that is sooner.
        let weights = u128::from(self.turns.weights()).max(weight);
        let own = u64::try_from((u128::from(waiting) + 1) * weights / weight).unwrap_or(u64::MAX);
        Shed { bound, retry_after: self.pace.of(own.min(u64::from(self.waiting) + 1)) }
    }

    /// Calls the next request of the tenant whose turn it is. `false`: nobody may have a place.
    fn call_next(&mut self) -> bool {
        let first = self.whose_turn();
        let may = |tenant: &Option<TenantId>| {
            let entry = self.tenants.get(tenant);
            entry.is_some_and(|entry| self.may_have_one_more(entry.in_flight, entry.weight))
        };
        // Where the place is one of the last, perhaps it is for nobody but the one that has least.
        let Some(tenant) = first.filter(may).or_else(|| self.turns.least().cloned().filter(may)) else { return false };
        let Some(entry) = self.tenants.get_mut(&tenant) else { return false };
        let Some(waiter) = entry.waiting.pop_front() else { return false };
        entry.pass = self.turns.called(entry.weight, entry.pass);
        // INVARIANT: who stops listening takes itself out of the queue first, so that somebody hears this.
        if waiter.call.send(Ok(())).is_ok() {
            entry.in_flight += 1;
            self.in_flight += 1;
        }
        self.pace.call();
        self.gone();
        self.file(&tenant);
        true
    }

    /// Whether there is a place for a tenant that has so many.
    fn may_have_one_more(&self, has: u32, weight: Weight) -> bool {
        let all = self.caps.in_flight.get();
        let free = all.saturating_sub(self.in_flight);
        let less_than_its_share =
            u128::from(has) * u128::from(self.weights) < u128::from(weight.get()) * u128::from(all);
        has < self.caps.per_tenant.get() && free > 0 && (free > all / RESERVE || less_than_its_share)
    }

    /// Keeps a tenant for a while of which nobody is here any more.
    fn keep(&mut self, tenant: &Option<TenantId>) {
        let Some(entry) = self.tenants.get_mut(tenant) else { return };
        let reserves = self.caps.in_flight.get() >= RESERVE;
        if !reserves || (entry.kept_until.is_none() && self.lately.len() >= MOST_LATELY) {
            self.weights -= entry.counted;
            self.tenants.remove(tenant);
            return;
        }
        let until = (self.clock)() + LATELY;
        if entry.kept_until.replace(until).is_none() {
            self.lately.push_back((until, tenant.clone()));
        }
    }

    /// Forgets who was not here lately: a few at a time, which is more than can come.
    fn forget_some(&mut self) {
        for _ in 0..2 {
            let Some((until, _)) = self.lately.front() else { return };
            let now = (self.clock)();
            if *until > now {
                return;
            }
            let Some((_, tenant)) = self.lately.pop_front() else { return };
            let Some(entry) = self.tenants.get_mut(&tenant) else { continue };
            let is_here = entry.in_flight > 0 || !entry.waiting.is_empty();
            match entry.kept_until.take_if(|_| is_here) {
                Some(_) => {}
                None => match entry.kept_until.filter(|until| *until > now) {
                    Some(until) => self.lately.push_back((until, tenant)), // it has been here since
                    None => {
                        self.weights -= entry.counted;
                        self.tenants.remove(&tenant);
                    }
                },
            }
        }
    }

    /// Since a tenant was put in order others have come or gone. Who is first and has more than its share by now is put in
    /// order again, which each event of its own allows twice; so is who is first of the rest and has less.
    fn whose_turn(&mut self) -> Option<Option<TenantId>> {
        for rest in [Holds::All, Holds::Nearly] {
            self.look_again(rest, Ordering::Less);
        }
        while self.look_again(Holds::Less, Ordering::Greater) {}
        self.turns.first(Holds::Less, self.places()).map(|(tenant, _)| tenant.clone())
    }

    fn look_again(&mut self, from: Holds, if_by_now: Ordering) -> bool {
        let Some((tenant, by_now)) = self.turns.first(from, self.places()) else { return false };
        let tenant = tenant.clone();
        if by_now == if_by_now {
            self.file(&tenant);
        }
        by_now == if_by_now
    }

    /// How many places there are for those that wait and may have one more: all but what others hold.
    fn places(&self) -> u64 {
        let others = u64::from(self.in_flight).saturating_sub(self.turns.in_flight());
        u64::from(self.caps.in_flight.get()).saturating_sub(others)
    }

    /// One waits no more.
    const fn gone(&mut self) {
        self.waiting -= 1;
        if self.waiting == 0 {
            self.pace.rest();
        }
    }

    /// Sends away the newest request of the tenant that has most for its weight, in flight and in line, if that makes it
    /// fairer: a queue that one tenant has filled is still there for the others. The newest has waited least, and would have
    /// waited longest: whoever came before it loses nothing.
    fn make_room(&mut self, newcomer: &Option<TenantId>) -> bool {
        let Some((most, heaviest)) = self.turns.heaviest() else { return false };
        let Some(entry) = self.tenants.get(newcomer) else { return false };
        let has = u64::from(entry.in_flight) + entry.waiting.len() as u64;
        if most <= ratio(has + 1, entry.weight) {
            return false;
        }
        let heaviest = heaviest.clone();
        let shed = self.shed(heaviest.as_ref());
        let Some(waiter) = self.tenants.get_mut(&heaviest).and_then(|entry| entry.waiting.pop_back()) else {
            return false;
        };
        self.gone();
        self.file(&heaviest);
        waiter.call.send(Err(shed)).is_ok()
    }

    /// Puts a tenant where it belongs among those that wait, and forgets it if nobody of it is here.
    fn file(&mut self, tenant: &Option<TenantId>) {
        let Some(entry) = self.tenants.get_mut(tenant) else { return };
        if let Some(filed) = entry.filed.take() {
            self.turns.remove(&filed);
        }
        if let (Some(oldest), Some(newest)) = (entry.waiting.front(), entry.waiting.back()) {
            let callable = if entry.in_flight < self.caps.per_tenant.get() { Callable::Now } else { Callable::Later };
            let line = Line {
                tenant: tenant.clone(),
                weight: entry.weight,
                in_flight: entry.in_flight,
                waiting: entry.waiting.len(),
                numbers: (oldest.number, newest.number),
                pass: entry.pass,
                callable,
            };
            // What it holds itself is added once it is among those that wait.
            let held_by_rest = u64::from(self.in_flight).saturating_sub(self.turns.in_flight());
            let places = u64::from(self.caps.in_flight.get()).saturating_sub(held_by_rest);
            let (filed, pass) = self.turns.file(line, places);
            (entry.filed, entry.pass) = (Some(filed), pass);
        } else if entry.in_flight == 0 {
            self.keep(tenant);
        }
    }
}

#[cfg(test)]
mod tests;
