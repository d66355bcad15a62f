use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pingora::upstreams::peer::HttpPeer;
use terms::UpstreamId;

/// The backends, by name. Fixed from start to end of the process.
#[derive(Debug)]
pub struct Upstreams(HashMap<UpstreamId, Upstream>);

/// One backend: where it runs, and how long it may take.
#[derive(Debug)]
pub struct Upstream {
    id: UpstreamId,
    addresses: Vec<SocketAddr>,
    timeouts: Timeouts,
    assertion: assertion::Backend,
    next: AtomicUsize,
}

/// How long to wait for a backend. Every one of them is set: pingora's own default is to wait for ever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until the next bytes of the response.
    pub read: Duration,
    /// Until the next bytes of the request are taken.
    pub write: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

impl Upstreams {
    /// The backends of a configuration.
    pub fn new(upstreams: impl IntoIterator<Item = Upstream>) -> Self {
        Self(upstreams.into_iter().map(|upstream| (upstream.id.clone(), upstream)).collect())
    }

    pub(crate) fn named(&self, id: &UpstreamId) -> Option<&Upstream> {
        self.0.get(id)
    }
}

impl Upstream {
    /// A backend on one or more addresses. Without an address, every request to it fails.
    #[must_use]
    pub fn new(id: UpstreamId, addresses: Vec<SocketAddr>, timeouts: Timeouts, assertion: assertion::Backend) -> Self {
        Self { id, addresses, timeouts, assertion, next: AtomicUsize::new(0) }
    }

    /// What the configuration calls it.
    #[must_use]
    pub const fn id(&self) -> &UpstreamId {
        &self.id
    }

    /// What this backend is told about who asks.
    pub(crate) const fn assertion(&self) -> &assertion::Backend {
        &self.assertion
    }

    /// How many connections are tried before the request fails: each address once, and a single one twice.
    pub(crate) fn attempts(&self) -> u32 {
        u32::try_from(self.addresses.len()).unwrap_or(u32::MAX).clamp(2, 3)
    }

    /// The next address in turn.
    pub(crate) fn peer(&self) -> Option<HttpPeer> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let address = self.addresses.get(turn.checked_rem(self.addresses.len())?)?;
        let mut peer = HttpPeer::new(address, false, String::new());
        let Timeouts { connect, read, write, idle } = self.timeouts;
        peer.options.connection_timeout = Some(connect);
        peer.options.total_connection_timeout = Some(connect);
        peer.options.read_timeout = Some(read);
        peer.options.write_timeout = Some(write);
        peer.options.idle_timeout = Some(idle);
        Some(peer)
    }
}
