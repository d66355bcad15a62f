use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

/// One address of an upstream, and what is known of it. All workers share it.
#[derive(Debug)]
pub struct Address {
    socket: SocketAddr,
    in_flight: AtomicU32,
}

impl Address {
    pub(crate) const fn new(socket: SocketAddr) -> Self {
        Self { socket, in_flight: AtomicU32::new(0) }
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

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
