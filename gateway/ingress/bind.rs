use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use certificate::AuthoritySettings;
use terms::{Clock, Live, Networks};

use crate::tls::Offer;
use crate::{Certificates, Cleartext, Inherited, ListenerSettings, TlsError};

/// Why a listener cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be listened on: most often, somebody else does already.
    #[error("cannot listen on `{address}`")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// An authority that vouches for clients cannot be had.
    #[error("cannot ask clients for certificates")]
    Authority(#[source] Box<certificate::AuthorityError>),
    /// Its certificate or key cannot be served with.
    #[error("cannot speak tls on `{address}`")]
    Tls {
        /// The address.
        address: SocketAddr,
        /// What is wrong.
        source: Box<TlsError>,
    },
}

/// Sockets that listen already, and have all they need to serve. Connections wait until the service starts.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) sockets: Vec<Socket>,
    pub(crate) certificates: Certificates,
}

#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) listener: TcpListener,
    pub(crate) proxies: Option<Arc<Networks>>,
    pub(crate) cleartext: Cleartext,
    pub(crate) tls: Option<Arc<Live<Offer>>>,
}

impl Listeners {
    /// Binds every address and reads every certificate.
    ///
    /// # Errors
    /// The first listener that cannot be had; then none is.
    pub fn bind(
        settings: &[ListenerSettings],
        authorities: &[AuthoritySettings],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BindError> {
        Self::take_or_bind(settings, authorities, clock, &mut Inherited::default())
    }

    /// As [`Listeners::bind`], but takes those sockets that are there already.
    ///
    /// # Errors
    /// As [`Listeners::bind`].
    pub fn take_or_bind(
        settings: &[ListenerSettings],
        authorities: &[AuthoritySettings],
        clock: Arc<dyn Clock>,
        inherited: &mut Inherited,
    ) -> Result<Self, BindError> {
        let with_tls: Vec<_> =
            settings.iter().filter_map(|listener| Some((listener.bind, listener.tls.clone()?))).collect();
        let certificates = Certificates::open(&with_tls, authorities, clock)?;
        let mut offers = certificates.offers();
        let mut sockets = Vec::new();
        for ListenerSettings { bind, proxies, cleartext, tls } in settings {
            let address = *bind;
            let listener = match inherited.take(address) {
                Some(listener) => relisten(listener),
                None => TcpListener::bind(address).and_then(relisten),
            };
            let listener = listener.map_err(|source| BindError::Bind { address, source })?;
            let tls = tls.as_ref().and_then(|_| offers.next()).map(Arc::clone);
            sockets.push(Socket { listener, proxies: proxies.clone().map(Arc::new), cleartext: *cleartext, tls });
        }
        drop(offers);
        Ok(Self { sockets, certificates })
    }

    /// The addresses, with the ports that the system chose where the settings say 0.
    ///
    /// # Errors
    /// What the system says.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(|socket| socket.listener.local_addr()).collect()
    }

    /// The sockets once more, each with the address that the settings ask for: for whoever takes them over.
    ///
    /// # Errors
    /// What the system says.
    pub fn duplicate(&self, settings: &[ListenerSettings]) -> io::Result<Vec<(SocketAddr, TcpListener)>> {
        let duplicate = |(of, socket): (&ListenerSettings, &Socket)| Ok((of.bind, socket.listener.try_clone()?));
        settings.iter().zip(&self.sockets).map(duplicate).collect()
    }

    /// The certificates in use, to be replaced while they are served.
    #[must_use]
    pub fn certificates(&self) -> Certificates {
        self.certificates.clone()
    }
}

/// The standard library sets SO_REUSEADDR, so that a restart need not wait for the connections of the last run to fade.
fn relisten(listener: TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    // Once more, for a longer queue than the 128 that the standard library asks for.
    rustix::net::listen(&listener, QUEUE)?;
    Ok(listener)
}

/// Connections that wait to be accepted. The system has a bound of its own (Linux: net.core.somaxconn, 4096).
pub(crate) const QUEUE: i32 = 4096;
