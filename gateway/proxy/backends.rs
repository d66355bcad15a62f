use std::collections::HashMap;
use std::sync::Arc;

use pingora::upstreams::peer::HttpPeer;
use terms::UpstreamId;
use upstream::{Chosen, Protocol, Timeouts, Upstream};

/// The backends, by name. Which there are is fixed from start to end of the process.
#[derive(Debug)]
pub struct Backends(HashMap<UpstreamId, Backend>);

/// One backend: where it is, and what it is told about who asks.
#[derive(Debug)]
pub struct Backend {
    /// Where it is.
    pub upstream: Arc<Upstream>,
    /// What it is told about who asks.
    pub assertion: assertion::Backend,
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
        Self(backends.into_iter().map(|backend| (backend.upstream.id().clone(), backend)).collect())
    }

    pub(crate) fn named(&self, id: &UpstreamId) -> Option<&Backend> {
        self.0.get(id)
    }
}

impl Backend {
    /// What was chosen, as pingora connects to it.
    pub(crate) fn peer(&self, chosen: &Chosen) -> HttpPeer {
        let mut peer = HttpPeer::new(chosen.socket(), false, String::new());
        let Timeouts { connect, read, write, idle } = self.upstream.timeouts();
        peer.options.connection_timeout = Some(connect);
        peer.options.total_connection_timeout = Some(connect);
        peer.options.read_timeout = Some(read);
        peer.options.write_timeout = Some(write);
        peer.options.idle_timeout = Some(idle);
        if self.upstream.protocol() == Protocol::H2c {
            peer.options.set_http_version(2, 2);
            peer.options.max_h2_streams = STREAMS as usize;
            peer.options.h2_stream_window_size = Some(STREAM_WINDOW);
            peer.options.h2_connection_window_size = Some(CONNECTION_WINDOW);
        }
        peer
    }
}
