//! Asks witnesses to sign the newest checkpoint of the audit log, beside everything else.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use audit::{Doubt, Journal};
use ledger::Folder;
use terms::Clock;
use tlog::{Checkpoint, Hash, Note, Signature, consistency};
use tokio::task::JoinSet;
use witness::{Asked, Seat, Unseen};

use crate::background::Shutdown;

/// Which witnesses, and how many of them it takes.
#[derive(Clone, Debug)]
pub(crate) struct Witnesses {
    pub(crate) seats: Vec<Seat>,
    pub(crate) quorum: usize,
    pub(crate) every: Duration,
}

/// How it goes.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) seats: Vec<OfSeat>,
    /// How many records the last checkpoint has that enough of them have signed, and when they had.
    pub(crate) size: AtomicU64,
    pub(crate) signed_at: AtomicU64,
    /// Times that one of them has seen another history of this log.
    pub(crate) forks: AtomicU64,
}

/// How it goes with one of them.
#[derive(Debug, Default)]
pub(crate) struct OfSeat {
    pub(crate) name: String,
    /// How large the log was when it signed last, and when that was.
    size: AtomicU64,
    pub(crate) signed_at: AtomicU64,
    pub(crate) failures: AtomicU64,
}

pub(crate) struct Cosigning {
    log: PathBuf,
    witnesses: Witnesses,
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
}

impl Cosigning {
    pub(crate) fn new(log: PathBuf, witnesses: Witnesses, journal: Arc<Journal>, clock: Arc<dyn Clock>) -> Self {
        let of_seat = |seat: &Seat| OfSeat { name: seat.name().to_owned(), ..OfSeat::default() };
        let counts = Counts { seats: witnesses.seats.iter().map(of_seat).collect(), ..Counts::default() };
        Self { log, witnesses, journal, clock, counts: Arc::new(counts) }
    }

    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    pub(crate) async fn run(self, mut shutdown: Shutdown) {
        // The first one soon: a log that was set back together with its guard is found before it has grown.
        let mut pause = Duration::from_secs(1).min(self.witnesses.every);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = self.witnesses.every;
            if !self.journal.writes() {
                continue; // who writes the log has it signed
            }
            tokio::select! {
                () = &mut shutdown => return,
                () = self.step() => {}
            }
        }
    }

    async fn step(&self) {
        let Some((mut note, checkpoint)) = newest(&self.log) else { return };
        let mut asking = JoinSet::new();
        for (at, seat) in self.witnesses.seats.iter().cloned().enumerate() {
            let seen = self.counts.seats.get(at).map_or(0, |seat| seat.size.load(Ordering::Relaxed));
            let (note, checkpoint, folder) = (note.clone(), checkpoint.clone(), Folder::of(&self.log));
            asking.spawn(async move {
                let size = checkpoint.size;
                let prove = move |old: u64| -> Option<Vec<Hash>> { consistency(&folder, old, size).ok() };
                let asked = Asked { note: &note, checkpoint: &checkpoint, prove: &prove };
                (at, seat.ask(&asked, seen).await)
            });
        }
        let mut signed = 0;
        while let Some(asked) = asking.join_next().await {
            let Ok((at, answer)) = asked else { continue };
            if let Some(signature) = self.take(at, &checkpoint, answer) {
                note.add(signature);
                signed += 1;
            }
        }
        if signed < self.witnesses.quorum {
            tracing::warn!(signed, wanted = self.witnesses.quorum, "too few witnesses have signed the audit log");
            return;
        }
        let folder = Folder::of(&self.log);
        match folder.put_witnessed(&note) {
            Ok(()) => {
                self.counts.size.store(checkpoint.size, Ordering::Relaxed);
                self.counts.signed_at.store(self.clock.unix_seconds(), Ordering::Relaxed);
            }
            Err(error) => tracing::error!(%error, "what witnesses have signed cannot be kept"),
        }
    }

    fn take(&self, at: usize, asked: &Checkpoint, answer: Result<Signature, Unseen>) -> Option<Signature> {
        let seat = self.counts.seats.get(at)?;
        match answer {
            Ok(signature) => {
                seat.size.store(asked.size, Ordering::Relaxed);
                seat.signed_at.store(self.clock.unix_seconds(), Ordering::Relaxed);
                return Some(signature);
            }
            Err(Unseen::Fork(size)) => {
                seat.failures.fetch_add(1, Ordering::Relaxed);
                // Another process of ours may have had a newer one signed meanwhile.
                let now = newest(&self.log).map_or(0, |(_, checkpoint)| checkpoint.size);
                if size > now || size == asked.size {
                    // FAIL CLOSED: what others have seen of this log is not what is here.
                    self.counts.forks.fetch_add(1, Ordering::Relaxed);
                    self.journal.distrust(Doubt::Witness);
                    tracing::error!(
                        witness = seat.name,
                        seen = size,
                        here = now,
                        "a witness has seen another history of the audit log: it is not gone on with"
                    );
                } else {
                    seat.size.store(0, Ordering::Relaxed);
                }
            }
            Err(error) => {
                seat.failures.fetch_add(1, Ordering::Relaxed);
                seat.size.store(0, Ordering::Relaxed); // it may know less than it did
                tracing::warn!(witness = seat.name, error = terms::chain(&error), "a witness has not signed");
            }
        }
        None
    }
}

fn newest(log: &std::path::Path) -> Option<(Note, Checkpoint)> {
    let note = Folder::of(log).checkpoint().ok()??;
    let checkpoint = Checkpoint::of(&note).ok()?;
    Some((note, checkpoint))
}
