//! Connections to backends before TLS, with a time of their own.

use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::l4::Connect;
use pingora::prelude::{Error, ErrorType, Result};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use tokio::net::TcpStream;

/// Connects within a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tcp(Duration);

impl Tcp {
    pub(crate) const fn within(time: Duration) -> Self {
        Self(time)
    }
}

#[async_trait]
impl Connect for Tcp {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let Some(address) = address.as_inet() else {
            return Error::e_explain(ErrorType::ConnectError, "not an address of the internet");
        };
        match tokio::time::timeout(self.0, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => Ok(stream.into()),
            Ok(Err(error)) => Error::e_because(ErrorType::ConnectError, "no connection", error),
            Err(late) => Error::e_because(ErrorType::ConnectTimedout, "no connection in time", late),
        }
    }
}
