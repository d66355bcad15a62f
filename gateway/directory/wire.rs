use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;

use crate::settings::Address;

/// What a connection is made of, before TLS.
pub(crate) type Wire = Either<TcpStream, UnixStream>;

/// Connects to an address, by whichever of the IP addresses of its name answers first in their order.
pub(crate) async fn reach(address: &Address) -> io::Result<Wire> {
    match address {
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((&**host, *port)).await?;
            stream.set_nodelay(true)?;
            Ok(Either::Left(stream))
        }
        Address::Unix(path) => UnixStream::connect(path).await.map(Either::Right),
    }
}

/// Makes a connection one of TLS, once the database has said that it speaks it.
pub(crate) struct Securing(pub(crate) Option<(TlsConnector, ServerName<'static>)>);

impl TlsConnect<Wire> for Securing {
    type Stream = Secured;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Secured>>;

    fn connect(self, stream: Wire) -> Self::Future {
        Box::pin(async move {
            let Some((connector, name)) = self.0 else {
                return Err(io::Error::other("TLS was not asked for"));
            };
            connector.connect(name, stream).await.map(|stream| Secured(Box::new(stream)))
        })
    }
}

/// A connection over TLS.
pub(crate) struct Secured(Box<tokio_rustls::client::TlsStream<Wire>>);

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl TlsStream for Secured {
    /// The certificate is judged here, so a password that is bound to it would show nothing more.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
