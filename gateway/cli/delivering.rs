//! Takes the records of the audit log to the sinks.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use audit::{Journal, Reader};
use prometheus::proto::{MetricFamily, MetricType};
use sinks::{CLASSES, Committed, Condition, Feeding, Log, LogId, Running};
use terms::{Clock, TenantId};

use crate::failure::Failure;
use crate::metrics::{family, float};
use crate::retaining::Keeping;

/// How long the sinks may go on with what there is, once the log is at its end.
const LAST_DELIVERIES: Duration = Duration::from_secs(5);

/// What delivers, before it begins.
pub(crate) fn prepare(
    directory: PathBuf,
    state: PathBuf,
    sinks: Vec<Arc<sinks::Settings>>,
    journal: &Arc<Journal>,
    clock: &Arc<dyn Clock>,
) -> Result<Feeding, Failure> {
    let id = Reader::log_id(&directory).map_err(|error| Failure::setup("the audit log", &error))?;
    let id = id.ok_or_else(|| Failure::Setup(format!("`{}` has no audit log", directory.display())))?;
    let journal = Arc::clone(journal);
    // Who writes the log delivers from it, and knows what is on disk.
    let committed = Committed::new(move || journal.writes().then(|| journal.stats().records));
    Ok(Feeding::new(Log { id: LogId(id), directory, state }, committed, Arc::clone(clock), sinks))
}

/// Says which sinks others could read or change what goes there.
pub(crate) fn warn(sinks: &[Arc<sinks::Settings>]) {
    for sink in sinks {
        for setting in sink.target.weaknesses() {
            tracing::warn!(
                sink = sink.name.as_str(),
                setting,
                "records go out in a way that is weaker than it could be"
            );
        }
    }
}

/// Keeps records until each sink has had them.
pub(crate) fn keeping(feeding: &Feeding, journal: &Arc<Journal>) -> Arc<dyn Keeping> {
    Arc::new(UntilDelivered { conditions: Box::new(feeding.conditions()), journal: Arc::clone(journal) })
}

struct UntilDelivered {
    conditions: Box<dyn Fn() -> Vec<Condition> + Send + Sync>,
    journal: Arc<Journal>,
}

impl Keeping for UntilDelivered {
    fn held(&self) -> Result<HashSet<TenantId>, Failure> {
        Ok(HashSet::new())
    }

    fn awaited(&self) -> Result<u64, Failure> {
        let records = self.journal.stats().records; // ORDER: first, so that what comes meanwhile makes it less, not more
        let behind = (self.conditions)().into_iter().map(|condition| condition.lag_records).max();
        Ok(behind.map_or(u64::MAX, |behind| records.saturating_sub(behind)))
    }
}

/// Lets the last records go out, as far as that is quick.
pub(crate) fn end(running: Running) {
    if !running.end(LAST_DELIVERIES) {
        tracing::warn!("a sink of the audit log does not end; it goes on where it was with the next start");
    }
}

/// What Prometheus sees of the sinks.
pub(crate) fn metrics(conditions: &[Condition]) -> Vec<MetricFamily> {
    let each = |value: &dyn Fn(&Condition) -> f64| {
        conditions.iter().map(|it| (vec![("sink", it.name.as_str())], value(it))).collect::<Vec<_>>()
    };
    let failures = conditions.iter().flat_map(|it| {
        let counts = CLASSES.iter().zip(it.failures);
        counts.map(|(class, count)| (vec![("sink", it.name.as_str()), ("why", *class)], float(count)))
    });
    let failing = conditions.iter().flat_map(|it| {
        let is = |class: &&'static str| f64::from(u8::from(it.failing == Some(*class)));
        CLASSES.iter().map(move |class| (vec![("sink", it.name.as_str()), ("why", *class)], is(class)))
    });
    vec![
        family(
            "cloister_audit_sink_lag_records",
            "Records of the audit log that a sink has not delivered",
            MetricType::GAUGE,
            each(&|it| float(it.lag_records)),
        ),
        family(
            "cloister_audit_sink_lag_seconds",
            "How old the oldest record is that a sink has not delivered",
            MetricType::GAUGE,
            each(&|it| it.lag.as_secs_f64()),
        ),
        family(
            "cloister_audit_sink_delivered_total",
            "Records that a sink has delivered",
            MetricType::COUNTER,
            each(&|it| float(it.delivered)),
        ),
        family(
            "cloister_audit_sink_set_aside_total",
            "Records that were refused where a sink goes, and set aside",
            MetricType::COUNTER,
            each(&|it| float(it.set_aside)),
        ),
        family(
            "cloister_audit_sink_holding",
            "Whether a sink waits for somebody to look at a record that is refused",
            MetricType::GAUGE,
            each(&|it| f64::from(u8::from(it.is_holding))),
        ),
        family(
            "cloister_audit_sink_failures_total",
            "Times that a sink could not deliver",
            MetricType::COUNTER,
            failures.collect(),
        ),
        family(
            "cloister_audit_sink_failing",
            "What keeps a sink from delivering now",
            MetricType::GAUGE,
            failing.collect(),
        ),
    ]
}
