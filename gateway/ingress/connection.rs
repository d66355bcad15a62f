use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use certificate::{ClientCertificate, KeyDigest};
use pingora::protocols::Digest;
use tokio::time::Instant;

use crate::tls::Presented;
use crate::{Counters, GuardSettings, Scope, Unparsed, UnparsedWhy};

/// One accepted connection, shared between what watches over it and the requests that run on it.
///
/// The proxy finds it with [`Connection::of`], and says when a request starts and when it ends. Between the two nothing
/// here cuts the connection.
pub struct Connection {
    peer: SocketAddr,
    local: SocketAddr,
    tls: Option<TlsFacts>,
    protocol: Protocol,

    head: Duration,
    idle: Duration,
    head_bytes: u64,

    since: Instant,
    /// Requests that have started.
    started: AtomicU64,
    /// Requests that have started and not ended.
    running: AtomicU32,
    /// HTTP/1: bytes since the last request. HTTP/2: bytes before its preface was whole.
    unclaimed: AtomicU64,
    /// HTTP/2: streams that the client has opened.
    opened: AtomicU64,
    /// Microseconds after `since` at which this is cut, if no request runs then.
    deadline: AtomicU64,
    /// Whether something was written that no request has asked for: the parser's own answer.
    answered: AtomicBool,
    /// Why it was cut, if it was: an `UnparsedWhy`, 0 is not cut.
    cut: AtomicU8,
    /// What the client is told last.
    farewell: OnceLock<&'static [u8]>,

    counters: Arc<Counters>,
    unparsed: Arc<dyn Unparsed>,
    /// Whether the service was told to stop.
    ending: Arc<AtomicBool>,
}

/// What is known of the TLS under a connection.
#[derive(Debug)]
pub struct TlsFacts {
    /// `TLSv1_2` or `TLSv1_3`.
    pub version: &'static str,
    /// The name that the client asked for (RFC 6066 §3), in lower case.
    pub sni: Option<Arc<str>>,
    /// Whether what was asked of the client was asked for this name, or of whatever comes to the listener.
    pub scope: Scope,
    pub(crate) presented: Option<Presented>,
}

impl TlsFacts {
    /// What is known of the client's certificate at this moment. To be asked for each request: what was good when the
    /// connection began may have been revoked.
    #[must_use]
    pub fn client_certificate(&self) -> ClientCertificate {
        self.presented.as_ref().map_or(ClientCertificate::None, Presented::verify)
    }

    /// The key of a certificate that was good when the connection began.
    pub(crate) fn key(&self) -> Option<KeyDigest> {
        self.presented.as_ref().and_then(Presented::key)
    }
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Everything that a connection starts with.
pub(crate) struct Arrival {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) since: Instant,
    pub(crate) tls: Option<TlsFacts>,
    pub(crate) protocol: Protocol,
    pub(crate) guard: GuardSettings,
    pub(crate) counters: Arc<Counters>,
    pub(crate) unparsed: Arc<dyn Unparsed>,
    pub(crate) ending: Arc<AtomicBool>,
}

/// What to do with a connection that has waited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Cut it, and tell the client why.
    Answer(UnparsedWhy),
    /// Cut it.
    Close,
    /// Leave it alone, and look again at this time at the latest.
    Wait(Instant),
}

const NEVER: u64 = u64::MAX;

/// No two looks at a connection are closer together than this, so that a deadline of zero does not keep a thread busy.
const SHORTEST: Duration = Duration::from_millis(10);

impl Connection {
    pub(crate) fn new(arrival: Arrival) -> Self {
        let Arrival { peer, local, since, tls, protocol, guard, counters, unparsed, ending } = arrival;
        Self {
            peer,
            local,
            tls,
            protocol,
            head: guard.head,
            idle: guard.idle,
            head_bytes: u64::try_from(guard.head_bytes).unwrap_or(u64::MAX),
            since,
            started: AtomicU64::new(0),
            running: AtomicU32::new(0),
            unclaimed: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            deadline: AtomicU64::new(microseconds(guard.head)),
            answered: AtomicBool::new(false),
            cut: AtomicU8::new(0),
            farewell: OnceLock::new(),
            counters,
            unparsed,
            ending,
        }
    }

    /// The connection under a session. `None` only where pingora's session does not come from this ingress.
    #[must_use]
    pub fn of(digest: &Digest) -> Option<Arc<Self>> {
        let data = digest.proxy_digest.as_ref()?.user_data.as_ref()?;
        data.downcast_ref::<Arc<Self>>().map(Arc::clone)
    }

    /// The client's address.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address that the client has connected to.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// What is known of TLS; `None` without it.
    #[must_use]
    pub const fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// How many requests have started on it.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// Whether the gateway ends, so that no further request should be sent on this connection.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// A head is whole and will be judged: from now on it is the proxy's to see that this request ends.
    pub fn request_started(&self) {
        self.running.fetch_add(1, Ordering::AcqRel);
        self.started.fetch_add(1, Ordering::Relaxed);
        self.unclaimed.store(0, Ordering::Relaxed);
        self.answered.store(false, Ordering::Relaxed);
    }

    /// A request has ended, however. To be called once for each that has started.
    pub fn request_ended(&self) {
        self.unclaimed.store(0, Ordering::Relaxed);
        self.answered.store(false, Ordering::Relaxed);
        // ORDER: the deadline first, so that nobody sees an idle connection with the deadline of its last head.
        self.set_deadline(self.idle);
        self.running.fetch_sub(1, Ordering::AcqRel);
    }

    /// What the client is told last, when this connection is dropped and nothing is half said on it: for a protocol that has
    /// a word for that. It is sent if that can be done without waiting.
    pub fn bid_farewell(&self, word: &'static [u8]) {
        self.farewell.get_or_init(|| word);
    }

    pub(crate) fn farewell(&self) -> Option<&'static [u8]> {
        self.farewell.get().copied()
    }

    pub(crate) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// How many more bytes of a head may be read. `None` where that is not counted.
    pub(crate) fn room(&self) -> Option<u64> {
        match self.protocol {
            Protocol::Http1 if !self.is_running() => {
                Some(self.head_bytes.saturating_sub(self.unclaimed.load(Ordering::Relaxed)))
            }
            Protocol::Http1 | Protocol::Http2 => None,
        }
    }

    /// HTTP/1: so many bytes have come.
    pub(crate) fn received(&self, bytes: u64) {
        if self.is_running() {
            return; // a body
        }
        let before = self.unclaimed.fetch_add(bytes, Ordering::Relaxed);
        if before == 0 && self.requests() > 0 {
            self.set_deadline(self.head);
        }
    }

    /// HTTP/2: these came before the preface was whole.
    pub(crate) fn received_of_preface(&self, bytes: u64) {
        self.unclaimed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// HTTP/2: the preface is whole.
    pub(crate) fn preface_ended(&self) {
        self.unclaimed.store(0, Ordering::Relaxed);
        self.set_deadline(self.idle);
    }

    /// HTTP/2: the client has opened so many streams.
    pub(crate) fn streams_opened(&self, count: u64) {
        self.opened.fetch_add(count, Ordering::Relaxed);
    }

    /// Something is written.
    pub(crate) fn wrote(&self) {
        if !self.is_running() {
            self.answered.store(true, Ordering::Relaxed);
        }
    }

    /// Whether to go on waiting.
    ///
    /// INVARIANT: a deadline that is set later than now lies at least the shortest span ahead, so that whoever looks again
    /// at the time of [`Verdict::Wait`] misses none.
    pub(crate) fn judge(&self) -> Verdict {
        let now = Instant::now();
        let deadline = self.deadline.load(Ordering::Relaxed);
        let waited = microseconds(now.duration_since(self.since));
        if !self.is_running() && waited >= deadline {
            return self.cut_late();
        }
        let shortest = self.head.min(self.idle).max(SHORTEST);
        let left = Duration::from_micros(deadline.saturating_sub(waited)).max(SHORTEST);
        Verdict::Wait(now + if self.is_running() { shortest } else { left.min(shortest) })
    }

    /// The head is longer than is looked at.
    pub(crate) fn cut_large(&self) -> Verdict {
        self.counters.heads_too_large.up();
        self.cut.store(code(UnparsedWhy::HeadTooLarge), Ordering::Relaxed);
        Verdict::Answer(UnparsedWhy::HeadTooLarge)
    }

    fn cut_late(&self) -> Verdict {
        if self.unclaimed.load(Ordering::Relaxed) == 0 {
            self.counters.idle_timeouts.up();
            return Verdict::Close;
        }
        self.counters.head_timeouts.up();
        self.cut.store(code(UnparsedWhy::HeadTimeout), Ordering::Relaxed);
        match self.protocol {
            Protocol::Http1 if !self.answered.load(Ordering::Relaxed) => Verdict::Answer(UnparsedWhy::HeadTimeout),
            Protocol::Http1 | Protocol::Http2 => Verdict::Close,
        }
    }

    /// Whether a request runs on it.
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire) > 0
    }

    fn set_deadline(&self, span: Duration) {
        let at = microseconds(self.since.elapsed()).saturating_add(microseconds(span));
        self.deadline.store(at.min(NEVER - 1), Ordering::Relaxed);
    }

    /// What of this connection never became a request, and why.
    fn leftovers(&self) -> (UnparsedWhy, u64) {
        if self.unclaimed.load(Ordering::Relaxed) == 0 {
            let refused = self.opened.load(Ordering::Relaxed).saturating_sub(self.requests());
            return match self.protocol {
                Protocol::Http1 => (UnparsedWhy::Incomplete, 0),
                Protocol::Http2 => (UnparsedWhy::RefusedStream, refused),
            };
        }
        let cut = self.cut.load(Ordering::Relaxed);
        let why = if cut == code(UnparsedWhy::HeadTimeout) {
            UnparsedWhy::HeadTimeout
        } else if cut == code(UnparsedWhy::HeadTooLarge) {
            UnparsedWhy::HeadTooLarge
        } else if self.answered.load(Ordering::Relaxed) {
            UnparsedWhy::Garbage
        } else {
            UnparsedWhy::Incomplete
        };
        (why, 1)
    }
}

/// The last one to hold a connection settles its account: only then is it certain that no request of it is still to start.
impl Drop for Connection {
    fn drop(&mut self) {
        let (why, count) = self.leftovers();
        for _ in 0..count {
            self.counters.unparsed.up();
            self.unparsed.unparsed(self, why);
        }
    }
}

/// Without the counters, which are not of this connection.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("local", &self.local)
            .field("tls", &self.tls)
            .field("protocol", &self.protocol)
            .field("started", &self.started)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

const fn code(why: UnparsedWhy) -> u8 {
    match why {
        UnparsedWhy::Garbage => 1,
        UnparsedWhy::HeadTimeout => 2,
        UnparsedWhy::HeadTooLarge => 3,
        UnparsedWhy::Incomplete => 4,
        UnparsedWhy::RefusedStream => 5,
    }
}

fn microseconds(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(NEVER)
}
