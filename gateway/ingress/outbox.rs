use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// Holds small writes back until there is enough for a packet or somebody flushes: pingora writes a response's head and
/// its body one after the other, and one system call (one TLS record) for both is cheaper than two.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Vec<u8>);

/// A usual TCP segment: what is held back would not have filled a packet.
const LIMIT: usize = 1460;

impl Outbox {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes `bytes`, or writes them out together with what is held.
    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        wire: &mut W,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.0.len() + bytes.len() <= LIMIT {
            self.0.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        while !self.is_empty() {
            let both = [IoSlice::new(&self.0), IoSlice::new(bytes)];
            let written = ready!(Pin::new(&mut *wire).poll_write_vectored(cx, &both))?;
            let of_bytes = written.saturating_sub(self.0.len());
            self.forget(written)?;
            if of_bytes > 0 {
                return Poll::Ready(Ok(of_bytes));
            }
        }
        Pin::new(wire).poll_write(cx, bytes)
    }

    /// Writes out what is held.
    pub(crate) fn poll_empty<W: AsyncWrite + Unpin>(
        &mut self,
        wire: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let written = ready!(Pin::new(&mut *wire).poll_write(cx, &self.0))?;
            self.forget(written)?;
        }
        Poll::Ready(Ok(()))
    }

    fn forget(&mut self, written: usize) -> io::Result<()> {
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.0.drain(..written.min(self.0.len()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes at most so many bytes a call, and remembers each.
    struct Wire(usize, Vec<Vec<u8>>);

    impl AsyncWrite for Wire {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.0);
            self.1.push(bytes[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.to_vec()).collect();
            self.poll_write(cx, &all)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn write_all(outbox: &mut Outbox, wire: &mut Wire, mut bytes: &[u8]) {
        let mut cx = Context::from_waker(Waker::noop());
        while !bytes.is_empty() {
            let Poll::Ready(Ok(written)) = outbox.poll_write(wire, &mut cx, bytes) else { panic!("it takes all") };
            bytes = &bytes[written..];
        }
    }

    #[test]
    fn a_head_and_its_body_go_out_in_one_write() {
        let mut cx = Context::from_waker(Waker::noop());
        for body in [100, 5000] {
            let (mut outbox, mut wire) = (Outbox::default(), Wire(usize::MAX, Vec::new()));
            write_all(&mut outbox, &mut wire, &[b'h'; 300]);
            write_all(&mut outbox, &mut wire, &vec![b'b'; body]);
            assert!(outbox.poll_empty(&mut wire, &mut cx).is_ready());
            assert_eq!(wire.1, [[vec![b'h'; 300], vec![b'b'; body]].concat()]);
        }
    }

    #[test]
    fn nothing_is_lost_or_doubled_however_little_the_wire_takes() {
        let mut cx = Context::from_waker(Waker::noop());
        for takes in [1, 7, 299, 300, 301, 1459, 1460, 1461, 4000] {
            let (mut outbox, mut wire) = (Outbox::default(), Wire(takes, Vec::new()));
            let pieces: Vec<Vec<u8>> =
                [300, 1, 1159, 1, 5000, 0, 1460, 3].map(|n| (0..n).map(|i| i as u8).collect()).to_vec();
            for piece in &pieces {
                write_all(&mut outbox, &mut wire, piece);
            }
            assert!(matches!(outbox.poll_empty(&mut wire, &mut cx), Poll::Ready(Ok(()))));
            assert_eq!(wire.1.concat(), pieces.concat(), "{takes} bytes a call");
        }
    }
}
