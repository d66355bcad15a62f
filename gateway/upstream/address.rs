use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::balance::digest;
use crate::condition::Condition;

/// One address of an upstream, and what is known of it. All workers share it.
#[derive(Debug)]
pub struct Address {
    socket: SocketAddr,
    digest: u64,
    in_flight: AtomicU32,
    condition: Condition,
}

impl Address {
    pub(crate) fn new(socket: SocketAddr) -> Self {
        // Of the bytes and not of the text, so that no formatting decides where tenants fall to.
        let port = socket.port().to_be_bytes();
        let digest = match socket.ip() {
            IpAddr::V4(ip) => digest(ip.octets().into_iter().chain(port)),
            IpAddr::V6(ip) => digest(ip.octets().into_iter().chain(port)),
        };
        Self { socket, digest, in_flight: AtomicU32::new(0), condition: Condition::default() }
    }

    /// Where to connect to.
    #[must_use]
    pub const fn socket(&self) -> SocketAddr {
        self.socket
    }

    /// How many attempts are under way there.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) const fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) const fn condition(&self) -> &Condition {
        &self.condition
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
