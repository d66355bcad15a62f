//! A connection over TCP, with TLS or without.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use directory::Security;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::sink::{Class, SinkError};

const CONNECT: Duration = Duration::from_secs(5);

/// A host and a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    host: Box<str>,
    port: u16,
}

/// Not the address of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an address is `host:port`")]
pub struct InvalidAddress;

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidAddress)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse::<u16>().ok().filter(|port| *port > 0).ok_or(InvalidAddress)?;
        let good = ServerName::try_from(host).is_ok();
        if good { Ok(Self { host: host.into(), port }) } else { Err(InvalidAddress) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A server, and how it is spoken with.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where.
    pub address: Address,
    /// How.
    pub security: Security,
}

impl Address {
    /// Whether what is said there stays on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let ip = self.host.parse::<IpAddr>();
        terms::is_loopback_name(&self.host) || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
    }
}

impl Server {
    /// Whether others can read what is said.
    #[must_use]
    pub fn is_open_to_all(&self) -> bool {
        matches!(self.security, Security::Plain) && !self.address.is_local()
    }

    /// Connects, without TLS as yet.
    pub(crate) async fn reach(&self) -> Result<TcpStream, SinkError> {
        let Address { host, port } = &self.address;
        let late = || SinkError::new(Class::Unreachable, format!("{} does not answer", self.address));
        let stream = timeout(CONNECT, TcpStream::connect((&**host, *port))).await.map_err(|_| late())?;
        let failed = |error: std::io::Error| self.failed(&error);
        let stream = stream.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(stream)
    }

    /// Makes a connection one of TLS, where that is demanded.
    pub(crate) async fn secure(&self, stream: TcpStream) -> Result<Stream, SinkError> {
        let Security::Tls(judge) = &self.security else { return Ok(Stream::Plain(stream)) };
        let name = ServerName::try_from(self.address.host.to_string());
        let name = name.map_err(|_| SinkError::new(Class::Denied, format!("{} has no name", self.address)))?;
        let secured = TlsConnector::from(Arc::clone(judge)).connect(name, stream).await;
        let secured =
            secured.map_err(|error| SinkError::of(Class::Denied, &format!("TLS with {}", self.address), &error))?;
        Ok(Stream::Tls(Box::new(secured)))
    }

    pub(crate) fn failed(&self, error: &std::io::Error) -> SinkError {
        SinkError::of(Class::Unreachable, &self.address.to_string(), error)
    }
}

/// A connection.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
