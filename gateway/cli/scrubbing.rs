//! Reads the whole audit log again, in the background: once when it was taken up, then every day. At the start only its edge is
//! compared with what was signed, or a start would take as long as the log is; this finds what was changed further back. Then
//! those records go whose time is over.
//!
//! A log that is found to be another one is not gone on with. Nothing ends that by itself, however good it looks later: a file
//! that was put back may be put in again, and a disk that reads one thing now and another then is none to write records to.
//! `cloister audit recheck` asks for it: then all of the log is read again, from the disk and not from memory, as often in a row
//! as it has been doubted since the start; and only if every look shows what was signed for, and that is on record and signed for
//! itself, requests are served again. A start compares less than that.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use audit::{Cause, Doubt, Journal, Note, ReadError};
use ledger::{Checked, KeyFile};
use terms::Clock;
use tlog::TrustPolicy;

use crate::failure::Failure;
use crate::recheck::Recheck;
use crate::retaining::Retaining;

/// How long it is waited for something that is to come.
const SOON: Duration = Duration::from_millis(200);
const EVERY: Duration = Duration::from_secs(24 * 3_600);

/// How often it is looked whether somebody asks for it.
const ASKED: Duration = Duration::from_secs(1);

/// However often a log was doubted, so often in a row it is read at most before it is gone on with.
const READINGS: u64 = 5;

/// How often it is looked how large the log is.
const MEASURED: Duration = Duration::from_secs(3_600);

/// How often something is looked at again before it is believed to be wrong: the gateway itself is at work there.
const LOOKS: usize = 3;

pub(crate) struct Scrubbing {
    pub(crate) log: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) id: [u8; 16],
    pub(crate) key: KeyFile,
    /// Where somebody may ask for it.
    pub(crate) asked: PathBuf,
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
    /// How often it was doubted since the start.
    pub(crate) doubts: AtomicU64,
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
        let mut measured: Option<Instant> = None;
        while rests(if looked.is_some() { ASKED } else { SOON }) {
            if !self.journal.writes() {
                continue;
            }
            self.recheck();
            if measured.is_some_and(|measured| measured.elapsed() < MEASURED) {
                continue;
            }
            measured = Some(Instant::now());
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
        let checked = ledger::check(&self.log, Some(&self.policy()?))?;
        self.counts.records.store(checked.records, Ordering::Relaxed);
        self.counts.ended_at.store(self.clock.unix_seconds(), Ordering::Relaxed);
        Ok(checked)
    }

    /// The keys that sign now: they may be others than the last time.
    fn policy(&self) -> Result<TrustPolicy, ReadError> {
        let unread = |error| ReadError::Io(self.log.clone(), std::io::Error::other(error));
        let keys = self.key.read().map_err(unread)?;
        let lines: String = keys.verifiers().map(|key| format!("log {key}\n")).collect();
        (lines + "quorum none\n").parse().map_err(|error| ReadError::Io(self.log.clone(), std::io::Error::other(error)))
    }

    /// FAIL CLOSED: a log that was changed is not gone on with.
    fn distrust(&self, differences: u64) {
        self.counts.differences.store(differences, Ordering::Relaxed);
        if !self.journal.is_doubted(Doubt::Reread) {
            self.counts.doubts.fetch_add(1, Ordering::Relaxed);
            let records = self.counts.records.load(Ordering::Relaxed);
            let why = "it is not what was signed for";
            let note = Note::Rechecked { records, readings: 0, found: differences, why, by: Cause::Schedule };
            if let Err(unavailable) = self.journal.note(&note) {
                tracing::error!(error = terms::chain(&unavailable), "that the audit log is doubted is not on record");
            }
        }
        self.journal.distrust(Doubt::Reread);
    }

    /// Reads all of it again if somebody asks for that, and ends the doubt if nothing is left of it.
    fn recheck(&self) {
        let asked = match Recheck::asked(&self.asked) {
            Ok(None) => return,
            Ok(Some(asked)) => asked,
            Err(error) => {
                tracing::error!(path = %self.asked.display(), %error, "nobody can be told to have asked for a look at the log");
                return Recheck::done(&self.asked);
            }
        };
        // Somebody else than this look may have doubted it: that counts as one.
        let wanted = self.counts.doubts.load(Ordering::Relaxed).clamp(1, READINGS);
        let (mut readings, mut found, mut records) = (0, 0, 0);
        while readings < wanted && found == 0 {
            (found, records) = self.read_all();
            readings += u64::from(found == 0);
        }
        let Recheck { user, why } = &asked;
        let note = Note::Rechecked { records, readings, found, why, by: Cause::Command(*user) };
        // ORDER: on record and signed for, then trusted: who signs has found it right, too.
        match self.retaining.say(&note) {
            Ok(()) if found == 0 => {
                self.counts.differences.store(0, Ordering::Relaxed);
                self.journal.trust_again(Doubt::Reread);
                tracing::info!(readings, records, "all of the audit log was read again, and it is what was signed for");
            }
            Ok(()) => tracing::error!(found, "all of the audit log was read again, and it is not what was signed for"),
            Err(failure) => tracing::error!(why = failure.as_text(), "the audit log is not gone on with"),
        }
        Recheck::done(&self.asked);
    }

    /// Every byte, as `cloister audit verify` does. Answers how much is not as it must be, and how many records there are.
    fn read_all(&self) -> (u64, u64) {
        if let Err(error) = audit::forget_cached(&self.log) {
            tracing::warn!(%error, "what is read again may come from memory");
        }
        let whole = match audit::verify(&self.log) {
            Ok(report) => report.problems.len() as u64 + report.more_problems,
            Err(error) => {
                tracing::error!(%error, "the audit log cannot be read again");
                1
            }
        };
        let guard = ledger::guarded(&self.state, self.id);
        let compared = self.policy().and_then(|policy| {
            let guard = guard.map_err(|error| ReadError::Io(self.state.clone(), error))?;
            let against = ledger::Against { policy: Some(&policy), kept: None, guard: guard.as_ref() };
            ledger::check_against(&self.log, against)
        });
        match compared {
            Ok(checked) => {
                for difference in checked.differences.iter().take(8) {
                    tracing::error!(difference = terms::chain(difference), "the audit log is not what was signed for");
                }
                (whole + checked.differences.len() as u64 + checked.more, checked.records)
            }
            Err(error) => {
                tracing::error!(error = terms::chain(&error), "the audit log cannot be read again");
                (whole + 1, 0)
            }
        }
    }
}
