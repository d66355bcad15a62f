//! The store in which gateways count limits together: how it does, for metrics and readiness.

use admin::{Check, Standing};
use limit::Limits;
use prometheus::proto::{MetricFamily, MetricType};
use tally::{ROUND_TRIP_BOUNDS_MICROS, RoundTrips, State, Tally};

use crate::metrics::{counter, family, float, gauge, histogram};

/// The store is asked. All gateways have the same one: that it is gone must not take every gateway out of its load balancer, also
/// where a limit refuses without it, since other routes are served.
pub(crate) struct Together(pub(crate) Tally);

impl Check for Together {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn check(&self) -> Standing {
        let State { up, problem, .. } = self.0.state();
        if up {
            return Standing::Up;
        }
        let why = problem.unwrap_or_else(|| "there is no connection yet".to_owned());
        Standing::Impaired(format!(
            "limits are not counted together, and each does what its `on_store_loss` says: {why}"
        ))
    }
}

/// What there is to say of it.
pub(crate) fn metrics(tally: &Tally, limits: &Limits) -> Vec<MetricFamily> {
    let State { up, open, round_trips, failed, unasked, owed, unsettled, problem: _ } = tally.state();
    let degraded: Vec<_> = limits.lost().map(|(way, count)| (vec![("did", way.as_str())], float(count))).collect();
    vec![
        gauge("cloister_limit_store_up", "Whether limits are counted together with other gateways", u64::from(up)),
        gauge(
            "cloister_limit_store_breaker_open",
            "Whether the store of limits is left alone since it has failed again and again",
            u64::from(open),
        ),
        of_round_trips(&round_trips),
        counter(
            "cloister_limit_store_failures_total",
            "Questions that the store of limits did not answer in time",
            failed,
        ),
        counter("cloister_limit_store_unasked_total", "Questions that the store of limits was not asked", unasked),
        family(
            "cloister_limit_store_degraded_total",
            "Requests whose shared limits were not judged by the store, by what was done",
            MetricType::COUNTER,
            degraded,
        ),
        gauge("cloister_limit_store_owed", "Ends of requests that the store of limits was not told yet", owed as u64),
        counter(
            "cloister_limit_store_unsettled_total",
            "Ends of requests that the store of limits was never told",
            unsettled,
        ),
    ]
}

fn of_round_trips(round_trips: &RoundTrips) -> MetricFamily {
    let RoundTrips { within, count, took } = round_trips;
    let bounds = ROUND_TRIP_BOUNDS_MICROS.iter().map(|bound| float(*bound) / 1e6).zip(within.iter().copied());
    let bounds = bounds.chain([(f64::INFINITY, *count)]);
    histogram(
        "cloister_limit_store_seconds",
        "Time until the store of limits has answered",
        bounds,
        *count,
        took.as_secs_f64(),
    )
}
