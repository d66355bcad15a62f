use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use pingora::http::ResponseHeader;
use pingora::protocols::l4::socket::SocketAddr as PingoraAddr;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{SocketDigest, Stream};
use rustls::{ServerConfig, ServerConnection};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::cap::Place;
use crate::connection::{Arrival, Protocol};
use crate::guarded::{Digests, Guarded};
use crate::wire::Wire;
use crate::{Connection, Counters, GuardSettings, TlsFacts, Unparsed};

/// Makes of an accepted socket what pingora reads requests from.
pub(crate) struct Reception {
    pub(crate) guard: GuardSettings,
    pub(crate) counters: Arc<Counters>,
    pub(crate) unparsed: Arc<dyn Unparsed>,
}

impl Reception {
    /// Shakes hands where there is TLS. `None`: the client is gone, or was sent away.
    pub(crate) async fn receive(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        place: Place,
    ) -> Option<Stream> {
        let received = match tls {
            None => self.plain(tcp, peer, place),
            Some(config) => self.tls(tcp, peer, config, place).await,
        };
        match received {
            Ok(guarded) => Some(Box::new(guarded)),
            Err(error) => {
                tracing::debug!(%peer, %error, "a connection ended before it was one");
                None
            }
        }
    }

    fn plain(&self, tcp: TcpStream, peer: SocketAddr, place: Place) -> io::Result<Guarded> {
        tcp.set_nodelay(true)?;
        let local = tcp.local_addr()?;
        self.guarded(Wire::Plain(tcp), peer, local, place, None)
    }

    async fn tls(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        config: Arc<ServerConfig>,
        place: Place,
    ) -> io::Result<Guarded> {
        tcp.set_nodelay(true)?;
        let local = tcp.local_addr()?;
        let handshake = TlsAcceptor::from(config).accept(tcp);
        let Ok(handshake) = tokio::time::timeout(self.guard.handshake, handshake).await else {
            self.counters.handshake_timeouts.up();
            return Err(io::ErrorKind::TimedOut.into());
        };
        let stream = handshake.inspect_err(|_| self.counters.handshake_failures.up())?;
        let agreed = Agreed::of(stream.get_ref().1);
        self.guarded(Wire::Tls(Box::new(stream)), peer, local, place, Some(agreed))
    }

    fn guarded(
        &self,
        wire: Wire,
        peer: SocketAddr,
        local: SocketAddr,
        place: Place,
        agreed: Option<Agreed>,
    ) -> io::Result<Guarded> {
        let socket = SocketDigest::from_raw_fd(wire.as_raw_fd());
        for (cell, address) in [(&socket.peer_addr, peer), (&socket.local_addr, local)] {
            cell.get_or_init(|| Some(PingoraAddr::Inet(address)));
        }
        let (protocol, tls, digest) = match agreed {
            None => (Protocol::Http1, None, None),
            Some(Agreed { protocol, facts, digest }) => (protocol, Some(facts), Some(Arc::new(digest))),
        };
        let counters = Arc::clone(&self.counters);
        let unparsed = Arc::clone(&self.unparsed);
        let connection = Connection::new(Arrival { peer, local, tls, protocol, guard: self.guard, counters, unparsed });
        let connection = Arc::new(connection);
        // pingora carries this to every session, of HTTP/1 and HTTP/2; the response in it has no meaning here.
        let response = ResponseHeader::build(200, None).map_err(|_| io::ErrorKind::InvalidData)?;
        let proxy = ProxyDigest::new(Box::new(response), Some(Box::new(Arc::clone(&connection))));
        let digests = Digests { proxy: Arc::new(proxy), socket: Arc::new(socket), tls: digest };
        Ok(Guarded::new(wire, connection, Arc::clone(&self.counters), digests, place))
    }
}

/// What a handshake has settled.
struct Agreed {
    protocol: Protocol,
    facts: TlsFacts,
    digest: SslDigest,
}

impl Agreed {
    fn of(tls: &ServerConnection) -> Self {
        let protocol = if tls.alpn_protocol() == Some(b"h2") { Protocol::Http2 } else { Protocol::Http1 };
        let version = tls.protocol_version().and_then(|version| version.as_str()).unwrap_or_default();
        let suite = tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
        let facts = TlsFacts { version, sni: tls.server_name().map(Into::into) };
        Self { protocol, facts, digest: SslDigest::new(suite, version, None, None, Vec::new()) }
    }
}
