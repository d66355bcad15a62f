use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pingora::http::ResponseHeader;
use pingora::protocols::l4::socket::SocketAddr as PingoraAddr;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{SocketDigest, Stream};
use rustls::server::Acceptor;
use rustls::{HandshakeKind, ServerConnection};
use terms::{Live, Networks};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::cap::Place;
use crate::connection::{Arrival, Protocol};
use crate::guarded::{Digests, Guarded};
use crate::preface;
use crate::proxy_header::{self, Unread};
use crate::tls::{Certificates, Demands, Offer, Presented, Rule};
use crate::wire::Wire;
use crate::{Cleartext, Connection, Counters, GuardSettings, Origin, Strangers, TlsFacts, Unparsed};

/// Makes of an accepted socket what pingora reads requests from.
pub(crate) struct Reception {
    pub(crate) guard: GuardSettings,
    pub(crate) strangers: Strangers,
    pub(crate) counters: Arc<Counters>,
    pub(crate) unparsed: Arc<dyn Unparsed>,
    pub(crate) certificates: Certificates,
    /// A place for each handshake that may go on at once.
    pub(crate) handshakes: Semaphore,
    /// Whether the service was told to stop.
    pub(crate) ending: Arc<AtomicBool>,
    /// Whether who is idle is closed, and who has not yet come in with them.
    pub(crate) closing: watch::Sender<bool>,
}

/// How one listener takes connections.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) proxies: Option<Arc<Networks>>,
    pub(crate) cleartext: Cleartext,
    pub(crate) tls: Option<Arc<Live<Offer>>>,
}

/// Where a connection comes from, and where it goes to: as the sockets have it, or as a proxy says.
#[derive(Clone, Copy)]
struct Ends {
    peer: SocketAddr,
    local: SocketAddr,
}

impl Reception {
    /// Listens to the proxy where there is one, and shakes hands where there is TLS. `None`: the client is gone, or was
    /// sent away.
    pub(crate) async fn receive(&self, tcp: TcpStream, peer: SocketAddr, door: &Door, place: Place) -> Option<Stream> {
        let mut closing = self.closing.subscribe();
        let entered = tokio::select! {
            biased;
            entered = self.let_in(tcp, peer, door, place) => entered,
            _ = closing.wait_for(|closing| *closing) => Err(io::ErrorKind::ConnectionAborted.into()),
        };
        match entered {
            Ok(guarded) => Some(Box::new(guarded)),
            Err(error) => {
                tracing::debug!(%peer, %error, "a connection ended before it was one");
                None
            }
        }
    }

    async fn let_in(&self, mut tcp: TcpStream, peer: SocketAddr, door: &Door, place: Place) -> io::Result<Guarded> {
        let mut ends = Ends { peer, local: tcp.local_addr()? };
        let place = if door.proxies.is_some() {
            if let Origin::Client { source, destination } = self.ask_proxy(&mut tcp).await? {
                ends = Ends { peer: source, local: destination };
                if self.keeps_out(source.ip()) {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
            }
            match place.of(ends.peer.ip()) {
                Ok(place) => place,
                Err(_) => {
                    if door.tls.is_none() {
                        turn_away(tcp);
                    }
                    return Err(io::ErrorKind::QuotaExceeded.into());
                }
            }
        } else {
            place
        };
        tcp.set_nodelay(true)?;
        match &door.tls {
            None => self.plain(tcp, ends, door.cleartext, place).await,
            Some(offer) => self.tls(tcp, ends, &offer.snapshot(), place).await,
        }
    }

    /// Whether a connection from this address is closed without a word. It is counted.
    pub(crate) fn keeps_out(&self, peer: IpAddr) -> bool {
        let stranger = self.strangers.are_at(peer);
        if stranger {
            self.counters.refused_denied.up();
            tracing::debug!(%peer, "a connection from an address that is denied");
        }
        stranger
    }

    /// Whose connection it is.
    async fn ask_proxy(&self, tcp: &mut TcpStream) -> io::Result<Origin> {
        match tokio::time::timeout(self.guard.proxy_header, proxy_header::read(tcp)).await {
            Ok(Ok(origin)) => Ok(origin),
            Ok(Err(Unread::Gone(error))) => Err(error),
            Ok(Err(Unread::Invalid(invalid))) => {
                // FAIL CLOSED: without a header there is no client.
                self.counters.refused_proxy_header.up();
                Err(io::Error::new(io::ErrorKind::InvalidData, invalid))
            }
            Err(_) => {
                self.counters.proxy_header_timeouts.up();
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    async fn plain(&self, mut tcp: TcpStream, ends: Ends, cleartext: Cleartext, place: Place) -> io::Result<Guarded> {
        let since = Instant::now();
        let (protocol, lead) = match cleartext {
            Cleartext::Http1 => (Protocol::Http1, Vec::new()),
            Cleartext::Http1AndHttp2 => preface::detect(&mut tcp, since + self.guard.head).await,
        };
        self.guarded(Wire::Plain { lead, tcp }, ends, place, Spoken { since, protocol, tls: None })
    }

    async fn tls(&self, tcp: TcpStream, ends: Ends, offer: &Offer, mut place: Place) -> io::Result<Guarded> {
        let Ok(shaken) = tokio::time::timeout(self.guard.handshake, self.shake_hands(tcp, offer)).await else {
            self.counters.handshake_timeouts.up();
            return Err(io::ErrorKind::TimedOut.into());
        };
        let (stream, rule) = shaken?;
        let (protocol, facts, digest) = self.agreed(stream.get_ref().1, rule)?;
        if let Some(key) = facts.key() {
            place.identify(key).map_err(|_| io::ErrorKind::QuotaExceeded)?;
        }
        let spoken = Spoken { since: Instant::now(), protocol, tls: Some((facts, digest)) };
        self.guarded(Wire::Tls(Box::new(stream)), ends, place, spoken)
    }

    /// Reads what the client asks for, and only then decides with what it is served.
    async fn shake_hands<'o>(&self, tcp: TcpStream, offer: &'o Offer) -> io::Result<(TlsStream<TcpStream>, &'o Rule)> {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), tcp).await;
        let mut hello = hello.inspect_err(|_| self.counters.handshake_failures.up())?;
        // Behind the client's first message: one that sends none costs nothing but its place.
        let Ok(_going_on) = self.handshakes.try_acquire() else {
            self.counters.refused_handshake.up();
            return Err(io::ErrorKind::QuotaExceeded.into());
        };
        let Some(rule) = offer.rule_for(hello.client_hello().server_name()) else {
            self.counters.refused_name.up();
            hello.io.write_all(UNRECOGNIZED_NAME).await?;
            hello.io.shutdown().await?;
            return Err(io::ErrorKind::NotFound.into());
        };
        let stream = hello.into_stream(Arc::clone(&rule.config)).await;
        let stream = stream.inspect_err(|_| self.counters.handshake_failures.up())?;
        match stream.get_ref().1.handshake_kind() {
            Some(HandshakeKind::Resumed) => self.counters.handshakes_resumed.up(),
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) | None => {
                self.counters.handshakes_full.up();
            }
        }
        Ok((stream, rule))
    }

    fn agreed(&self, tls: &ServerConnection, rule: &Rule) -> io::Result<(Protocol, TlsFacts, SslDigest)> {
        let protocol = if tls.alpn_protocol() == Some(b"h2") { Protocol::Http2 } else { Protocol::Http1 };
        let version = tls.protocol_version().and_then(|version| version.as_str()).unwrap_or_default();
        let suite = tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
        let presented = match (tls.peer_certificates(), rule.demands) {
            (Some(chain), _) => Some(Presented::new(
                chain.iter().map(|certificate| certificate.clone().into_owned()).collect(),
                Arc::clone(&rule.may_vouch),
                &self.certificates,
                Arc::clone(&self.counters),
            )),
            (None, Demands::Nothing) => None,
            // FAIL CLOSED: however the handshake came to its end, where a certificate is demanded there is one.
            (None, Demands::Certificate) => return Err(io::ErrorKind::PermissionDenied.into()),
        };
        let facts = TlsFacts { version, sni: tls.server_name().map(Into::into), scope: rule.scope, presented };
        Ok((protocol, facts, SslDigest::new(suite, version, None, None, Vec::new())))
    }

    fn guarded(
        &self,
        wire: Wire,
        Ends { peer, local }: Ends,
        place: Place,
        Spoken { since, protocol, tls }: Spoken,
    ) -> io::Result<Guarded> {
        let socket = SocketDigest::from_raw_fd(wire.as_raw_fd());
        for (cell, address) in [(&socket.peer_addr, peer), (&socket.local_addr, local)] {
            cell.get_or_init(|| Some(PingoraAddr::Inet(address)));
        }
        let (tls, digest) = tls.map(|(facts, digest)| (facts, Arc::new(digest))).unzip();
        let counters = Arc::clone(&self.counters);
        let (unparsed, ending) = (Arc::clone(&self.unparsed), Arc::clone(&self.ending));
        let guard = self.guard;
        let connection =
            Connection::new(Arrival { peer, local, since, tls, protocol, guard, counters, unparsed, ending });
        let connection = Arc::new(connection);
        // pingora carries this to every session, of HTTP/1 and HTTP/2; the response in it has no meaning here.
        let response = ResponseHeader::build(200, None).map_err(|_| io::ErrorKind::InvalidData)?;
        let proxy = ProxyDigest::new(Box::new(response), Some(Box::new(Arc::clone(&connection))));
        let digests = Digests { proxy: Arc::new(proxy), socket: Arc::new(socket), tls: digest };
        Ok(Guarded::new(wire, connection, &self.guard, Arc::clone(&self.counters), digests, place))
    }
}

/// Says why, as far as that can be said without waiting.
pub(crate) fn turn_away(tcp: TcpStream) {
    use std::io::{Read, Write};
    const FULL: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let told = tcp.into_std().and_then(|mut tcp| {
        tcp.write_all(FULL)?;
        tcp.shutdown(std::net::Shutdown::Write)?;
        // A socket that is closed with bytes left in it is reset, and the answer may be lost.
        tcp.read(&mut [0; 4096])
    });
    if let Err(error) = told {
        tracing::trace!(%error, "turned a client away without a word");
    }
}

/// What the first bytes, or a handshake, have settled.
struct Spoken {
    /// From when on the client keeps us waiting for a request.
    since: Instant,
    protocol: Protocol,
    tls: Option<(TlsFacts, SslDigest)>,
}

/// A fatal alert (RFC 8446 §6, RFC 6066 §3): no certificate here has the name that was asked for.
const UNRECOGNIZED_NAME: &[u8] = &[21, 3, 3, 0, 2, 2, 112];
