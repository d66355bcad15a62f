use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What bytes go over.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain {
        /// What has been read already, and not yet by whom it is for.
        lead: Vec<u8>,
        /// The rest.
        tcp: TcpStream,
    },
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain { tcp, .. } => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Takes in what the client has sent and nobody will read. A socket that is closed with bytes left in it is reset,
    /// and the client may lose the answer that it was sent.
    pub(crate) fn discard_input(&self) {
        let mut bytes = [0; 4096];
        for _ in 0..64 {
            match self.tcp().try_read(&mut bytes) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}

impl AsRawFd for Wire {
    fn as_raw_fd(&self) -> RawFd {
        self.tcp().as_raw_fd()
    }
}

/// Calls the same method of whichever stream it is.
macro_rules! either {
    ($wire:expr, $method:ident($($argument:expr),*)) => {
        match $wire.get_mut() {
            Wire::Plain { tcp, .. } => Pin::new(tcp).$method($($argument),*),
            Wire::Tls(tls) => Pin::new(tls).$method($($argument),*),
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if let Self::Plain { lead, .. } = wire
            && !lead.is_empty()
        {
            let count = lead.len().min(buf.remaining());
            buf.put_slice(lead.get(..count).unwrap_or_default());
            lead.drain(..count);
            return Poll::Ready(Ok(()));
        }
        either!(Pin::new(wire), poll_read(cx, buf))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(cx))
    }
}
