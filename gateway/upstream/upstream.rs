use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use terms::{Live, TenantId, UpstreamId};

use crate::balance::Balancer;
use crate::list::List;
use crate::names::Entry;
use crate::{Address, Chosen, Location, Protocol, Settings, Timeouts, Tried, Went};

/// One backend: where it runs, what is known of its addresses, and which is next.
#[derive(Debug)]
pub struct Upstream {
    id: UpstreamId,
    protocol: Protocol,
    timeouts: Timeouts,
    balancer: Balancer,
    entries: Vec<Entry>,
    pub(crate) list: Live<List>,
    /// Whoever makes a new list holds this.
    changing: Mutex<()>,
}

/// No address of the upstream can be asked now.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unavailable {
    /// It has none: no name of it could be looked up yet.
    #[error("the upstream has no address")]
    NoAddress,
}

impl Upstream {
    /// An upstream with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { id, addresses, balance, protocol, timeouts } = settings;
        let upstream = Self {
            id,
            protocol,
            timeouts,
            balancer: Balancer::new(balance),
            entries: addresses.into_iter().map(Entry::new).collect(),
            list: Live::new(List::new([], None, Address::new)),
            changing: Mutex::default(),
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

    /// The address for the next attempt of a request: one that was not tried yet, if there is one.
    ///
    /// # Errors
    /// There is no address to be asked.
    pub fn choose(&self, tenant: Option<&TenantId>, tried: &Tried, _now: Instant) -> Result<Chosen, Unavailable> {
        let list = self.list.glance();
        let fresh = self.balancer.pick(&list, tenant, |address| !tried.has(address.socket()));
        let any = || self.balancer.pick(&list, tenant, |_| true);
        fresh.or_else(any).map(Chosen::new).ok_or(Unavailable::NoAddress)
    }

    /// Is told how an attempt went. Nothing comes of it yet: no address is left out for having failed. What learns from
    /// failures is the breaker of the upstream as a whole ([`crate::Breaker`]).
    pub fn report(&self, _chosen: &Chosen, _went: Went, _now: Instant) {}

    /// Why requests cannot be sent there, if they cannot.
    #[must_use]
    pub fn ails(&self) -> Option<String> {
        let none = self.list.glance().members().is_empty();
        none.then(|| {
            let errors: Vec<String> = self.entries.iter().filter_map(Entry::error).collect();
            if errors.is_empty() { "no name looked up yet".into() } else { errors.join(", ") }
        })
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
    }
}

#[cfg(test)]
mod tests;
