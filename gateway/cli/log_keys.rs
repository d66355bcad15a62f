//! The keys that sign the checkpoints of the audit log take turns: on record, each vouched for by the one before it, and
//! whatever moment the process dies at.
//!
//! The key file says what is wanted, the log what is in force: a key signs once the log names it, and does not once the log says
//! that it is retired. What is half done is found in both and gone on with, here or at the next start.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use audit::{Cause, Journal, KeyOf, Note};
use ledger::{Due, KeyError, KeyFile, Publisher, Turn};
use tlog::VerifierKey;

use crate::publishing::Counts;
use crate::settings::Rotation;

/// After how long something is put on record again that has not come into the log.
const AGAIN: Duration = Duration::from_secs(30);

/// When somebody should replace a key, where nothing does it by itself.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

pub(crate) struct LogKeys {
    file: KeyFile,
    rotation: Rotation,
    counts: Arc<Counts>,
    /// Which key the log was told something of, and when.
    told: Option<(VerifierKey, Instant)>,
    /// What was wrong the last time, and is not told again.
    fault: Option<String>,
}

impl LogKeys {
    pub(crate) fn new(file: KeyFile, rotation: Rotation, counts: &Arc<Counts>) -> Self {
        counts.rotate_after.store(rotation.after.unwrap_or(YEAR).as_secs(), Ordering::Relaxed);
        Self { file, rotation, counts: Arc::clone(counts), told: None, fault: None }
    }

    /// Does what is due. What cannot be done now is tried again the next time.
    pub(crate) fn tend(&mut self, publisher: &mut Publisher, journal: &Journal, now: u64) {
        let tended = self.try_tend(publisher, journal, now);
        self.counts.keys_faulty.store(tended.is_err(), Ordering::Relaxed);
        let fault = tended.err().map(|error| terms::chain(&error));
        if let Some(why) = fault.as_ref().filter(|why| self.fault.as_ref() != Some(why)) {
            tracing::error!("the keys that sign checkpoints cannot be looked after, the last good ones sign on: {why}");
        }
        self.fault = fault;
    }

    fn try_tend(&mut self, publisher: &mut Publisher, journal: &Journal, now: u64) -> Result<(), KeyError> {
        let mut keys = self.file.read()?;
        let is_old = |after: Duration| now >= keys.since().saturating_add(after.as_secs());
        if keys.all().len() == 1 && self.rotation.after.is_some_and(is_old) {
            self.file.turn(Turn::Now, None, now)?;
            keys = self.file.read()?;
        }
        self.counts.key_since.store(keys.since(), Ordering::Relaxed);
        self.counts.keys.store(keys.verifiers().count() as u64, Ordering::Relaxed);
        publisher.hold(keys);
        match publisher.due(now, self.rotation.overlap.as_secs()) {
            None => {}
            Some(Due::Announce { old, new, asked }) => {
                let by = asked.map_or(Cause::Schedule, Cause::Command);
                let (before, after) = (old.to_string(), new.to_string());
                let note = Note::KeyRotated { of: KeyOf::Log, old: Some(&before), new: &after, by };
                self.tell(journal, new, &note);
            }
            Some(Due::Retire { old, new, checkpoint }) => {
                let (before, after, checkpoint) = (old.to_string(), new.to_string(), checkpoint.to_string());
                let note = Note::KeyRetired { old: &before, new: &after, checkpoint: &checkpoint };
                self.tell(journal, old, &note);
            }
            Some(Due::TakeOver(new)) => {
                self.file.take_over(&new, now)?;
                tracing::info!(key = %new, "another key signs the checkpoints of the audit log");
            }
            Some(Due::Forget(old)) => {
                self.file.forget(&old)?;
                tracing::info!(key = %old, "a key that signed the checkpoints of the audit log is retired");
            }
        }
        Ok(())
    }

    fn tell(&mut self, journal: &Journal, of: VerifierKey, note: &Note<'_>) {
        if self.told.as_ref().is_some_and(|(told, when)| *told == of && when.elapsed() < AGAIN) {
            return;
        }
        match journal.note(note) {
            Ok(()) => self.told = Some((of, Instant::now())),
            Err(unavailable) => {
                tracing::warn!(error = terms::chain(&unavailable), "the change of the log's key is not on record yet");
            }
        }
    }
}
