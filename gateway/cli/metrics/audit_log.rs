//! What Prometheus sees of the work on the audit log beside its writer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use audit::Stats;
use prometheus::proto::{MetricFamily, MetricType};

use super::{counter, family, float, gauge};
use crate::publishing::Counts;
use crate::{cosigning, indexing, retaining, scrubbing};

pub(super) fn of_checkpoints(journal: &Stats, counts: &Counts) -> [MetricFamily; 8] {
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

pub(super) fn of_witnesses(counts: &cosigning::Counts) -> [MetricFamily; 5] {
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

pub(super) fn of_index(counts: &indexing::Counts) -> [MetricFamily; 2] {
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

pub(super) fn of_retaining(counts: &retaining::Counts, ahead: Duration) -> [MetricFamily; 4] {
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
        gauge(
            "cloister_audit_clock_ahead_seconds",
            "How far the machine's clock is ahead of the time by which records grow old",
            ahead.as_secs(),
        ),
        family(
            "cloister_audit_disk_left_seconds",
            "Until the disk is full, or what the audit log may have of it, if it grows on as it did for a day",
            MetricType::GAUGE,
            vec![(Vec::new(), left)],
        ),
    ]
}

pub(super) fn of_scrubbing(counts: &scrubbing::Counts) -> [MetricFamily; 3] {
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
