//! Requests that run long: web sockets, event streams, calls of gRPC, and every transfer that is not over soon.
//!
//! A permit is given once, and these outlive what it stood on. So they are registered, and one background task looks at
//! all of them, again and again: also those on which nothing moves, so that no timer is needed for any of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use audit::{Outcome, Witness};
use futures::task::AtomicWaker;
use gate::{Rules, Tenure};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use tenancy::Revocations;
use terms::{Reason, RequestId};

use crate::context::Admitted;
use crate::metrics::Metrics;
use crate::proxy::Proxy;

/// How many bytes make a transfer long.
pub(crate) const LONG: u64 = 64 << 10;

/// After how long a transfer that is not a stream by its nature is told of in the log as one.
const OPENED_AFTER: Duration = Duration::from_secs(1);

/// What runs long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A response that is long, or does not say how long it is.
    Download,
    /// Server-sent events.
    Events,
    /// A call of gRPC, of which nobody can tell from outside whether it will be one message or a thousand.
    Grpc,
    /// A request body that is long, or does not say how long it is.
    Upload,
    /// RFC 6455.
    WebSocket,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Download, Self::Events, Self::Grpc, Self::Upload, Self::WebSocket];

    /// The word in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Events => "events",
            Self::Grpc => "grpc",
            Self::Upload => "upload",
            Self::WebSocket => "websocket",
        }
    }

    /// Whether it is a stream from its first byte on.
    const fn is_stream(self) -> bool {
        matches!(self, Self::Events | Self::WebSocket)
    }
}

/// One request that runs long, as whoever may end it sees it.
#[derive(Debug)]
pub(crate) struct Stream {
    kind: Kind,
    since: Instant,
    /// What its right to go on stands on. Nothing on a public route.
    tenure: Option<Tenure>,
    /// Where it is told of. Nowhere in unit tests.
    home: Option<Home>,
    status: AtomicU16,
    /// Whether the log is to be told of it.
    due: AtomicBool,
    /// Whether the log has been told of it.
    opened: AtomicBool,
    why: OnceLock<Reason>,
    task: AtomicWaker,
}

/// Where a stream is told of.
#[derive(Debug)]
struct Home {
    streams: Arc<Streams>,
    witness: Witness,
    id: RequestId,
}

impl Stream {
    fn new(kind: Kind, since: Instant, tenure: Option<Tenure>, home: Option<Home>) -> Self {
        Self {
            kind,
            since,
            tenure,
            home,
            status: AtomicU16::new(0),
            due: AtomicBool::new(kind.is_stream()),
            opened: AtomicBool::new(false),
            why: OnceLock::new(),
            task: AtomicWaker::new(),
        }
    }

    #[cfg(test)]
    pub(crate) fn for_test() -> Self {
        Self::new(Kind::Download, Instant::now(), None, None)
    }

    /// Ends it, for this reason unless there was another before. Without effect if it has ended already.
    pub(crate) fn end(&self, why: Reason) {
        if self.why.set(why).is_ok() {
            self.task.wake();
        }
    }

    /// Why it has to end, if it has; if not, it may be time to tell the log of it. Wakes this task when either changes. To
    /// be called by what runs for this request.
    pub(crate) fn check(&self, cx: &std::task::Context<'_>) -> Option<Reason> {
        self.task.register(cx.waker());
        self.tell();
        self.why.get().copied()
    }

    fn tell(&self) {
        if !self.due.load(Ordering::Acquire) || self.opened.swap(true, Ordering::Relaxed) {
            return;
        }
        let Some(Home { streams, witness, id }) = &self.home else { return };
        streams.metrics.stream_opened(self.kind);
        let status = Some(self.status.load(Ordering::Relaxed)).filter(|status| *status > 0);
        if let Err(unavailable) = witness.opened(status) {
            // FAIL CLOSED: what the log cannot tell of does not go on.
            tracing::error!(error = terms::chain(&unavailable), request = %id, "a stream that cannot be recorded");
            streams.metrics.failed_closed(Reason::AuditUnavailable);
            self.end(Reason::AuditUnavailable);
        }
    }

    /// Looks whether it may go on.
    fn look(&self, rules: &Rules, revocations: &Revocations, now: u64) {
        if let Some(Err(why)) = self.tenure.as_ref().map(|tenure| tenure.stands(rules, revocations, now)) {
            self.end(why);
        } else if !self.due.load(Ordering::Relaxed) && self.since.elapsed() >= OPENED_AFTER {
            self.due.store(true, Ordering::Release);
            self.task.wake();
        }
    }
}

/// All requests that run long.
#[derive(Debug)]
pub(crate) struct Streams {
    /// In parts, so that workers are seldom in each other's way: each part is locked for a moment when a stream begins and
    /// when it ends, and while it is looked through.
    parts: [Mutex<HashMap<RequestId, Arc<Stream>>>; PARTS],
    metrics: Metrics,
}

const PARTS: usize = 16;

impl Streams {
    pub(crate) fn new(metrics: Metrics) -> Arc<Self> {
        Arc::new(Self { parts: std::array::from_fn(|_| Mutex::default()), metrics })
    }

    /// Begins to watch a request, which is not one of those already.
    pub(crate) fn watch(self: &Arc<Self>, kind: Kind, admitted: &Admitted) -> Watched {
        let Admitted { arrival, permit, .. } = admitted;
        let home = Home { streams: Arc::clone(self), witness: permit.witness(), id: arrival.id };
        let stream = Arc::new(Stream::new(kind, arrival.started, permit.tenure(), Some(home)));
        admitted.runs_as(&stream);
        self.part(arrival.id).insert(arrival.id, Arc::clone(&stream));
        Watched { stream, ended: "abandoned" }
    }

    /// Ends every stream that may not go on by these rules, at this time in seconds since the Unix epoch.
    pub(crate) fn look(&self, rules: &Rules, revocations: &Revocations, now: u64) {
        self.each(|stream| stream.look(rules, revocations, now));
    }

    /// Ends all of them.
    pub(crate) fn end(&self, why: Reason) {
        self.each(|stream| stream.end(why));
    }

    fn each(&self, then: impl Fn(&Stream)) {
        for part in &self.parts {
            part.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|stream| then(stream));
        }
    }

    fn part(&self, id: RequestId) -> MutexGuard<'_, HashMap<RequestId, Arc<Stream>>> {
        let [first, ..] = &self.parts;
        let index = usize::try_from(id.as_u128() % PARTS as u128).unwrap_or(0); // its last bits are random
        self.parts.get(index).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is watched, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: Arc<Stream>,
    ended: &'static str,
}

impl Watched {
    /// The head of the response goes on to the client.
    pub(crate) fn responds(&self, status: u16) {
        self.stream.status.store(status, Ordering::Relaxed);
        self.stream.tell();
    }

    /// It is over.
    pub(crate) fn over(mut self, outcome: &Outcome) {
        self.ended = outcome.reason.map_or(outcome.end.as_str(), Reason::as_str);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Some(Home { streams, id, .. }) = &self.stream.home else { return };
        streams.part(*id).remove(id);
        if self.stream.opened.load(Ordering::Relaxed) {
            streams.metrics.stream_ended(self.stream.kind, self.ended);
        }
    }
}

/// What a request is, by its own head, if it may run long.
pub(crate) fn of_request(session: &mut Session) -> Option<Kind> {
    if canonical::speaks_grpc(&session.req_header().headers) {
        return Some(Kind::Grpc);
    }
    let short = session.is_body_empty() || length(&session.req_header().headers).is_some_and(|length| length <= LONG);
    (!short).then_some(Kind::Upload)
}

/// What it is by the head of its response.
pub(crate) fn of_response(session: &Session, head: &ResponseHeader) -> Option<Kind> {
    let empty = session.req_header().method == Method::HEAD
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        Some(Kind::WebSocket)
    } else if head.status.is_informational() || empty {
        None
    } else if are_events(&head.headers) {
        Some(Kind::Events)
    } else {
        length(&head.headers).is_none_or(|length| length > LONG).then_some(Kind::Download)
    }
}

/// Whether this is the head of what a backend sends as it happens.
pub(crate) fn are_events(fields: &HeaderMap) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    let content_type = fields.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    content_type.get(..EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENTS))
}

fn length(fields: &HeaderMap) -> Option<u64> {
    fields.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Proxy {
    /// Looks after all requests that run long, from start to shutdown, and then until the grace is nearly over: what has not
    /// ended by then is ended, since a stream never does so by itself.
    pub async fn watch_streams(&self, shutdown: impl Future<Output = ()> + Send, grace: Duration) {
        let look = || {
            self.streams().look(&self.gate().rules(), &self.gate().revocations(), self.clock().unix_seconds());
        };
        let mut ticks = tokio::time::interval(LOOK);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                _ = ticks.tick() => look(),
            }
        }
        let last = tokio::time::Instant::now() + grace.saturating_sub(FAREWELL);
        while tokio::time::Instant::now() < last {
            ticks.tick().await;
            look();
        }
        self.streams().end(Reason::GatewayStopping);
    }
}

/// How often all streams are looked at, and so how late one may end.
const LOOK: Duration = Duration::from_millis(200);

/// How long before the end of the grace the streams are ended, so that each still has its record.
const FAREWELL: Duration = Duration::from_millis(500);
