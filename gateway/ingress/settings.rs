use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use terms::{Clients, Networks};

use crate::TlsSettings;

/// Where to listen, and whether with TLS.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerSettings {
    /// The address. `[::]` takes IPv4 too, where the system is set up so (Linux is).
    pub bind: SocketAddr,
    /// Whose connections are taken, if only those of proxies are. Each of them must then say by the PROXY protocol, before
    /// anything else, whose it is. Connections from elsewhere are closed: somebody has gone round the proxies.
    pub proxies: Option<Networks>,
    /// What is spoken without TLS.
    pub cleartext: Cleartext,
    /// With TLS HTTP/1.1 and HTTP/2; without it, what `cleartext` says.
    pub tls: Option<TlsSettings>,
}

/// What a listener without TLS speaks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Cleartext {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/1.1, and HTTP/2 with clients that begin with it ("prior knowledge", RFC 9113 §3.3).
    Http1AndHttp2,
}

/// What one connection may take, and how many there may be. Zero is never unlimited: it lets nothing through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GuardSettings {
    /// Connections at once, over all listeners.
    pub connections: usize,
    /// Connections at once per client: per IPv4 address, per /64 of IPv6 (which is one customer's network).
    pub connections_per_ip: usize,
    /// The longest time for the header of the PROXY protocol, where there must be one.
    pub proxy_header: Duration,
    /// Connections at once per key of a client's certificate, over all of the client's addresses.
    pub connections_per_certificate: usize,
    /// The longest TLS handshake.
    pub handshake: Duration,
    /// TLS handshakes at once of which the first message is there: signatures are what a flood of them costs.
    pub handshakes: usize,
    /// The longest time for a whole head: from its first byte on, and for the first on a connection from the start.
    pub head: Duration,
    /// The longest time without a request, once there was one, or once HTTP/2 is spoken.
    pub idle: Duration,
    /// The longest head, in bytes.
    pub head_bytes: usize,
    /// The most fields of a head. Counted where they are parsed, not here.
    pub fields: usize,
}

/// Who is not even listened to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Strangers {
    /// Proxies that say in each request whose it is: those are asked about, not the connection.
    pub trusted: Networks,
    /// From where clients may come.
    pub clients: Clients,
}

impl Strangers {
    /// Whether a connection is of one: of a client that may not come from where it is.
    pub(crate) fn are_at(&self, peer: IpAddr) -> bool {
        !self.clients.admit(peer) && !self.trusted.contains(peer)
    }
}

/// HTTP/2 as this gateway speaks it. pingora's own bounds hold only where no options are given, so each stands here: the
/// proxy puts this into `HttpProxy::h2_options`.
#[must_use]
pub fn h2_options(guard: &GuardSettings) -> H2Options {
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(100)
        .max_header_list_size(u32::try_from(guard.head_bytes).unwrap_or(u32::MAX))
        .max_frame_size(16 * 1024)
        .header_table_size(4096)
        // What one stream, and one connection, may send before somebody reads it: the memory that a client can take.
        .initial_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buffer_size(256 * 1024)
        // Rapid reset (CVE-2023-44487) and its reverse, made by provoking errors (CVE-2025-8671).
        .max_pending_accept_reset_streams(20)
        .max_concurrent_reset_streams(20)
        .max_local_error_reset_streams(Some(256));
    options
}
