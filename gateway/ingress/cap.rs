use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use certificate::KeyDigest;
use tokio::sync::Notify;

use crate::Counters;

/// How many connections there are, in all and per client, and how many there may be.
///
/// One lock, taken when a connection comes, when it is known whose it is and when it goes, never for a request.
#[derive(Debug)]
pub(crate) struct Caps {
    total: usize,
    per_client: usize,
    per_key: usize,
    open: Mutex<Open>,
    empty: Notify,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    /// Only clients that have a connection, so never more than `total`.
    clients: HashMap<IpAddr, usize>,
    /// Only keys of client certificates with which a connection is open.
    keys: HashMap<KeyDigest, usize>,
}

/// One connection's place. Dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Place {
    caps: Arc<Caps>,
    /// `None` as long as it is not known who it is.
    client: Option<IpAddr>,
    key: Option<KeyDigest>,
}

/// Why there is no place for a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Full {
    Client,
    Gateway,
    Key,
}

impl Caps {
    pub(crate) fn new(total: usize, per_client: usize, per_key: usize, counters: Arc<Counters>) -> Self {
        Self { total, per_client, per_key, open: Mutex::default(), empty: Notify::new(), counters }
    }

    /// Takes a place for a connection from this address.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        self.enter_unknown()?.of(address)
    }

    /// Takes a place for a connection of which a proxy has yet to say whose it is.
    pub(crate) fn enter_unknown(self: &Arc<Self>) -> Result<Place, Full> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.total {
            self.counters.refused_full.up();
            return Err(Full::Gateway);
        }
        open.total += 1;
        drop(open);
        self.counters.open.up();
        Ok(Place { caps: Arc::clone(self), client: None, key: None })
    }

    /// Waits until the last connection is gone.
    pub(crate) async fn until_empty(&self) {
        loop {
            let notified = self.empty.notified();
            if self.open.lock().unwrap_or_else(PoisonError::into_inner).total == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl Place {
    /// Says whose it is. One that is one too many for its client is given back.
    pub(crate) fn of(mut self, address: IpAddr) -> Result<Self, Full> {
        let client = client(address);
        let mut open = self.caps.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.clients.entry(client).or_default();
        let full = *count >= self.caps.per_client;
        *count += usize::from(!full);
        if *count == 0 {
            open.clients.remove(&client);
        }
        drop(open);
        if full {
            self.caps.counters.refused_client.up();
            return Err(Full::Client);
        }
        self.client = Some(client);
        Ok(self)
    }

    /// Counts the connection for the key of its client's certificate as well, if there is room. To be called once.
    pub(crate) fn identify(&mut self, key: KeyDigest) -> Result<(), Full> {
        let mut open = self.caps.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.keys.get(&key).copied().unwrap_or_default();
        if count >= self.caps.per_key {
            self.caps.counters.refused_certificate.up();
            return Err(Full::Key);
        }
        open.keys.insert(key, count + 1);
        self.key = Some(key);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.caps.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { total, clients, keys } = &mut *open;
        *total = total.saturating_sub(1);
        if let Some(client) = &self.client {
            leave(clients, client);
        }
        if let Some(key) = &self.key {
            leave(keys, key);
        }
        let empty = *total == 0;
        drop(open);
        self.caps.counters.open.down();
        if empty {
            self.caps.empty.notify_waiters();
        }
    }
}

/// Counts one less, and keeps nothing of those that left.
fn leave<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// One client, whatever address of its own it takes: IPv4 is itself also where it comes mapped into IPv6 (RFC 4291
/// §2.5.5.2), and of IPv6 a client chooses freely among the addresses of a /64.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        address @ IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn caps(total: usize, per_client: usize) -> Arc<Caps> {
        Arc::new(Caps::new(total, per_client, 2, Arc::default()))
    }

    #[test]
    fn a_client_is_one_in_whatever_spelling_its_address_comes() {
        for (one, other) in [("127.0.0.1", "::ffff:127.0.0.1"), ("2001:db8::1", "2001:db8::ffff:1")] {
            let caps = caps(10, 1);
            let _place = caps.enter(one.parse().unwrap()).unwrap();
            assert_eq!(caps.enter(other.parse().unwrap()).unwrap_err(), Full::Client);
            assert!(caps.enter("2001:db8:0:1::1".parse().unwrap()).is_ok());
        }
    }

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let caps = caps(2, 2);
        let address = "192.0.2.1".parse().unwrap();
        let first = caps.enter(address).unwrap();
        let _second = caps.enter("192.0.2.2".parse().unwrap()).unwrap();
        assert_eq!(caps.enter(address).unwrap_err(), Full::Gateway);
        drop(first);
        assert!(caps.enter(address).is_ok());
        assert_eq!(caps.counters.snapshot().open, 1);
        assert_eq!(caps.open.lock().unwrap().clients.len(), 1, "nothing is kept of those who left");
    }

    #[test]
    fn a_connection_counts_for_its_client_once_it_is_known() {
        let caps = caps(2, 1);
        let (first, second) = (caps.enter_unknown().unwrap(), caps.enter_unknown().unwrap());
        assert_eq!(caps.enter_unknown().unwrap_err(), Full::Gateway);
        let address = "192.0.2.1".parse().unwrap();
        let first = first.of(address).unwrap();
        assert_eq!(second.of(address).unwrap_err(), Full::Client);
        assert_eq!(caps.counters.snapshot().open, 1, "the place of the second is free again");
        drop(first);
        assert_eq!((caps.counters.snapshot().open, caps.open.lock().unwrap().clients.len()), (0, 0));
    }

    #[test]
    fn a_key_is_counted_over_all_addresses_of_its_client() {
        let caps = caps(10, 10);
        let mut places: Vec<_> =
            (1..=3).map(|last| caps.enter(Ipv4Addr::new(192, 0, 2, last).into()).unwrap()).collect();
        let (ours, other) = (KeyDigest([1; 32]), KeyDigest([2; 32]));
        let outcome = |place: &mut Place, key| place.identify(key).is_ok();
        assert!(outcome(&mut places[0], ours) && outcome(&mut places[1], ours));
        assert!(!outcome(&mut places[2], ours) && outcome(&mut places[2], other));
        places.remove(0);
        assert!(caps.enter(Ipv4Addr::LOCALHOST.into()).unwrap().identify(ours).is_ok());
        drop(places);
        assert!(caps.open.lock().unwrap().keys.is_empty(), "nothing is kept of those who left");
    }

    #[test]
    fn zero_is_not_unlimited() {
        let address = "192.0.2.1".parse().unwrap();
        assert_eq!(caps(0, 1).enter(address).unwrap_err(), Full::Gateway);
        assert_eq!(caps(1, 0).enter(address).unwrap_err(), Full::Client);
    }
}
