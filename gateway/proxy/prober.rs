//! Asks an address of a backend whether it is well, as it would be asked by requests: over the same TLS, in the same HTTP.
//! What it asks carries no identity, follows nothing, and reads no more than it needs.

mod grpc;
mod http1;
mod http2;

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use pingora::connectors::TransportConnector;
use pingora::protocols::Stream;
use upstream::{Check, Probe, ProbeError, Protocol, Upstream};

use crate::proxy::Proxy;

/// Who makes the connections of checks. They come from no pool and get into none: each is made for one check and closed
/// behind it, and no request is ever sent over it.
pub struct Prober {
    connector: TransportConnector,
    proxy: Arc<Proxy>,
}

/// What backends see of us in their logs.
const AGENT: &str = "cloister-health";

/// The most that is looked at of one answer: all of its fields, and its message.
const MOST: usize = 16 << 10;

impl Prober {
    /// Who asks the backends of this proxy.
    #[must_use]
    pub fn new(proxy: Arc<Proxy>) -> Self {
        Self { connector: TransportConnector::new(None), proxy }
    }
}

impl Probe for Prober {
    async fn probe(&self, upstream: &Upstream, check: &Check, address: SocketAddr) -> Result<(), ProbeError> {
        let Some(backend) = self.proxy.backends().named(upstream.id()) else {
            return Err(ProbeError::Unconnected("settings and backends do not fit together".into()));
        };
        let peer = backend.peer_of_check(address);
        let asked = |host: Option<&str>| authority(host, &peer.sni, address);
        let stream = self.connector.new_stream(&peer).await;
        let stream = stream.map_err(|error| ProbeError::Unconnected(brief(&error)))?;
        match check {
            Check::Tcp => Ok(()),
            Check::Grpc { service } => grpc::check(stream, &asked(None), service).await,
            Check::Http { path, host, statuses } => {
                fits(statuses, get(stream, upstream.protocol(), &asked(host.as_deref()), path).await?)
            }
        }
    }
}

/// The status that a GET of this path is answered with.
async fn get(stream: Stream, protocol: Protocol, host: &str, path: &str) -> Result<u16, ProbeError> {
    match protocol {
        Protocol::Http1 => http1::get(stream, host, path).await,
        Protocol::H2 | Protocol::H2c => http2::get(stream, host, path).await,
    }
}

fn fits(statuses: &[RangeInclusive<u16>], status: u16) -> Result<(), ProbeError> {
    if statuses.iter().any(|range| range.contains(&status)) { Ok(()) } else { Err(ProbeError::Status(status)) }
}

/// The host that is asked for: the one that the settings name, or that the certificate must be for, or the address.
fn authority(host: Option<&str>, certified: &str, address: SocketAddr) -> String {
    match host {
        Some(host) => host.to_owned(),
        None if certified.is_empty() => address.to_string(),
        None if certified.parse::<Ipv6Addr>().is_ok() => format!("[{certified}]"),
        None => certified.to_owned(),
    }
}

/// What of an error of the framework is worth a line: its kind and its cause, and not the settings of the connection.
fn brief(error: &pingora::Error) -> String {
    match &error.cause {
        Some(_) => format!("{}: {}", error.etype().as_str(), error.root_cause()),
        None => error.etype().as_str().to_owned(),
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").field("proxy", &self.proxy).finish_non_exhaustive()
    }
}
