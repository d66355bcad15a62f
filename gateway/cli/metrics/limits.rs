use limit::Limits;
use prometheus::proto::{MetricFamily, MetricType};
use terms::LimitId;

use super::{counter, family, float};

/// What the limits have refused, and how it is with the memory for their keys. A limit that starts afresh begins at zero.
pub(super) fn metrics(limits: &Limits) -> [MetricFamily; 4] {
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
        counter(
            "cloister_limit_unknown_plan_total",
            "Requests of tenants whose plan no file knows, which have the least of every limit",
            limits.of_unknown_plans(),
        ),
    ]
}
