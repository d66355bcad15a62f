use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use pingora::protocols::SocketDigest;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::cap::Place;
use crate::connection::{Protocol, Verdict};
use crate::frames::Frames;
use crate::outbox::Outbox;
use crate::wire::Wire;
use crate::{Connection, Counters, UnparsedWhy};

/// A connection as pingora reads and writes it, cut when it is too slow or its head too long.
///
/// One timer per connection. It is set anew only when it has fired, not when a deadline moves: see [`Connection::judge`].
#[derive(Debug)]
pub(crate) struct Guarded {
    wire: Wire,
    outbox: Outbox,
    alarm: Pin<Box<Sleep>>,
    frames: Option<Frames>,
    heard: bool,
    cut: bool,
    /// Whether a write waits for the client, perhaps in the middle of something.
    half_said: bool,
    connection: Arc<Connection>,
    counters: Arc<Counters>,
    pub(crate) digests: Digests,
    _place: Place,
}

/// What pingora asks a stream for.
#[derive(Debug)]
pub(crate) struct Digests {
    pub(crate) proxy: Arc<ProxyDigest>,
    pub(crate) socket: Arc<SocketDigest>,
    pub(crate) tls: Option<Arc<SslDigest>>,
}

impl Guarded {
    pub(crate) fn new(
        wire: Wire,
        connection: Arc<Connection>,
        counters: Arc<Counters>,
        digests: Digests,
        place: Place,
    ) -> Self {
        let frames = match connection.protocol() {
            Protocol::Http1 => None,
            Protocol::Http2 => Some(Frames::default()),
        };
        Self {
            wire,
            outbox: Outbox::default(),
            alarm: Box::pin(sleep_until(Instant::now())),
            frames,
            heard: false,
            cut: false,
            half_said: false,
            connection,
            counters,
            digests,
            _place: place,
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) const fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Called wherever the wire has nothing to say. Asks to be woken when it is time to look again.
    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.cut {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.connection.is_running() && self.frames.is_none() {
            return Ok(()); // HTTP/1: the next head is read by a new call
        }
        loop {
            let verdict = self.connection.judge();
            let Verdict::Wait(until) = verdict else {
                return Err(self.cut(verdict, cx));
            };
            if self.alarm.is_elapsed() {
                self.alarm.as_mut().reset(until);
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
        }
    }

    /// Tells the client, if that can be done at once, and fails from now on.
    fn cut(&mut self, verdict: Verdict, cx: &mut Context<'_>) -> io::Error {
        let answer = match verdict {
            Verdict::Answer(UnparsedWhy::HeadTimeout) => Some(TIMEOUT),
            Verdict::Answer(UnparsedWhy::HeadTooLarge) => Some(TOO_LARGE),
            Verdict::Answer(UnparsedWhy::Garbage | UnparsedWhy::Incomplete | UnparsedWhy::RefusedStream)
            | Verdict::Close
            | Verdict::Wait(_) => None,
        };
        if let Some(answer) = answer {
            let written = Pin::new(&mut self.wire).poll_write(cx, answer).is_ready();
            let flushed = written && Pin::new(&mut self.wire).poll_flush(cx).is_ready();
            tracing::trace!(peer = %self.connection.peer(), flushed, "told a client that its head is cut");
        }
        self.cut = true;
        io::ErrorKind::TimedOut.into()
    }

    fn poll_read_wire(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = self.connection.room().map_or(usize::MAX, |room| usize::try_from(room).unwrap_or(usize::MAX));
        if room >= buf.remaining() {
            return Pin::new(&mut self.wire).poll_read(cx, buf);
        }
        if room == 0 {
            // All that a head may have has been read, and the parser asks for more.
            let verdict = self.connection.cut_large();
            return Poll::Ready(Err(self.cut(verdict, cx)));
        }
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.wire).poll_read(cx, &mut part))?;
        let length = part.filled().len();
        buf.advance(length);
        Poll::Ready(Ok(()))
    }

    fn received(&mut self, bytes: &[u8]) {
        self.heard |= !bytes.is_empty();
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Some(frames) = &mut self.frames else {
            self.connection.received(count);
            return;
        };
        let was_http2 = frames.is_http2();
        let opened = frames.read(bytes);
        if opened > 0 {
            self.connection.streams_opened(opened);
        }
        match (was_http2, frames.is_http2()) {
            (false, false) => self.connection.received_of_preface(count),
            (false, true) => self.connection.preface_ended(),
            (true, _) => {}
        }
    }
}

const TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const TOO_LARGE: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.cut {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        match this.poll_read_wire(cx, buf) {
            Poll::Ready(Ok(())) => {
                this.received(buf.filled().get(before..).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => this.watch(cx).map_or_else(|cut| Poll::Ready(Err(cut)), |()| Poll::Pending),
        }
    }
}

impl Guarded {
    /// What to make of an attempt to write: while it waits, the deadlines go on.
    fn settle<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => self.watch(cx).map_or_else(|cut| Poll::Ready(Err(cut)), |()| Poll::Pending),
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.connection.wrote();
        let outcome = match &this.frames {
            None => this.outbox.poll_write(&mut this.wire, cx, bytes),
            Some(_) => Pin::new(&mut this.wire).poll_write(cx, bytes), // HTTP/2 gathers its frames itself
        };
        this.half_said = outcome.is_pending();
        this.settle(cx, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.connection.wrote();
        let outcome = match this.outbox.poll_empty(&mut this.wire, cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.wire).poll_write_vectored(cx, bufs),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        this.settle(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = match this.outbox.poll_empty(&mut this.wire, cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.wire).poll_flush(cx),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        this.settle(cx, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = match this.outbox.poll_empty(&mut this.wire, cx) {
            Poll::Ready(_) => Pin::new(&mut this.wire).poll_shutdown(cx),
            Poll::Pending => Poll::Pending,
        };
        this.settle(cx, outcome)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if !self.heard {
            self.counters.silent.up();
        }
        let farewell = self.connection.farewell().filter(|_| !self.half_said);
        if self.outbox.is_empty() && farewell.is_none() {
            return;
        }
        // Nobody is left to wait for it: what the socket takes at once is sent.
        let mut cx = Context::from_waker(Waker::noop());
        let mut sent = self.outbox.poll_empty(&mut self.wire, &mut cx).is_ready();
        if let Some(word) = farewell.filter(|_| sent) {
            sent = Pin::new(&mut self.wire).poll_write(&mut cx, word).is_ready()
                && Pin::new(&mut self.wire).poll_flush(&mut cx).is_ready();
        }
        tracing::trace!(peer = %self.connection.peer(), sent, "flushed at the end of a connection");
    }
}
