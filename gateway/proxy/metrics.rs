use std::time::Duration;

use policy::{EchoMode, Echoed};
use prometheus::core::Collector;
use prometheus::{Error, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use terms::{Reason, RouteId, UpstreamId};

use crate::streams::Kind;

/// What Prometheus sees of the requests. Every label has a bounded set of values: the routes of the policy (and `none`),
/// five classes of status, the reasons of [`Reason`], the upstreams of the configuration.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: IntCounterVec,
    decision: Histogram,
    upstream: Histogram,
    total: Histogram,
    fail_closed: IntCounterVec,
    shadow_denied: IntCounterVec,
    break_glass: IntCounterVec,
    streams_open: IntGaugeVec,
    streams_ended: IntCounterVec,
    retries: IntCounterVec,
    shed: IntCounterVec,
    waited: HistogramVec,
    echoes: IntCounterVec,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// A metric of the same name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let streams_open = Opts::new("cloister_streams_open", "Requests that run long, by what they are");
        let streams_open = add(registry, IntGaugeVec::new(streams_open, &["kind"]))?;
        for kind in Kind::ALL {
            streams_open.with_label_values(&[kind.as_str()]).set(0);
        }
        Ok(Self {
            requests: add(
                registry,
                counters("cloister_requests_total", "Requests answered", &["route", "status_class", "reason"]),
            )?,
            decision: add(
                registry,
                histogram("cloister_decision_seconds", "Time to decide about a request", 0.000_002),
            )?,
            upstream: add(
                registry,
                histogram("cloister_upstream_seconds", "Time until a backend's response head", 0.000_1),
            )?,
            total: add(
                registry,
                histogram("cloister_request_seconds", "Time from a request's head to the end of its response", 0.000_1),
            )?,
            fail_closed: add(
                registry,
                counters("cloister_fail_closed_total", "Requests refused because we could not decide", &["place"]),
            )?,
            shadow_denied: add(
                registry,
                counters(
                    "cloister_shadow_denied_total",
                    "Requests that passed on a route in shadow and would have been refused",
                    &["route", "reason"],
                ),
            )?,
            break_glass: add(
                registry,
                counters(
                    "cloister_break_glass_total",
                    "Requests that no role granted, let through with a justification",
                    &["route"],
                ),
            )?,
            streams_open,
            streams_ended: add(
                registry,
                counters("cloister_streams_ended_total", "Requests that ran long and are over", &["kind", "why"]),
            )?,
            retries: add(
                registry,
                counters(
                    "cloister_retries_total",
                    "Attempts that were repeated, or were not",
                    &["upstream", "outcome"],
                ),
            )?,
            shed: add(
                registry,
                counters("cloister_upstream_shed_total", "Requests turned away before a backend", &["upstream", "why"]),
            )?,
            waited: add(
                registry,
                HistogramVec::new(
                    HistogramOpts::new("cloister_upstream_wait_seconds", "Time in the queue before a backend")
                        .buckets(prometheus::exponential_buckets(0.001, 4.0, 8)?),
                    &["upstream"],
                ),
            )?,
            echoes: add(registry, echoes())?,
        })
    }

    pub(crate) fn answered(&self, route: Option<&RouteId>, status: u16, reason: Reason) {
        let class = match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[route.map_or("none", RouteId::as_str), class, reason.as_str()]).inc();
    }

    /// A request passed that authorisation would have refused, were its route not in shadow.
    pub(crate) fn would_deny(&self, route: &RouteId, reason: Reason) {
        self.shadow_denied.with_label_values(&[route.as_str(), reason.as_str()]).inc();
    }

    /// A request was let through that no role grants, as its caller said why it must be.
    pub(crate) fn broke_glass(&self, route: &RouteId) {
        self.break_glass.with_label_values(&[route.as_str()]).inc();
    }

    /// One more request runs long. Its end is told to [`Metrics::stream_ended`].
    pub(crate) fn stream_opened(&self, kind: Kind) {
        self.streams_open.with_label_values(&[kind.as_str()]).inc();
    }

    pub(crate) fn stream_ended(&self, kind: Kind, why: &str) {
        self.streams_open.with_label_values(&[kind.as_str()]).dec();
        self.streams_ended.with_label_values(&[kind.as_str(), why]).inc();
    }

    pub(crate) fn decided(&self, seconds: f64) {
        self.decision.observe(seconds);
    }

    pub(crate) fn responded(&self, seconds: f64) {
        self.upstream.observe(seconds);
    }

    pub(crate) fn finished(&self, seconds: f64) {
        self.total.observe(seconds);
    }

    /// `made`: an attempt was repeated; `recovered`: a repeated one was answered; `no_budget`, `no_time`: it was not.
    pub(crate) fn retried(&self, upstream: &UpstreamId, outcome: &str) {
        self.retries.with_label_values(&[upstream.as_str(), outcome]).inc();
    }

    /// `tenant`, `upstream`: of whom there were too many in flight; `share`: of a tenant that had more than its share; `open`:
    /// the breaker was.
    pub(crate) fn shed(&self, upstream: &UpstreamId, why: &str) {
        self.shed.with_label_values(&[upstream.as_str(), why]).inc();
    }

    /// Only of those who had to wait.
    pub(crate) fn waited(&self, upstream: &UpstreamId, time: Duration) {
        if time >= Duration::from_millis(1) {
            self.waited.with_label_values(&[upstream.as_str()]).observe(time.as_secs_f64());
        }
    }

    pub(crate) fn echoed(&self, mode: EchoMode, said: Echoed) {
        self.echoes.with_label_values(&[word(mode), said.as_str()]).inc();
    }

    pub(crate) fn failed_closed(&self, place: Reason) {
        self.fail_closed.with_label_values(&[place.as_str()]).inc();
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, metric: Result<C, Error>) -> Result<C, Error> {
    let metric = metric?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// A counter that stands at zero from the start for each word: Prometheus cannot see one rise that was not there before.
fn echoes() -> Result<IntCounterVec, Error> {
    let counter =
        counters("cloister_tenant_echo_total", "Responses by what they said of their tenant", &["mode", "said"])?;
    for (mode, said) in [EchoMode::Block, EchoMode::Shadow].iter().flat_map(|mode| Echoed::ALL.map(|said| (mode, said)))
    {
        counter.with_label_values(&[word(*mode), said.as_str()]).inc_by(0);
    }
    Ok(counter)
}

const fn word(mode: EchoMode) -> &'static str {
    match mode {
        EchoMode::Block => "block",
        EchoMode::Shadow => "shadow",
    }
}

fn counters(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

/// Buckets that double from `first`, twenty of them: six decimal orders of magnitude.
fn histogram(name: &str, help: &str, first: f64) -> Result<Histogram, Error> {
    Histogram::with_opts(HistogramOpts::new(name, help).buckets(prometheus::exponential_buckets(first, 2.0, 20)?))
}
