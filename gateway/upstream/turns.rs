//! Whose turn it is, of the tenants that wait for a place.
//!
//! The *share* of a tenant is the part of the places that its weight is of all weights, of those that wait and may have one
//! more; only the places that they have or could have count, so that what others hold is nobody's share. It is hardly
//! ever a whole number. Who has less than its share rounded down comes first; then who has less than its share; then who has
//! not. Within the first two, turns are taken as weights say (stride scheduling): that is what the part of a place comes to
//! in time, and where there are fewer places than tenants it is all there is. So a tenant whose requests are slow has no more
//! places than one whose requests are quick, and a tenant that has nothing in flight does not wait for one that has much.
//!
//! A tenant is put in order by each event of its own. The share of all others changes by that, too, but only those who are
//! first are looked at again, when somebody is called: so each event costs O(log n), however many wait.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use terms::{TenantId, Weight};

/// The tenants of whom somebody waits, in the order in which they are called, and by how much they have.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    order: BTreeMap<Turn, Line>,
    loads: BTreeMap<Load, Option<TenantId>>,
    /// Those in `order`, by how much they have in flight.
    held: BTreeMap<Load, Option<TenantId>>,
    /// The weights of those in `order`.
    weights: u64,
    /// What those in `order` have in flight.
    in_flight: u64,
    /// How far all have come, in strides of weight 1: the mean of what each has come to.
    now: u128,
}

/// A tenant, as it is put in order.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) tenant: Option<TenantId>,
    pub(crate) weight: Weight,
    pub(crate) in_flight: u32,
    pub(crate) waiting: usize,
    /// Its oldest and its newest request that wait.
    pub(crate) numbers: (u64, u64),
    /// How far it has come, in strides: each turn takes it one stride further, of which the shortest is that of the greatest
    /// weight.
    pub(crate) pass: u128,
    /// Whether it may have one more.
    pub(crate) callable: Callable,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Callable {
    Now,
    /// It has all that one tenant may have.
    Later,
}

/// Where a tenant was put, so that it can be taken out again.
#[derive(Debug)]
pub(crate) struct Filed {
    turn: Option<(Turn, Load)>,
    load: Load,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Turn {
    holds: Holds,
    rank: u128,
    number: u64,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Load {
    ratio: u128,
    number: u64,
}

/// What a tenant has, next to its share.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Holds {
    /// With one more it has no more than its share.
    Less,
    /// Its share is a part of a place more.
    Nearly,
    /// Its share, or more.
    All,
}

/// The stride of weight 1.
const STRIDE: u128 = 1 << 32;

const fn stride(weight: Weight) -> u128 {
    STRIDE / weight.get() as u128
}

/// How much a tenant has for its weight.
pub(crate) fn ratio(has: u64, weight: Weight) -> u128 {
    u128::from(has) * stride(weight)
}

impl Line {
    fn load(&self) -> u64 {
        u64::from(self.in_flight).saturating_add(self.waiting as u64)
    }
}

impl Turns {
    /// Puts a tenant in order of whom somebody waits. `places`: how many there are for those that wait, besides this one.
    /// Gives back how far it has come.
    pub(crate) fn file(&mut self, line: Line, places: u64) -> (Filed, u128) {
        let (oldest, newest) = line.numbers;
        let load = Load { ratio: ratio(line.load(), line.weight), number: newest };
        self.loads.insert(load, line.tenant.clone());
        // Neither does it save up for later what it had no use for, nor pay for what nobody else wanted.
        let stride = stride(line.weight);
        let pass = line.pass.clamp(self.now.saturating_sub(stride), self.now.saturating_add(2 * stride));
        if line.callable == Callable::Later {
            return (Filed { turn: None, load }, pass);
        }
        self.weights += u64::from(line.weight.get());
        self.in_flight += u64::from(line.in_flight);
        let held = Load { ratio: ratio(line.in_flight.into(), line.weight), number: oldest };
        self.held.insert(held, line.tenant.clone());
        let holds = self.holds(&line, places.saturating_add(line.in_flight.into()));
        let rank = if holds == Holds::All { held.ratio } else { pass };
        let turn = Turn { holds, rank, number: oldest };
        self.order.insert(turn, Line { pass, ..line });
        (Filed { turn: Some((turn, held)), load }, pass)
    }

    /// Takes a tenant out.
    pub(crate) fn remove(&mut self, filed: &Filed) {
        self.loads.remove(&filed.load);
        let Some((turn, held)) = filed.turn else { return };
        self.held.remove(&held);
        let Some(line) = self.order.remove(&turn) else { return };
        self.weights -= u64::from(line.weight.get());
        self.in_flight -= u64::from(line.in_flight);
    }

    /// Who is first of those that held so much or more when they were put in order, and whether it holds more or less by now.
    /// `places`: how many there are for those that wait.
    pub(crate) fn first(&self, from: Holds, places: u64) -> Option<(&Option<TenantId>, Ordering)> {
        let (turn, line) = self.order.range(Turn { holds: from, rank: 0, number: 0 }..).next()?;
        Some((&line.tenant, self.holds(line, places).cmp(&turn.holds)))
    }

    /// Who has least in flight for its weight, of those that may have one more.
    pub(crate) fn least(&self) -> Option<&Option<TenantId>> {
        self.held.first_key_value().map(|(_, tenant)| tenant)
    }

    /// Notes that one of them is called, and how far that brings it.
    pub(crate) fn called(&mut self, weight: Weight, pass: u128) -> u128 {
        // Every call brings all of them, taken together, further by what it brings the one.
        self.now += STRIDE / u128::from(self.weights.max(1));
        pass + stride(weight)
    }

    /// Where who has not waited before begins: where all are.
    pub(crate) const fn now(&self) -> u128 {
        self.now
    }

    /// What those that wait and may have one more have in flight.
    pub(crate) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// The weights of those that wait and may have one more.
    pub(crate) const fn weights(&self) -> u64 {
        self.weights
    }

    /// Who has most for its weight, of those that wait, in flight and in line; and how much.
    pub(crate) fn heaviest(&self) -> Option<(u128, &Option<TenantId>)> {
        self.loads.last_key_value().map(|(load, tenant)| (load.ratio, tenant))
    }

    /// Whether nobody is here.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
            && self.loads.is_empty()
            && self.held.is_empty()
            && self.weights == 0
            && self.in_flight == 0
    }

    fn holds(&self, line: &Line, places: u64) -> Holds {
        let due = u128::from(line.weight.get()) * u128::from(places);
        let has = |more: u64| u128::from(u64::from(line.in_flight) + more) * u128::from(self.weights);
        match (has(1) <= due, has(0) < due) {
            (true, _) => Holds::Less,
            (false, true) => Holds::Nearly,
            (false, false) => Holds::All,
        }
    }
}
