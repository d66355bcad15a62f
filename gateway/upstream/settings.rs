use std::net::SocketAddr;
use std::time::Duration;

use terms::UpstreamId;

/// One upstream, as it is configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the configuration calls it.
    pub id: UpstreamId,
    /// Where it runs.
    pub addresses: Vec<SocketAddr>,
    /// What is spoken to it.
    pub protocol: Protocol,
    /// How long it may take.
    pub timeouts: Timeouts,
}

/// What is spoken to a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// HTTP/2 without TLS, from the first byte on. Trailers of responses are carried to clients that speak HTTP/2.
    H2c,
    /// HTTP/1.1. Trailers end here.
    Http1,
}

/// How long to wait for a backend. Every one of them is set: none of them may be "for ever".
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
