use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use terms::{Live, Span, TenantId, UpstreamId};
use tokio::sync::Notify;

use crate::balance::{Balancer, lot};
use crate::condition::{State, Turn, milliseconds};
use crate::list::List;
use crate::names::Entry;
use crate::{
    Address, Balance, CheckSettings, Chosen, HealthSettings, Location, ProbeError, Protocol, Settings, Timeouts, Tried,
    Verdict, Went,
};

/// One backend: where it runs, what is known of its addresses, and which is next.
#[derive(Debug)]
pub struct Upstream {
    id: UpstreamId,
    protocol: Protocol,
    timeouts: Timeouts,
    balancer: Balancer,
    entries: Vec<Entry>,
    pub(crate) list: Live<List>,
    /// Whoever makes a new list, or leaves an address out, holds this.
    changing: Mutex<()>,
    changed: Notify,
    health: HealthSettings,
    origin: Instant,
    lanes: RandomState,
    ejections: AtomicU64,
    passed: AtomicU64,
    failed: AtomicU64,
}

/// No address of the upstream can be asked now.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unavailable {
    /// It has none: no name of it could be looked up yet.
    #[error("the upstream has no address")]
    NoAddress,
    /// Every one of them failed its checks.
    #[error("no address of the upstream passes its checks")]
    Unhealthy {
        /// When it is worth to ask again.
        retry_after: Duration,
    },
}

/// How many addresses are in which state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct States {
    /// They get their share.
    pub available: u64,
    /// They were out, and get a part of their share that grows.
    pub returning: u64,
    /// They are left out for what became of requests.
    pub ejected: u64,
    /// They are out for what became of checks.
    pub unhealthy: u64,
}

impl Upstream {
    /// An upstream with these settings.
    #[must_use]
    pub fn new(settings: Settings, now: Instant) -> Self {
        let Settings { id, addresses, balance, protocol, timeouts, health } = settings;
        let upstream = Self {
            id,
            protocol,
            timeouts,
            balancer: Balancer::new(balance),
            entries: addresses.into_iter().map(Entry::new).collect(),
            list: Live::new(List::new([], None, Address::new)),
            changing: Mutex::default(),
            changed: Notify::new(),
            health,
            origin: now,
            lanes: RandomState::new(),
            ejections: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        upstream.relist();
        upstream
    }

    /// What the configuration calls it.
    #[must_use]
    pub const fn id(&self) -> &UpstreamId {
        &self.id
    }

    /// What is spoken to it.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// How long it may take.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// How many connections are tried before the request fails: each address once, and a single one twice.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.list.glance().members().len()).unwrap_or(u32::MAX).clamp(2, 3)
    }

    /// How many addresses it has.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.list.glance().members().len()
    }

    /// How many attempts are under way at its addresses.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.list.glance().members().iter().map(|member| u64::from(member.address.in_flight())).sum()
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether a name must be looked up for it.
    #[must_use]
    pub fn has_names(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.at, Location::Name { .. }))
    }

    /// How many look-ups of its names went well, and how many failed.
    #[must_use]
    pub fn look_ups(&self) -> (u64, u64) {
        self.entries.iter().map(Entry::counts).fold((0, 0), |(a, b), (good, bad)| (a + good, b + bad))
    }

    /// Makes the list anew from what the entries stand for.
    pub(crate) fn relist(&self) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = self.entries.iter().flat_map(Entry::sockets);
        let list = List::new(wanted, Some(&self.list.snapshot()), Address::new);
        self.list.replace(list);
        self.changed.notify_one();
    }
}

mod choose;
mod health;
#[cfg(test)]
pub(crate) mod tests;
