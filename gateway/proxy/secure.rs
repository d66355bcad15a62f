use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pingora::protocols::tls::CaType;
use pingora::tls::RootCertStore;
use pingora::upstreams::peer::{HttpPeer, Scheme};
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use terms::{Live, TenantId, UpstreamId};
use upstream::{ClientTls, Groups, Pool, TlsError, Verify};

/// How connections to one backend are made secure, and who may share them.
#[derive(Debug)]
pub struct Security {
    id: UpstreamId,
    pool: Pool,
    live: Live<Secured>,
    faulty: AtomicBool,
}

/// Both in one value: a connection that was made with the files of before is never in a group of those of now.
#[derive(Debug)]
struct Secured {
    tls: Option<Tls>,
    groups: Groups,
}

/// TLS to one backend, also in pingora's types: made once, since they are large.
#[derive(Debug)]
struct Tls {
    client: ClientTls,
    ca: Option<Arc<CaType>>,
    identity: Option<Arc<CertKey>>,
}

/// Why files cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// They are not fit.
    #[error("TLS to the upstream `{0}`")]
    Files(UpstreamId, #[source] TlsError),
    /// A certificate that rustls takes and pingora does not.
    #[error("a certificate of the upstream `{0}` cannot be read in all its parts")]
    Unreadable(UpstreamId),
}

impl Security {
    /// Connections to the upstream of this name, over TLS if there is a client for it.
    ///
    /// # Errors
    /// One of its certificates is unusual beyond what can be handled.
    pub fn new(id: UpstreamId, tls: Option<ClientTls>, pool: Pool) -> Result<Self, Unfit> {
        let live = Live::new(Secured::new(&id, tls, pool)?);
        Ok(Self { id, pool, live, faulty: AtomicBool::new(false) })
    }

    /// Whether whoever answers is believed to be the backend.
    #[must_use]
    pub fn believes_anybody(&self) -> bool {
        self.live.glance().tls.as_ref().is_some_and(|tls| tls.client.verify() == Verify::Nothing)
    }

    /// The files that are looked at again.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let live = self.live.glance();
        live.tls.iter().flat_map(|tls| tls.client.files()).map(Into::into).collect()
    }

    /// Reads the files again. `true`: they are other ones, and from now on connections are made with them; those that
    /// are open are not used for another request.
    ///
    /// # Errors
    /// They are not fit; those of before stay.
    pub fn renew(&self, roots: &RootCertStore) -> Result<bool, Unfit> {
        let renewed = self.take_over(roots);
        self.faulty.store(renewed.is_err(), Ordering::Relaxed);
        renewed
    }

    /// Whether the files were not fit when they were last read.
    #[must_use]
    pub fn is_faulty(&self) -> bool {
        self.faulty.load(Ordering::Relaxed)
    }

    fn take_over(&self, roots: &RootCertStore) -> Result<bool, Unfit> {
        let next = match &self.live.glance().tls {
            None => return Ok(false),
            Some(tls) => tls.client.again(roots).map_err(|error| Unfit::Files(self.id.clone(), error))?,
        };
        let Some(next) = next else { return Ok(false) };
        self.live.replace(Secured::new(&self.id, Some(next), self.pool)?);
        Ok(true)
    }

    /// Has the connection for a request of this tenant (of a public route, if there is none) made, or found, by this.
    /// `true`: over TLS.
    pub(crate) fn secure(&self, peer: &mut HttpPeer, tenant: Option<&TenantId>) -> bool {
        self.secure_in(peer, |groups| groups.of(tenant))
    }

    /// The same for a check, whose connection no request uses.
    pub(crate) fn secure_check(&self, peer: &mut HttpPeer) -> bool {
        self.secure_in(peer, Groups::checks)
    }

    fn secure_in(&self, peer: &mut HttpPeer, group: impl FnOnce(&Groups) -> u64) -> bool {
        let live = self.live.glance();
        // Of what the pool compares, neither the CA nor more of our certificate than its serial number would tell two
        // upstreams apart: without the group, one would be served over the connection of another.
        peer.group_key = group(&live.groups);
        let Some(Tls { client, ca, identity }) = &live.tls else { return false };
        peer.scheme = Scheme::HTTPS;
        peer.sni = client.server_name().to_owned();
        peer.options.ca = ca.clone();
        peer.client_cert_key = identity.clone();
        peer.options.verify_cert = client.verify() == Verify::Whole;
        peer.options.verify_hostname = client.verify() == Verify::Whole;
        true
    }
}

impl Secured {
    fn new(id: &UpstreamId, tls: Option<ClientTls>, pool: Pool) -> Result<Self, Unfit> {
        let groups = Groups::new(id, tls.as_ref(), pool);
        // The framework's parser panics at what it cannot read. Here is where that ends.
        let tls = tls.map(|tls| catch_unwind(AssertUnwindSafe(|| Tls::of(tls)))).transpose();
        Ok(Self { tls: tls.map_err(|_| Unfit::Unreadable(id.clone()))?, groups })
    }
}

impl Tls {
    fn of(client: ClientTls) -> Self {
        let ca: Vec<WrappedX509> =
            client.ca().iter().map(|root| WrappedX509::new(root.as_ref().to_vec(), parse_x509)).collect();
        let identity = client.identity().map(|(chain, key)| {
            let chain = chain.iter().map(|certificate| certificate.as_ref().to_vec()).collect();
            Arc::new(CertKey::new(chain, key.secret_der().to_vec()))
        });
        Self { ca: if ca.is_empty() { None } else { Some(ca.into()) }, identity, client }
    }
}
