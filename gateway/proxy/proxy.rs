use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use audit::{Glass, Protocol};

use canonical::{Bounds, CanonicalRequest, Client, Head, Malformed, Proxies, Scheme};
use gate::{Admission, Arrival, Asked, Cause, Channel, Gate, Permit, Refusal, Seen};
use http::{Method, Version};
use ingress::{Connection, Scope};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use policy::Route;
use terms::{Clock, Reason, RequestId};

use crate::backends::Backends;
use crate::context::Forward;
use crate::metrics::Metrics;
use crate::reply::Reply;
use crate::response::ResponseSettings;
use crate::streams::Streams;
use crate::trace::Trace;

/// What stands between pingora and the gate.
#[derive(Debug)]
pub struct Proxy {
    gate: Gate,
    backends: Backends,
    minter: assertion::Minter,
    metrics: Metrics,
    bounds: Bounds,
    proxies: Proxies,
    response: ResponseSettings,
    streams: Arc<Streams>,
    clock: Arc<dyn Clock>,
}

impl Proxy {
    /// A proxy that forwards what `gate` permits.
    #[must_use]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of its own, and there is one place that puts them together"
    )]
    pub fn new(
        gate: Gate,
        backends: Backends,
        minter: assertion::Minter,
        metrics: Metrics,
        bounds: Bounds,
        proxies: Proxies,
        response: ResponseSettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let streams = Streams::new(metrics.clone());
        Self { gate, backends, minter, metrics, bounds, proxies, response, streams, clock }
    }

    pub(crate) const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The backends that it forwards to.
    pub const fn backends(&self) -> &Backends {
        &self.backends
    }

    pub(crate) const fn minter(&self) -> &assertion::Minter {
        &self.minter
    }

    pub(crate) const fn streams(&self) -> &Arc<Streams> {
        &self.streams
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whose request it is that came from this address.
    pub(crate) fn client(&self, peer: IpAddr, head: &RequestHeader) -> Client {
        Client::find(peer, &head.headers, &self.proxies)
    }

    pub(crate) const fn response(&self) -> &ResponseSettings {
        &self.response
    }

    /// Notes that a request is there, before any of it is judged.
    pub(crate) fn arrival(&self, client: IpAddr, head: Option<&RequestHeader>, trace: Option<Trace>) -> Arrival {
        self.gate().logs().arrived();
        let at = self.clock.now();
        let milliseconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let protocol = head.and_then(|head| match head.version {
            Version::HTTP_10 => Some(Protocol::Http10),
            Version::HTTP_11 => Some(Protocol::Http11),
            Version::HTTP_2 => Some(Protocol::Http2),
            _ => None,
        });
        Arrival {
            id: RequestId::new(u64::try_from(milliseconds).unwrap_or(0), fastrand::u128(..)),
            client,
            protocol,
            trace: trace.map_or(0, |trace| trace.id),
            at,
            started: Instant::now(),
            scheme: Scheme::Http,
            channel: Channel::Plain,
        }
    }

    /// Judges the request of a session. A refusal is on record when this returns.
    pub(crate) async fn judge(&self, session: &Session, arrival: &Arrival) -> Result<(Permit, Forward), Refused> {
        let head = session.req_header();
        let request = match read(session, head, &self.bounds) {
            Ok(request) => request,
            Err(malformed) => {
                let refusal = Refusal::new(Cause::Malformed(malformed), self.gate.rules());
                return Err(self.refuse(arrival, head, None, refusal));
            }
        };
        // ORDER: before the gate. What fails behind it has a record already, and would get a second one.
        let Some(forward) = Forward::of(&request) else {
            let refusal = Refusal::new(Cause::Broken("forward"), self.gate.rules());
            return Err(self.refuse(arrival, head, Some(&request), refusal));
        };
        match self.gate.admit(arrival, &request).await {
            Ok(Admission::Forward(permit)) => {
                if let Some(would) = permit.would() {
                    self.metrics.would_deny(&permit.route().id, would);
                }
                if permit.glass() == Glass::Broken {
                    self.metrics.broke_glass(&permit.route().id);
                }
                Ok((permit, forward))
            }
            Ok(Admission::Preflight(preflight)) => Err(Refused {
                reason: Reason::CorsPreflight,
                route: Some(Arc::clone(preflight.route())),
                reply: Reply::to_preflight(&preflight, arrival.id),
            }),
            Err(refusal) => Err(self.refuse(arrival, head, Some(&request), refusal)),
        }
    }

    /// Keeps the record of a refusal, and puts its answer together: another one if the record could not be kept.
    pub(crate) fn refuse(
        &self,
        arrival: &Arrival,
        head: &RequestHeader,
        request: Option<&CanonicalRequest<'_>>,
        refusal: Refusal,
    ) -> Refused {
        let grpc = canonical::speaks_grpc(&head.headers);
        let reason = refusal.reason();
        let readable = |reply: Reply, refusal: &Refusal| match (request, refusal.route()) {
            (Some(request), Some(route)) if !refusal.is_hidden() => {
                reply.readable(route, request.origin().ok().flatten(), request.host())
            }
            (Some(_) | None, _) => reply,
        };
        let to = |refusal: &Refusal| {
            let challenge = self.gate.challenge(refusal, request);
            readable(Reply::to(refusal, challenge, arrival.id, grpc, self.response.rate_limits), refusal)
        };
        let reply = to(&refusal);
        let sent = if head.method == Method::HEAD { 0 } else { reply.length() };
        let seen = Seen {
            method: Some(head.method.as_str()),
            host: request.map(CanonicalRequest::host),
            user_agent: request.and_then(CanonicalRequest::user_agent),
        };
        let refusal = self.gate.record(arrival, seen, refusal, sent);
        let reply = if refusal.reason() == reason { reply } else { to(&refusal) };
        if refusal.answer().status.is_server_error() {
            self.metrics.failed_closed(refusal.reason());
        }
        Refused { reason: refusal.reason(), route: refusal.route().cloned(), reply }
    }
}

/// A proxy as pingora takes it. What records unparsed bytes holds the same one.
#[derive(Debug)]
pub struct Serving(pub Arc<Proxy>);

impl std::ops::Deref for Serving {
    type Target = Proxy;

    fn deref(&self) -> &Proxy {
        &self.0
    }
}

/// A request that is answered with a refusal, or as a preflight is, which is on record.
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) reply: Reply,
}

/// Reads a head in the one way it can be read. HTTP/1 heads are looked at as they came over the wire, too.
fn read<'h>(session: &Session, head: &'h RequestHeader, bounds: &Bounds) -> Result<CanonicalRequest<'h>, Malformed> {
    if !session.is_http2() {
        canonical::check_wire(&session.to_h1_raw(), &head.headers)?;
    }
    let authority = head.uri.authority().map(http::uri::Authority::as_str).filter(|_| session.is_http2());
    let target = head.raw_path();
    CanonicalRequest::parse(
        &Head { method: &head.method, target, authority, version: head.version, fields: &head.headers },
        bounds,
    )
}

/// What is known of TLS under a request, asked for each of them anew.
pub(crate) fn channel(connection: &Connection) -> Channel {
    let Some(tls) = connection.tls() else { return Channel::Plain };
    let asked = match tls.scope {
        Scope::Host => Asked::ForHost,
        Scope::Listener => Asked::ForListener,
    };
    Channel::Tls { sni: tls.sni.clone(), asked, certificate: tls.client_certificate() }
}
