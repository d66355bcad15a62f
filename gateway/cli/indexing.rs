//! Makes the index of the audit log, segment after segment as they are sealed, on a thread of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use audit::{Indexer, Journal};

use crate::failure::Failure;

/// How often it is looked whether a segment has been sealed.
const LOOK: Duration = Duration::from_secs(5);

/// What it leaves to others between two segments.
const BREATH: Duration = Duration::from_millis(50);

/// How far it is.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Up to which record there is an index.
    pub(crate) records: AtomicU64,
    /// Times that a segment could not be indexed.
    pub(crate) failures: AtomicU64,
}

/// The thread. It ends after the segment that it is at, once this is dropped; nobody has to wait for that.
pub(crate) struct Indexing {
    _stop: Sender<()>,
}

/// Begins it for the log in this folder.
pub(crate) fn start(log: PathBuf, journal: Arc<Journal>, counts: Arc<Counts>) -> Result<Indexing, Failure> {
    let (stop, stopped) = channel();
    let thread = std::thread::Builder::new().name("index".into());
    let thread = thread.spawn(move || run(&log, &journal, &counts, &stopped));
    thread.map_err(|error| Failure::broke("the thread that indexes the audit log", &error))?;
    Ok(Indexing { _stop: stop })
}

fn run(log: &std::path::Path, journal: &Journal, counts: &Counts, stopped: &Receiver<()>) {
    let goes_on = |pause| stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout);
    let fail = |error: &(dyn std::error::Error + 'static)| {
        counts.failures.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(error = terms::chain(error), "the audit log cannot be indexed: queries take longer");
    };
    let mut indexer = match Indexer::open(log) {
        Ok(indexer) => indexer,
        Err(error) => return fail(&error),
    };
    loop {
        if journal.writes() {
            match indexer.wanted() {
                Ok(wanted) => {
                    for first in wanted {
                        if let Err(error) = indexer.make(first) {
                            fail(&error);
                        }
                        if !goes_on(BREATH) {
                            return;
                        }
                    }
                }
                Err(error) => fail(&error),
            }
            counts.records.store(indexer.reaches(), Ordering::Relaxed);
        }
        if !goes_on(LOOK) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use audit::{Note, Order, Query, Settings, Which};
    use terms::SystemClock;

    use super::*;

    fn until(what: &str, so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !so() {
            assert!(Instant::now() < deadline, "never came: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn what_is_sealed_is_indexed_beside_the_log_that_grows() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit");
        let settings = Settings { segment_bytes: 65_536, ..Settings::new(log.clone(), "edge-1".into()) };
        let (journal, committer) = Journal::open(settings, Arc::new(SystemClock)).unwrap();
        let committing = std::thread::spawn(|| committer.run());
        let why = "x".repeat(300);
        for _ in 0..1_000 {
            until("there is room", || {
                journal.note(&Note::Secret { setting: "s", refused: Some(&why), by: audit::Cause::Unknown }).is_ok()
            });
        }
        until("all is on disk", || journal.stats().records >= 1_000);
        let counts = Arc::<Counts>::default();
        let indexing = start(log.clone(), Arc::clone(&journal), Arc::clone(&counts)).unwrap();
        until("it is indexed", || counts.records.load(Ordering::Relaxed) > 500);
        let query = Query { which: Which::All, kind: Some("secret.refused".into()), ..Query::default() };
        let mut matches = query.clone().run(&log).unwrap();
        assert_eq!(matches.by_ref().count(), 1_000);
        assert!(matches.reach().indexed > 500, "{:?}", matches.reach());
        let last = Query { order: Order::Latest, limit: Some(1), ..query }.run(&log).unwrap().next().unwrap().unwrap();
        assert!(last.index >= 1_000 - 1);
        drop(indexing);
        journal.flush_and_close(Duration::from_secs(10)).unwrap();
        committing.join().unwrap().unwrap();
        assert_eq!(counts.failures.load(Ordering::Relaxed), 0);
    }
}
