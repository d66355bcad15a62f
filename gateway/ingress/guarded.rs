use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use std::os::fd::AsRawFd as _;

use pingora::protocols::SocketDigest;
use pingora::protocols::l4::ext::get_tcp_info;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::cap::Place;
use crate::chatter::{Chatter, Heard};
use crate::connection::{Protocol, Verdict};
use crate::frames::Frames;
use crate::outbox::Outbox;
use crate::pace::{Pace, TooSlow};
use crate::wire::Wire;
use crate::{Connection, Counters, GuardSettings, UnparsedWhy};

/// A connection as pingora reads and writes it, cut when it is too slow or its head too long.
///
/// One timer per connection. It is set anew only when it has fired, not when a deadline moves: see [`Connection::judge`].
#[derive(Debug)]
pub(crate) struct Guarded {
    wire: Wire,
    outbox: Outbox,
    alarm: Pin<Box<Sleep>>,
    frames: Option<Frames>,
    chatter: Chatter,
    reading: Pace,
    writing: Pace,
    /// What the client's system had taken when a slow download was last looked at.
    taken: Option<u64>,
    heard: bool,
    cut: bool,
    /// Whether a write waits for the client, perhaps in the middle of something.
    half_said: bool,
    /// Whether it was cut for taking nothing, so that no more is said to it.
    stuck: bool,
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
        guard: &GuardSettings,
        counters: Arc<Counters>,
        digests: Digests,
        place: Place,
    ) -> Self {
        let pace = || Pace::new(guard.body);
        let frames = match connection.protocol() {
            Protocol::Http1 => None,
            Protocol::Http2 => Some(Frames::default()),
        };
        Self {
            wire,
            outbox: Outbox::default(),
            alarm: Box::pin(sleep_until(Instant::now())),
            frames,
            chatter: Chatter::default(),
            reading: pace(),
            writing: pace(),
            taken: None,
            heard: false,
            cut: false,
            half_said: false,
            stuck: false,
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

    /// Called wherever the wire has nothing to say, or takes nothing. Asks to be woken when it is time to look again.
    fn watch(&mut self, cx: &mut Context<'_>, turn: Turn) -> io::Result<()> {
        if self.cut && (turn == Turn::Sending || self.stuck) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        loop {
            let now = Instant::now();
            let until = match (self.keep_pace(now, turn)?, self.keep_deadline(cx)?) {
                (Some(one), Some(other)) => one.min(other),
                (Some(until), None) | (None, Some(until)) => until,
                (None, None) => return Ok(()), // HTTP/1: the next head is read by a new call
            };
            if self.alarm.is_elapsed() || until < self.alarm.deadline() {
                self.alarm.as_mut().reset(until);
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
        }
    }

    /// Until when a client may keep us waiting for a body, or with one.
    fn keep_pace(&mut self, now: Instant, turn: Turn) -> io::Result<Option<Instant>> {
        let kept = match turn {
            Turn::Sending if self.frames.is_none() && self.connection.is_uploading() => self.reading.wait(now),
            Turn::Sending => {
                self.reading.rest();
                return Ok(None);
            }
            Turn::Taking => self.writing.wait(now),
        };
        match (kept, turn) {
            (Ok(until), _) => Ok(Some(until)),
            (Err(TooSlow), Turn::Sending) => {
                self.connection.cut_upload();
                self.cut = true;
                Err(io::ErrorKind::TimedOut.into())
            }
            (Err(TooSlow), Turn::Taking) => self.look_closer(now).map(Some),
        }
    }

    /// Our socket takes nothing, perhaps only because a lot lies in it that the client takes little by little: what its
    /// system has taken since we last looked counts as moved.
    fn look_closer(&mut self, now: Instant) -> io::Result<Instant> {
        let taken = get_tcp_info(self.wire.as_raw_fd())?.tcpi_bytes_acked;
        match self.taken.replace(taken) {
            None => self.writing.rest(),
            Some(before) => self.writing.moved(usize::try_from(taken.saturating_sub(before)).unwrap_or(usize::MAX)),
        }
        self.writing.wait(now).map_err(|TooSlow| {
            self.counters.slow_downloads.up();
            (self.cut, self.stuck) = (true, true);
            io::ErrorKind::TimedOut.into()
        })
    }

    /// Until when there need not be a request.
    fn keep_deadline(&mut self, cx: &mut Context<'_>) -> io::Result<Option<Instant>> {
        if self.connection.is_running() && self.frames.is_none() {
            return Ok(None);
        }
        match self.connection.judge() {
            Verdict::Wait(until) => Ok(Some(until)),
            verdict @ (Verdict::Answer(_) | Verdict::Close) => Err(self.cut(verdict, cx)),
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

    /// Fails if it is too much of what nobody needs.
    fn received(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.heard |= !bytes.is_empty();
        self.reading.moved(bytes.len());
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Some(frames) = &mut self.frames else {
            self.connection.received(count);
            return Ok(());
        };
        let (was_http2, was_in_block) = (frames.is_http2(), frames.is_in_block());
        let opened = frames.read(bytes);
        if opened > 0 {
            self.connection.streams_opened(opened);
        }
        match (was_in_block, frames.is_in_block()) {
            (false, true) => self.connection.block_began(),
            (true, false) => self.connection.block_ended(),
            // One may have ended in these bytes, and another begun.
            (true, true) if opened > 0 => self.connection.block_began(),
            (true, true) | (false, false) => {}
        }
        match (was_http2, frames.is_http2()) {
            (false, false) => self.connection.received_of_preface(count),
            (false, true) => self.connection.preface_ended(),
            (true, _) => {}
        }
        let chatter = frames.take_chatter();
        if chatter > 0 && self.chatter.add(chatter, Instant::now()) == Heard::TooMuch {
            self.counters.floods.up();
            self.cut = true;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

/// Whose turn it is to do nothing: the client's to send, or to take what we send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    Sending,
    Taking,
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
            Poll::Ready(Ok(())) => Poll::Ready(this.received(buf.filled().get(before..).unwrap_or_default())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => this.watch(cx, Turn::Sending).map_or_else(|cut| Poll::Ready(Err(cut)), |()| Poll::Pending),
        }
    }
}

impl Guarded {
    /// What to make of an attempt to write: while it waits, the deadlines go on.
    fn settle<T: Moved>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Ready(outcome) => {
                let bytes = outcome.as_ref().map_or(0, Moved::bytes);
                self.writing.moved(bytes);
                if let Some(frames) = &mut self.frames {
                    frames.sent(bytes);
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => self.watch(cx, Turn::Taking).map_or_else(|cut| Poll::Ready(Err(cut)), |()| Poll::Pending),
        }
    }
}

/// How many bytes an attempt to write has moved.
trait Moved {
    fn bytes(&self) -> usize;
}

impl Moved for usize {
    fn bytes(&self) -> usize {
        *self
    }
}

/// A flush: at most what was held back.
impl Moved for () {
    fn bytes(&self) -> usize {
        0
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
