use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets of [`Stats::commit_buckets`], in microseconds; the last bucket has none.
pub const COMMIT_BOUNDS_MICROS: [u64; 10] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000];

/// How the journal is doing. Counters count from its start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Whether requests can be recorded. The gateway is not ready while this is not so.
    pub healthy: bool,
    /// Final records accepted: each is in the log, or survives the process and will be. With `unrecorded` they are all
    /// requests that ended.
    pub finals: u64,
    /// Requests that were answered without a record, as there was no room for one. The log says so too (`log.gap`).
    pub unrecorded: u64,
    /// Requests that were begun while the disk failed, with a record in memory alone.
    pub spilled: u64,
    /// Requests in flight.
    pub open: u64,
    /// Records in the log, since it was begun.
    pub records: u64,
    /// Bytes that wait for the committer.
    pub pending_bytes: u64,
    /// Batches brought to disk.
    pub commits: u64,
    /// How long they took in all.
    pub commit_time: Duration,
    /// How many of them took at most as long as [`COMMIT_BOUNDS_MICROS`] says, not cumulative; the last took longer.
    pub commit_buckets: [u64; 11],
    /// Times that the log could not be written or brought to disk.
    pub failures: u64,
    /// Rises as long as the committer works.
    pub beats: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) healthy: AtomicBool,
    /// Finals that the committer wrote itself: from slots, not from rings.
    pub(crate) finals: AtomicU64,
    pub(crate) unrecorded: AtomicU64,
    pub(crate) spilled: AtomicU64,
    pub(crate) failures: AtomicU64,
    beats: AtomicU64,
    commits: AtomicU64,
    commit_micros: AtomicU64,
    buckets: [AtomicU64; 11],
}

impl Counters {
    pub(crate) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn committed(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.commit_micros.fetch_add(micros, Ordering::Relaxed);
        let bucket = COMMIT_BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What is counted here; the rest is for the lanes to say.
    pub(crate) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            healthy: self.healthy.load(Ordering::Acquire),
            finals: read(&self.finals),
            unrecorded: read(&self.unrecorded),
            spilled: read(&self.spilled),
            commits: read(&self.commits),
            commit_time: Duration::from_micros(read(&self.commit_micros)),
            commit_buckets: self.buckets.each_ref().map(read),
            failures: read(&self.failures),
            beats: read(&self.beats),
            ..Stats::default()
        }
    }
}
