use policy::{EchoMode, Echoed};
use prometheus::core::Collector;
use prometheus::{Error, Histogram, HistogramOpts, IntCounterVec, Opts, Registry};
use terms::{Reason, RouteId};

/// What Prometheus sees of the requests. Every label has a bounded set of values: the routes of the policy (and `none`),
/// five classes of status, the reasons of [`Reason`].
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: IntCounterVec,
    decision: Histogram,
    upstream: Histogram,
    total: Histogram,
    fail_closed: IntCounterVec,
    echoes: IntCounterVec,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// A metric of the same name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
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

    pub(crate) fn decided(&self, seconds: f64) {
        self.decision.observe(seconds);
    }

    pub(crate) fn responded(&self, seconds: f64) {
        self.upstream.observe(seconds);
    }

    pub(crate) fn finished(&self, seconds: f64) {
        self.total.observe(seconds);
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
