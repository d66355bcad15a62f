use limit::Limits;
use prometheus::proto::{MetricFamily, MetricType};
use terms::LimitId;

use super::{counter, family, float, gauge};

/// What the limits have refused, and how it is with the memory for their keys. A limit that starts afresh begins at zero.
pub(super) fn metrics(limits: &Limits, (unkept, failures): (u64, u64)) -> [MetricFamily; 7] {
    let near: Vec<_> = limits.near().collect();
    let near = near
        .iter()
        .map(|(limit, mark, count)| (vec![("limit", limit.as_str()), ("used", mark.as_str())], float(*count)));
    let of_each = |name: &str, help: &str, counts: &mut dyn Iterator<Item = (&LimitId, u64)>| {
        let counts: Vec<_> = counts.collect();
        let values = counts.iter().map(|(limit, count)| (vec![("limit", limit.as_str())], float(*count)));
        family(name, help, MetricType::COUNTER, values.collect())
    };
    [
        of_each("cloister_limit_refused_total", "Requests that a limit has refused", &mut limits.refused()),
        of_each(
            "cloister_limit_would_refuse_total",
            "Requests that a limit which only looks would have refused",
            &mut limits.would_have_refused(),
        ),
        of_each(
            "cloister_limit_crowded_total",
            "Requests charged to a budget that all share since there was no room for their own",
            &mut limits.crowded(),
        ),
        family(
            "cloister_quota_near_total",
            "Keys that came to four fifths of a quota or to its end, once in each period",
            MetricType::COUNTER,
            near.collect(),
        ),
        gauge("cloister_quota_unkept_seconds", "Time since all that was used of quotas was on disk", unkept),
        counter("cloister_quota_failures_total", "Times that what was used of quotas could not be kept", failures),
        counter(
            "cloister_limit_unknown_plan_total",
            "Requests of tenants whose plan no file knows, which have the least of every limit",
            limits.of_unknown_plans(),
        ),
    ]
}
