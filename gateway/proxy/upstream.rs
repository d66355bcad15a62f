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
    protocol: UpstreamProtocol,
    timeouts: Timeouts,
    assertion: assertion::Backend,
    next: AtomicUsize,
}

/// What is spoken to a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UpstreamProtocol {
    /// HTTP/2 without TLS, from the first byte on. Trailers of responses are carried to clients that speak HTTP/2.
    H2c,
    /// HTTP/1.1. Trailers end here.
    Http1,
}

/// How many requests share one connection to an HTTP/2 backend.
const STREAMS: u32 = 100;

/// What a backend may send of one response before its client reads: the memory that a slow client can take.
const STREAM_WINDOW: u32 = 64 << 10;

/// Room for every stream's window at once: clients that do not read never hold up others on the same connection.
const CONNECTION_WINDOW: u32 = STREAMS * STREAM_WINDOW;

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
    pub fn new(
        id: UpstreamId,
        addresses: Vec<SocketAddr>,
        protocol: UpstreamProtocol,
        timeouts: Timeouts,
        assertion: assertion::Backend,
    ) -> Self {
        Self { id, addresses, protocol, timeouts, assertion, next: AtomicUsize::new(0) }
    }

    /// What the configuration calls it.
    #[must_use]
    pub const fn id(&self) -> &UpstreamId {
        &self.id
    }

    /// What is spoken to it.
    #[must_use]
    pub const fn protocol(&self) -> UpstreamProtocol {
        self.protocol
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
        if self.protocol == UpstreamProtocol::H2c {
            peer.options.set_http_version(2, 2);
            peer.options.max_h2_streams = STREAMS as usize;
            peer.options.h2_stream_window_size = Some(STREAM_WINDOW);
            peer.options.h2_connection_window_size = Some(CONNECTION_WINDOW);
        }
        Some(peer)
    }
}
