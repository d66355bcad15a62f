use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pingora::prelude::{Error, ErrorType, Result};
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use terms::{TenantId, UpstreamId};
use upstream::{Chosen, ClientTls, Defence, Protocol, Timeouts, Upstream, Verify};

use crate::tcp::Tcp;

/// The backends, by name. Which there are is fixed from start to end of the process.
#[derive(Debug)]
pub struct Backends(HashMap<UpstreamId, Backend>);

/// One backend: where it is, how a connection to it is made, and what it is told about who asks.
#[derive(Debug)]
pub struct Backend {
    upstream: Arc<Upstream>,
    assertion: assertion::Backend,
    defence: Arc<Defence>,
    tls: Option<Tls>,
}

/// TLS to one backend, in pingora's types: made once, since they are large.
#[derive(Debug)]
struct Tls {
    ca: Option<Arc<CaType>>,
    identity: Option<Arc<CertKey>>,
}

/// A certificate that rustls takes and pingora does not.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a certificate of this upstream cannot be read in all its parts")]
pub struct UnreadableCertificate;

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
    /// A backend at the addresses of `upstream`, which is told about who asks as `assertion` says. `defence` keeps it, and
    /// those who ask it, from harm.
    ///
    /// # Errors
    /// One of its certificates is unusual beyond what can be handled.
    pub fn new(
        upstream: Arc<Upstream>,
        assertion: assertion::Backend,
        defence: Arc<Defence>,
    ) -> Result<Self, UnreadableCertificate> {
        let tls = match upstream.tls() {
            // The framework's parser panics at what it cannot read. Here is where that ends.
            Some(tls) => Some(catch_unwind(AssertUnwindSafe(|| Tls::of(tls))).map_err(|_| UnreadableCertificate)?),
            None => None,
        };
        Ok(Self { upstream, assertion, defence, tls })
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

    pub(crate) const fn assertion(&self) -> &assertion::Backend {
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
        let client = self.upstream.tls();
        let name = client.map_or_else(String::new, |tls| tls.server_name().to_owned());
        let mut peer = HttpPeer::new(chosen.socket(), client.is_some(), name);
        // Of what the pool compares, neither the CA nor more of our certificate than its serial number would tell two
        // upstreams apart: without the group, one would be served over the connection of another.
        peer.group_key = self.upstream.group(tenant);
        if let (Some(client), Some(tls)) = (client, &self.tls) {
            peer.options.ca = tls.ca.clone();
            peer.client_cert_key = tls.identity.clone();
            peer.options.verify_cert = client.verify() == Verify::Whole;
            peer.options.verify_hostname = client.verify() == Verify::Whole;
        }
        let Timeouts { connect, tls, first_byte: _, read, write, idle, request: _ } = times; // see `deadline.rs`
        if client.is_some() {
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

impl Tls {
    fn of(client: &ClientTls) -> Self {
        let ca: Vec<WrappedX509> =
            client.ca().iter().map(|root| WrappedX509::new(root.as_ref().to_vec(), parse_x509)).collect();
        let identity = client.identity().map(|(chain, key)| {
            let chain = chain.iter().map(|certificate| certificate.as_ref().to_vec()).collect();
            Arc::new(CertKey::new(chain, key.secret_der().to_vec()))
        });
        Self { ca: if ca.is_empty() { None } else { Some(ca.into()) }, identity }
    }
}
