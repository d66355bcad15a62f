use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use pingora::prelude::{Error, ErrorType, Result};
use pingora::upstreams::peer::HttpPeer;
use terms::{TenantId, UpstreamId};
use upstream::{Chosen, Defence, Protocol, Timeouts, Upstream};

use crate::secure::Security;
use crate::tcp::Tcp;

/// The backends, by name. Which there are is fixed from start to end of the process.
#[derive(Debug)]
pub struct Backends(HashMap<UpstreamId, Arc<Backend>>);

/// One backend: where it is, how a connection to it is made, and what it is told about who asks.
#[derive(Debug)]
pub struct Backend {
    upstream: Arc<Upstream>,
    assertion: assertion::Backend,
    defence: Arc<Defence>,
    security: Security,
}

/// How many requests share one connection to an HTTP/2 backend.
const STREAMS: u32 = 100;

/// What a backend may send of one response before its client reads: the memory that a slow client can take.
const STREAM_WINDOW: u32 = 64 << 10;

/// Room for every stream's window at once: clients that do not read never hold up others on the same connection.
const CONNECTION_WINDOW: u32 = STREAMS * STREAM_WINDOW;

impl Backends {
    /// The backends of a configuration.
    pub fn new(backends: impl IntoIterator<Item = Backend>) -> Self {
        Self(backends.into_iter().map(|backend| (backend.upstream.id().clone(), Arc::new(backend))).collect())
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Backend> {
        self.0.values().map(Arc::as_ref)
    }

    pub(crate) fn named(&self, id: &UpstreamId) -> Option<&Arc<Backend>> {
        self.0.get(id)
    }
}

impl Backend {
    /// A backend at the addresses of `upstream`, which is told about who asks as `assertion` says. `defence` keeps it, and
    /// those who ask it, from harm.
    #[must_use]
    pub const fn new(
        upstream: Arc<Upstream>,
        security: Security,
        assertion: assertion::Backend,
        defence: Arc<Defence>,
    ) -> Self {
        Self { upstream, security, assertion, defence }
    }

    /// How connections to it are made secure.
    #[must_use]
    pub const fn security(&self) -> &Security {
        &self.security
    }

    /// Where it is.
    #[must_use]
    pub const fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// What keeps it from harm.
    #[must_use]
    pub const fn defence(&self) -> &Arc<Defence> {
        &self.defence
    }

    /// What it is told about who asks.
    #[must_use]
    pub const fn assertion(&self) -> &assertion::Backend {
        &self.assertion
    }

    /// Refuses HTTP/1 where HTTP/2 is to be spoken: pingora speaks it as soon as a TLS handshake agrees on nothing.
    pub(crate) fn may_speak_http1(&self) -> Result<()> {
        match self.upstream.protocol() {
            Protocol::Http1 => Ok(()),
            Protocol::H2 | Protocol::H2c => {
                let error = Error::explain(ErrorType::ConnectError, "the backend has not agreed to speak HTTP/2");
                Err(error.into_up())
            }
        }
    }

    /// What was chosen for a request of this tenant (of a public route, if there is none), as pingora connects to it.
    pub(crate) fn peer(&self, chosen: &Chosen, tenant: Option<&TenantId>, times: Timeouts) -> HttpPeer {
        let mut peer = HttpPeer::new(chosen.socket(), false, String::new());
        let secure = self.security.secure(&mut peer, tenant);
        self.complete(peer, secure, times)
    }

    /// An address, as pingora connects to it for a check.
    pub(crate) fn peer_of_check(&self, address: SocketAddr) -> HttpPeer {
        let mut peer = HttpPeer::new(address, false, String::new());
        let secure = self.security.secure_check(&mut peer);
        self.complete(peer, secure, self.upstream.timeouts())
    }

    fn complete(&self, mut peer: HttpPeer, secure: bool, times: Timeouts) -> HttpPeer {
        let Timeouts { connect, tls, first_byte: _, read, write, idle, request: _ } = times; // see `deadline.rs`
        if secure {
            // pingora has one time for each of two steps. So the first step is ours, and its time is left to the second.
            peer.options.custom_l4 = Some(Arc::new(Tcp::within(connect)));
            peer.options.connection_timeout = Some(tls);
            peer.options.total_connection_timeout = Some(connect.saturating_add(tls));
        } else {
            peer.options.connection_timeout = Some(connect);
            peer.options.total_connection_timeout = Some(connect);
        }
        peer.options.read_timeout = Some(read);
        peer.options.write_timeout = Some(write);
        peer.options.idle_timeout = Some(idle);
        if matches!(self.upstream.protocol(), Protocol::H2 | Protocol::H2c) {
            peer.options.set_http_version(2, 2);
            peer.options.max_h2_streams = STREAMS as usize;
            peer.options.h2_stream_window_size = Some(STREAM_WINDOW);
            peer.options.h2_connection_window_size = Some(CONNECTION_WINDOW);
        }
        peer
    }
}
