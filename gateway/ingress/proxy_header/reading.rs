use std::io;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::{InvalidProxyHeader, Origin, ProxyHeader};

/// Why no header came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// The connection broke off, or ended.
    #[error("the connection ended before its proxy header")]
    Gone(#[from] io::Error),
    /// What came is none.
    #[error("not a proxy header")]
    Invalid(#[from] InvalidProxyHeader),
}

/// Takes the header off a connection, and not a byte of what is behind it: that is the client's, and perhaps of its TLS.
pub(crate) async fn read(tcp: &mut TcpStream) -> Result<Origin, Unread> {
    let mut header = Vec::with_capacity(128);
    loop {
        let (mut ahead, before) = ([0; 256], header.len());
        let count = tcp.peek(&mut ahead).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        header.extend(ahead.iter().take(count));
        let whole = ProxyHeader::parse(&header)?;
        let length = whole.map_or(header.len(), |whole| whole.length);
        tcp.read_exact(header.get_mut(before..length).unwrap_or_default()).await?;
        if let Some(ProxyHeader { origin, .. }) = whole {
            return Ok(origin);
        }
    }
}
