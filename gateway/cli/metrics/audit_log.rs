//! What Prometheus sees of the work on the audit log beside its writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use audit::{COMMIT_BOUNDS_MICROS, Journal, Stats};
use prometheus::proto::{MetricFamily, MetricType};

use super::{counter, family, float, gauge, histogram, label};
use crate::publishing::Counts;
use crate::reckoning::Reckoning;
use crate::{cosigning, delivering, indexing, retaining, scrubbing};

/// One of the logs, and what works on it.
pub(crate) struct OfLog {
    /// The retention class of which it is.
    pub(crate) class: String,
    pub(crate) journal: Arc<Journal>,
    pub(crate) checkpoints: Arc<Counts>,
    pub(crate) indexed: Arc<indexing::Counts>,
    /// `None`: nobody else signs the checkpoints.
    pub(crate) witnesses: Option<Arc<cosigning::Counts>>,
    pub(crate) sinks: Box<dyn Fn() -> Vec<sinks::Condition> + Send + Sync>,
    pub(crate) scrubbed: Arc<scrubbing::Counts>,
    pub(crate) retained: Arc<retaining::Counts>,
}

impl OfLog {
    /// All of it, by the class. There are as many as the settings have.
    pub(super) fn metrics(&self) -> Vec<MetricFamily> {
        let stats = self.journal.stats();
        let mut families = of_journal(&stats);
        families.extend(of_checkpoints(&stats, &self.checkpoints));
        families.extend(of_index(&self.indexed));
        families.extend(self.witnesses.iter().flat_map(|witnesses| of_witnesses(witnesses)));
        families.extend(delivering::metrics(&(self.sinks)()));
        families.extend(of_scrubbing(&self.scrubbed));
        families.extend(of_retaining(&self.retained));
        for metric in families.iter_mut().flat_map(MetricFamily::mut_metric) {
            let mut labels = metric.take_label();
            labels.push(label(("class", &self.class)));
            metric.set_label(labels);
        }
        families
    }
}

pub(super) fn of_reckoning(reckoning: &Reckoning) -> MetricFamily {
    gauge(
        "cloister_audit_clock_ahead_seconds",
        "How far the machine's clock is ahead of the time by which records grow old",
        reckoning.now().1.as_secs(),
    )
}

fn of_journal(stats: &Stats) -> Vec<MetricFamily> {
    let bounds = COMMIT_BOUNDS_MICROS.iter().map(|micros| float(*micros) / 1e6).chain([f64::INFINITY]);
    let mut cumulative = 0;
    let buckets = bounds.zip(stats.commit_buckets).map(|(bound, count)| {
        cumulative += count;
        (bound, cumulative)
    });
    let took = stats.commit_time.as_secs_f64();
    let commits =
        histogram("cloister_journal_commit_seconds", "Time to bring a batch to disk", buckets, stats.commits, took);
    vec![
        counter("cloister_journal_records_total", "Final records accepted", stats.finals),
        counter(
            "cloister_journal_unrecorded_total",
            "Requests answered without a record, for want of room",
            stats.unrecorded,
        ),
        counter(
            "cloister_journal_spilled_total",
            "Requests served while the log's disk failed, with a record in memory",
            stats.spilled,
        ),
        gauge("cloister_journal_open", "Requests in flight that have a place in the journal", stats.open),
        gauge("cloister_journal_pending_bytes", "Bytes that wait for the disk", stats.pending_bytes),
        counter("cloister_journal_failures_total", "Times that the log could not be written", stats.failures),
        gauge("cloister_journal_up", "Whether requests can be recorded", u64::from(stats.healthy)),
        commits,
    ]
}

fn of_checkpoints(journal: &Stats, counts: &Counts) -> [MetricFamily; 8] {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    [
        gauge("cloister_audit_records", "Records in the audit log", journal.records),
        gauge("cloister_checkpoint_records", "Records that the last checkpoint was signed for", read(&counts.size)),
        gauge(
            "cloister_checkpoint_signed_timestamp_seconds",
            "When the last checkpoint was signed",
            read(&counts.signed_at),
        ),
        counter(
            "cloister_checkpoint_failures_total",
            "Times that no checkpoint could be signed",
            read(&counts.failures),
        ),
        gauge(
            "cloister_checkpoint_key_since_timestamp_seconds",
            "Since when the key signs that signs the checkpoints",
            read(&counts.key_since),
        ),
        gauge(
            "cloister_checkpoint_key_rotate_after_seconds",
            "After how long another key should sign them",
            read(&counts.rotate_after),
        ),
        gauge("cloister_checkpoint_keys", "Keys that sign each checkpoint", read(&counts.keys)),
        gauge(
            "cloister_checkpoint_keys_faulty",
            "Whether the keys that sign checkpoints cannot be looked after, so that the last good ones sign on",
            u64::from(counts.keys_faulty.load(Ordering::Relaxed)),
        ),
    ]
}

fn of_witnesses(counts: &cosigning::Counts) -> [MetricFamily; 5] {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let each = |value: fn(&cosigning::OfSeat) -> &AtomicU64| {
        let mut values = Vec::new();
        for seat in &counts.seats {
            values.push((vec![("witness", seat.name.as_str())], float(read(value(seat)))));
        }
        values
    };
    [
        gauge("cloister_witnessed_records", "Records that enough witnesses have signed for", read(&counts.size)),
        gauge("cloister_witnessed_timestamp_seconds", "When they had signed for them", read(&counts.signed_at)),
        counter(
            "cloister_log_forks_total",
            "Times that a witness has seen another history of the audit log",
            read(&counts.forks),
        ),
        family(
            "cloister_witness_signed_timestamp_seconds",
            "When each witness has signed last",
            MetricType::GAUGE,
            each(|seat| &seat.signed_at),
        ),
        family(
            "cloister_witness_failures_total",
            "Times that each witness has not signed",
            MetricType::COUNTER,
            each(|seat| &seat.failures),
        ),
    ]
}

fn of_index(counts: &indexing::Counts) -> [MetricFamily; 2] {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    [
        gauge(
            "cloister_audit_indexed_records",
            "Records up to which queries have an index; the segment that is written has none",
            read(&counts.records),
        ),
        counter(
            "cloister_audit_index_failures_total",
            "Times that a segment could not be indexed",
            read(&counts.failures),
        ),
    ]
}

fn of_retaining(counts: &retaining::Counts) -> [MetricFamily; 3] {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let left = match read(&counts.seconds_left) {
        u64::MAX => f64::INFINITY, // it was not measured yet, or does not grow
        seconds => seconds as f64,
    };
    [
        gauge(
            "cloister_audit_bytes",
            "Bytes that the audit log takes, with what is derived of it",
            read(&counts.bytes),
        ),
        counter(
            "cloister_audit_pruned_records_total",
            "Records that are gone, as their time was over",
            read(&counts.pruned),
        ),
        family(
            "cloister_audit_disk_left_seconds",
            "Until the disk is full, or what the audit log may have of it, if it grows on as it did for a day",
            MetricType::GAUGE,
            vec![(Vec::new(), left)],
        ),
    ]
}

fn of_scrubbing(counts: &scrubbing::Counts) -> [MetricFamily; 3] {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    [
        gauge("cloister_audit_reread_records", "Records that were last read again", read(&counts.records)),
        gauge("cloister_audit_reread_timestamp_seconds", "When they were read again", read(&counts.ended_at)),
        gauge(
            "cloister_audit_reread_differences",
            "What of the audit log is not what was signed for",
            read(&counts.differences),
        ),
    ]
}
