//! Reads the whole audit log again, in the background: once when it was taken up, then every day. At the start only its edge is
//! compared with what was signed, or a start would take as long as the log is; this finds what was changed further back. Then
//! those records go whose time is over.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use audit::{Journal, ReadError};
use ledger::Checked;
use terms::Clock;
use tlog::TrustPolicy;

use crate::failure::Failure;
use crate::retaining::Retaining;

/// How long it is waited for something that is to come.
const SOON: Duration = Duration::from_millis(200);
const EVERY: Duration = Duration::from_secs(24 * 3_600);

/// How often it is looked how large the log is.
const MEASURED: Duration = Duration::from_secs(3_600);

/// How often something is looked at again before it is believed to be wrong: the gateway itself is at work there.
const LOOKS: usize = 3;

pub(crate) struct Scrubbing {
    pub(crate) log: PathBuf,
    pub(crate) policy: TrustPolicy,
    pub(crate) journal: Arc<Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) retaining: Retaining,
}

/// How it goes.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// How many records the last look has compared.
    pub(crate) records: AtomicU64,
    /// When it ended, in seconds since the Unix epoch.
    pub(crate) ended_at: AtomicU64,
    /// How many differences it has found.
    pub(crate) differences: AtomicU64,
}

/// The thread. To drop it ends it, after the look that it is at.
pub(crate) struct Running {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    pub(crate) fn end(self) {
        let Self { stop, thread } = self;
        drop(stop);
        drop(thread); // it may be in the middle of a long log, and writes nothing
    }
}

impl Scrubbing {
    pub(crate) fn start(self) -> Result<Running, Failure> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name("scrub".into()).spawn(move || self.run(&stopped));
        let thread = thread.map_err(|error| Failure::broke("the thread that reads the audit log again", &error))?;
        Ok(Running { stop, thread })
    }

    fn run(mut self, stopped: &Receiver<()>) {
        // On Linux that is about this thread alone: requests come first, however long the log is.
        let _as_before_if_that_is_refused = rustix::process::nice(10);
        let rests = |pause| matches!(stopped.recv_timeout(pause), Err(RecvTimeoutError::Timeout));
        let mut looked: Option<Instant> = None;
        while rests(if looked.is_some() { MEASURED } else { SOON }) {
            if !self.journal.writes() {
                continue;
            }
            self.retaining.measure();
            if looked.is_none_or(|looked| looked.elapsed() >= EVERY) {
                looked = Some(Instant::now());
                self.look();
            }
        }
    }

    /// Compares each record with the tree that was signed. What is wrong thrice is wrong.
    fn look(&self) {
        for _ in 1..LOOKS {
            if let Ok(checked) = self.compare()
                && checked.differences.is_empty()
            {
                return self.prune(&checked);
            }
            std::thread::sleep(SOON);
        }
        match self.compare() {
            Ok(checked) if checked.differences.is_empty() => self.prune(&checked),
            Ok(checked) => {
                for difference in checked.differences.iter().take(8) {
                    tracing::error!(difference = terms::chain(difference), "the audit log is not what was signed for");
                }
                self.distrust(checked.differences.len() as u64 + checked.more);
            }
            Err(error) => {
                tracing::error!(error = terms::chain(&error), "the audit log cannot be read again");
                match error {
                    // The disk is at fault, and says so elsewhere.
                    ReadError::Io(..) => {}
                    ReadError::Damaged { .. }
                    | ReadError::Foreign(_)
                    | ReadError::Header(..)
                    | ReadError::Missing { .. }
                    | ReadError::Order(_) => self.distrust(1),
                }
            }
        }
    }

    fn prune(&self, checked: &Checked) {
        if let Err(failure) = self.retaining.prune(checked) {
            tracing::warn!(why = failure.as_text(), "records whose time is over stay");
        }
    }

    fn compare(&self) -> Result<Checked, ReadError> {
        let checked = ledger::check(&self.log, Some(&self.policy))?;
        self.counts.records.store(checked.records, Ordering::Relaxed);
        self.counts.ended_at.store(self.clock.unix_seconds(), Ordering::Relaxed);
        Ok(checked)
    }

    /// FAIL CLOSED: a log that was changed is not gone on with.
    fn distrust(&self, differences: u64) {
        self.counts.differences.store(differences, Ordering::Relaxed);
        self.journal.distrust();
    }
}
