use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use assertion::ContentDigest;
use audit::{End, Outcome};
use canonical::{CanonicalRequest, Client};
use gate::{Arrival, Permit};
use http::HeaderValue;
use ingress::Connection;
use policy::Echo;
use terms::Reason;
use upstream::{Chosen, Tried};

use crate::close::recorded;
use crate::echo::Watch;
use crate::effort::Effort;
use crate::response::Transport;
use crate::socket::Frames;
use crate::streams::Watched;
use crate::trace::Trace;
use crate::upload::Upload;

/// One request's state between pingora's calls.
#[derive(Debug, Default)]
pub struct Context {
    pub(crate) stage: Stage,
    pub(crate) connection: Option<InProgress>,
    /// How long the backend may take for each piece of what it is sent.
    pub(crate) backend_takes: Option<std::time::Duration>,
    /// The body that is coming in over HTTP/2, if one is.
    pub(crate) upload: Option<Upload>,
    /// Whose request it is, and by whom it came.
    pub(crate) client: Option<Client>,
    /// Body bytes from the client so far, as far as a backend was handed them.
    pub(crate) received: u64,
    /// Body bytes for the client so far.
    pub(crate) sent: u64,
    /// What is done to have it answered.
    pub(crate) effort: Effort,
    /// How many times a backend was tried.
    pub(crate) attempts: u8,
    /// The connection of the attempt that is under way.
    pub(crate) wire: Option<RawFd>,
    /// The address of the attempt that is under way.
    pub(crate) chosen: Option<Chosen>,
    /// Whether the upstream was told how that attempt went.
    pub(crate) reported: bool,
    /// Where earlier attempts were made.
    pub(crate) tried: Tried,
    /// When the request was handed to a backend, and then how long its response head took.
    pub(crate) forwarded: Option<Instant>,
    /// Why it failed after it was admitted, if it did.
    pub(crate) failed: Option<(Reason, End)>,
    /// The status that we answered in place of the backend.
    pub(crate) answered: Option<u16>,
    /// The status of the backend's response, once its head goes on to the client.
    pub(crate) responded: Option<u16>,
    /// How many informational responses came before the final one.
    pub(crate) announced: u8,
    /// What is known of the response's tenant, where its route looks.
    pub(crate) watch: Watch,
    /// Who watches over it, if it runs long.
    pub(crate) stream: Option<Watched>,
    /// Whether the client was told to send its body.
    pub(crate) continued: bool,
    /// Where the backend's side of a web socket stands, once what flows is no longer HTTP.
    pub(crate) socket: Option<Frames>,
}

impl Context {
    /// How the client is connected.
    pub(crate) fn transport(&self) -> Transport {
        match self.connection.as_ref().and_then(|connection| connection.connection().tls()) {
            Some(_) => Transport::Tls,
            None => Transport::Plain,
        }
    }
}

/// A request that is ended leaves its context to who writes the record. One that is dropped without a word, as all are that
/// outlast the gateway, says how far it came.
impl Drop for Context {
    fn drop(&mut self) {
        crate::running::leave(self);
        let so_far = self.so_far();
        if let Stage::Admitted(admitted) = std::mem::take(&mut self.stage) {
            let Admitted { arrival, permit, .. } = *admitted;
            permit.break_off(Outcome { took: arrival.started.elapsed(), ..so_far });
        }
    }
}

impl Context {
    /// What there is to say of a request that does not come to its end by itself.
    pub(crate) fn so_far(&self) -> Outcome {
        let held = if let Stage::Admitted(admitted) = &self.stage { admitted.held.as_ref() } else { None };
        Outcome {
            status: self.answered.or(self.responded),
            attempts: self.attempts,
            bytes_in: self.received.max(held.map_or(0, |held| held.length)),
            bytes_out: self.sent,
            echo: self.watch.said().map(recorded),
            ..Outcome::default()
        }
    }

    /// Whether the gateway ends, so that this answer should be the last on its connection.
    pub(crate) fn is_ending(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.connection().is_ending())
    }

    /// The client is to send a body, and its pace counts.
    pub(crate) fn await_body(&self) {
        if let Some(InProgress(connection)) = &self.connection {
            connection.body_awaited();
        }
    }

    /// The client owes no body, or no more of it.
    pub(crate) fn end_body(&self) {
        if let Some(InProgress(connection)) = &self.connection {
            connection.body_ended();
        }
    }
}

/// How far a request has come. Only `Admitted` holds what a backend needs.
#[derive(Debug, Default)]
pub(crate) enum Stage {
    /// Nothing is known yet.
    #[default]
    New,
    /// Its head is there.
    Arrived(Arrival, Trace),
    /// It may be forwarded.
    Admitted(Box<Admitted>),
    /// It was answered with a refusal, and that is on record.
    Refused { arrival: Arrival, reason: Reason, route: Option<Arc<policy::Route>> },
    /// Its record is complete.
    Recorded,
}

/// A request that may be forwarded, and how.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) arrival: Arrival,
    pub(crate) trace: Trace,
    pub(crate) permit: Permit,
    pub(crate) forward: Forward,
    /// Its body, where all of it was read before any backend is asked.
    pub(crate) held: Option<Held>,
}

/// A body that is here to its end.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) digest: ContentDigest,
    pub(crate) length: u64,
}

impl Admitted {
    /// Where the response should name its tenant, and which that is.
    pub(crate) fn echo(&self) -> Option<(&Echo, &str)> {
        let tenant = self.permit.member()?.membership().tenant();
        self.permit.route().echo.as_ref().map(|echo| (echo, tenant.as_str()))
    }
}

/// What of the request head must be other than the client wrote it, and what it says to us alone.
#[derive(Debug)]
pub(crate) struct Forward {
    /// The canonical request-target, if it differs from what came.
    pub(crate) target: Option<String>,
    /// Host and port, as they were judged.
    pub(crate) host: HeaderValue,
    /// The cookies in one field, if they came in several.
    pub(crate) cookie: Option<HeaderValue>,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
    /// How long the client waits for all of it, if it says so. It counts from the arrival.
    pub(crate) patience: Option<Duration>,
}

impl Forward {
    /// What differs between a canonical request and what came. `None` if its host does not fit into a field, which a
    /// canonical host always does.
    pub(crate) fn of(request: &CanonicalRequest<'_>) -> Option<Self> {
        let host = match request.port() {
            None | Some(80) => HeaderValue::from_str(request.host()), // 80 is what `http` means without it (RFC 9110 §4.2.3)
            Some(_) => HeaderValue::from_str(&request.authority()),
        };
        Some(Self {
            target: request.is_rewritten().then(|| request.target().to_string()),
            host: host.ok()?,
            cookie: request.joined_cookie(),
            expects_continue: request.expects_continue(),
            patience: request.patience(),
        })
    }
}

/// Tells the connection's guard that a request is in progress, for as long as this lives.
#[derive(Debug)]
pub(crate) struct InProgress(Arc<Connection>);

impl InProgress {
    pub(crate) fn on(connection: Arc<Connection>) -> Self {
        connection.request_started();
        Self(connection)
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.0
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}
