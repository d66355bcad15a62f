use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use terms::UpstreamId;

use crate::health::HealthSettings;

/// One upstream, as it is configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the configuration calls it.
    pub id: UpstreamId,
    /// Where it runs.
    pub addresses: Vec<AddressSettings>,
    /// Which address is next.
    pub balance: Balance,
    /// What is spoken to it.
    pub protocol: Protocol,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// How it is known which of its addresses are well.
    pub health: HealthSettings,
}

/// An address, or a name that stands for addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddressSettings {
    /// Where.
    pub at: Location,
    /// How much of the work it gets: twice the weight, twice the requests. At least 1.
    pub weight: u16,
}

/// `10.0.0.2:9001`, `[::1]:9001`, `orders.internal:9001`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Location {
    /// An address as it is.
    Literal(SocketAddr),
    /// A name, which is looked up again and again.
    Name {
        /// The name, in lower case.
        host: Arc<str>,
        /// The port.
        port: u16,
    },
}

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidLocation {
    /// Not a name by which a host can be found.
    #[error("an address is an IP address or a host name, and a port: `10.0.0.2:9001`, `orders.internal:9001`")]
    Host,
    /// No port, or one that nobody listens on.
    #[error("an address needs a port from 1 to 65535: `orders.internal:9001`")]
    Port,
}

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidLocation::Port)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(InvalidLocation::Port)?;
        if let Ok(socket) = text.parse() {
            return Ok(Self::Literal(socket));
        }
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        // What ends in a number is a mistyped address, and resolvers disagree about which (WHATWG URL, "ends in a number").
        let number = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        let fit = host.len() <= 253 && host.split('.').all(label) && !number;
        if fit { Ok(Self::Name { host: host.into(), port }) } else { Err(InvalidLocation::Host) }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(socket) => write!(f, "{socket}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// Which address is next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Balance {
    /// The one that the verified tenant falls to, always the same while it is there. Requests without a tenant take turns.
    Consistent,
    /// Of two that are drawn, the one with fewer requests under way.
    LeastRequests,
    /// One after the other, each as often as its weight says.
    RoundRobin,
}

/// Whose requests may share a connection. In neither case a request of a public route shares one with a member's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pool {
    /// Those of one tenant.
    PerTenant,
    /// All that are permitted.
    Shared,
}

/// What is spoken to a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// HTTP/2, agreed on in the TLS handshake. Trailers of responses are carried to clients that speak HTTP/2.
    H2,
    /// HTTP/2 without TLS, from the first byte on. Trailers likewise.
    H2c,
    /// HTTP/1.1. Trailers end here.
    Http1,
}

/// How long to wait for a backend. Every one of them is set: none of them may be "for ever".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Until a connection stands, without TLS.
    pub connect: Duration,
    /// Until TLS stands, from there on.
    pub tls: Duration,
    /// Until the head of the response is there, from the end of the request on. At most `read`.
    pub first_byte: Duration,
    /// Until the next bytes of the response.
    pub read: Duration,
    /// Until the next bytes of the request are taken.
    pub write: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// Until the end of the response, from the arrival of the request on.
    pub request: Duration,
}

impl Timeouts {
    /// The same time for everything.
    #[must_use]
    pub const fn all(time: Duration) -> Self {
        Self { connect: time, tls: time, first_byte: time, read: time, write: time, idle: time, request: time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_ip_address_or_a_name_and_always_has_a_port() {
        for (text, expected) in [
            ("10.0.0.2:9001", Some("10.0.0.2:9001")),
            ("[::1]:9001", Some("[::1]:9001")),
            ("Orders.Internal:9001", Some("orders.internal:9001")),
            ("orders.internal.:9001", Some("orders.internal:9001")),
            ("_grpc.orders:9001", Some("_grpc.orders:9001")),
            ("orders", None),
            ("orders:", None),
            ("orders:0", None),
            ("orders:65536", None),
            ("10.0.0:80", None),
            ("10.0.0.256:80", None),
            ("0x7f000001.1:80", None),
            ("::1:80", None),
            ("a b:80", None),
            ("http://orders:80", None),
            ("-a:80", None),
            (":80", None),
        ] {
            let parsed = text.parse::<Location>().ok().map(|location| location.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text}");
        }
    }
}
