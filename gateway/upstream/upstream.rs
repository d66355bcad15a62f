use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use terms::UpstreamId;

use crate::{Address, Chosen, Protocol, Settings, Timeouts, Tried, Went};

/// One backend: where it runs, what is known of its addresses, and which is next.
#[derive(Debug)]
pub struct Upstream {
    id: UpstreamId,
    protocol: Protocol,
    timeouts: Timeouts,
    addresses: Box<[Arc<Address>]>,
    turn: AtomicUsize,
}

/// No address of the upstream can be asked now.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unavailable {
    /// It has none.
    #[error("the upstream has no address")]
    NoAddress,
}

impl Upstream {
    /// An upstream with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { id, addresses, protocol, timeouts } = settings;
        let addresses = addresses.into_iter().map(|socket| Arc::new(Address::new(socket))).collect();
        Self { id, protocol, timeouts, addresses, turn: AtomicUsize::new(0) }
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
        u32::try_from(self.addresses.len()).unwrap_or(u32::MAX).clamp(2, 3)
    }

    /// The address for the next attempt of a request: one that was not tried yet, if there is one.
    ///
    /// # Errors
    /// There is no address to be asked.
    pub fn choose(&self, tried: &Tried, _now: Instant) -> Result<Chosen, Unavailable> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.addresses.len();
        let in_turn = || (0..count).filter_map(|step| self.addresses.get(turn.wrapping_add(step).checked_rem(count)?));
        let fresh = in_turn().find(|address| !tried.has(address.socket()));
        fresh.or_else(|| in_turn().next()).map(Chosen::new).ok_or(Unavailable::NoAddress)
    }

    /// Takes note of how an attempt went.
    pub fn report(&self, _chosen: &Chosen, _went: Went, _now: Instant) {}
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;

    fn upstream(ports: &[u16]) -> Upstream {
        let second = Duration::from_secs(1);
        Upstream::new(Settings {
            id: "orders".parse().unwrap(),
            addresses: ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect(),
            protocol: Protocol::Http1,
            timeouts: Timeouts { connect: second, read: second, write: second, idle: second },
        })
    }

    #[test]
    fn addresses_take_turns_and_what_was_tried_is_not_tried_again_while_there_is_another() {
        let upstream = upstream(&[1, 2, 3]);
        let now = Instant::now();
        let mut tried = Tried::default();
        let mut ports = Vec::new();
        for _ in 0..3 {
            let chosen = upstream.choose(&tried, now).unwrap();
            tried.note(&chosen);
            ports.push(chosen.socket().port());
        }
        ports.sort_unstable();
        assert_eq!(ports, [1, 2, 3]);
        assert!(upstream.choose(&tried, now).is_ok(), "if all were tried, one is tried again");
    }

    #[test]
    fn an_attempt_is_in_flight_until_it_is_let_go() {
        let upstream = upstream(&[1]);
        let chosen = upstream.choose(&Tried::default(), Instant::now()).unwrap();
        let address = Arc::clone(chosen.address());
        assert_eq!(address.in_flight(), 1);
        drop(chosen);
        assert_eq!(address.in_flight(), 0);
    }

    #[test]
    fn an_upstream_without_an_address_says_so() {
        let none = upstream(&[]).choose(&Tried::default(), Instant::now()).map(|chosen| chosen.socket());
        assert_eq!(none, Err(Unavailable::NoAddress));
    }
}
