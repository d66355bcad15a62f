//! A log that a journal writes, published, set back, cut off and changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use audit::{Decision, Entry, Journal, Outcome, Reader};
use tempfile::TempDir;
use terms::{ManualClock, Reason, RequestId};
use tlog::{Checkpoint, Receipt, TrustPolicy, consistency, leaf_hash, root, verify_consistency};

use crate::*;

mod damage;
mod growth;
mod kept;
mod keys;
mod pruned;

struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Writes records until the log has so many. The last of them says that it was closed.
    fn grow_to(&self, records: u64) {
        let settings = audit::Settings {
            segment_bytes: 256 << 20, // one: that a segment was closed is a record, too
            commit_interval: Duration::from_millis(1),
            ..audit::Settings::new(self.log(), "edge-1".into())
        };
        let (journal, committer) = Journal::open(settings, Arc::new(ManualClock::at(1_790_000_000))).unwrap();
        let committer = std::thread::spawn(|| committer.run());
        for _ in journal.stats().records..records.checked_sub(1).unwrap() {
            let id = RequestId::new(1_790_000_000_123, fastrand::u128(..));
            let at = std::time::UNIX_EPOCH + Duration::from_millis(1_790_000_000_123);
            let entry = Entry { method: Some("GET"), ..Entry::new(id, at, Decision::Deny, Reason::AuthMissing) };
            journal.whole(&entry, &Outcome { status: Some(401), ..Outcome::default() }).unwrap();
        }
        journal.flush_and_close(Duration::from_secs(20)).unwrap();
        committer.join().unwrap().unwrap();
        assert_eq!(self.records().len() as u64, records);
    }

    fn records(&self) -> Vec<Vec<u8>> {
        Reader::open(&self.log()).unwrap().map(|stored| stored.unwrap().json).collect()
    }

    fn id(&self) -> [u8; 16] {
        Reader::log_id(&self.log()).unwrap().unwrap()
    }

    fn key(&self) -> KeyFile {
        KeyFile::of(&self.state(), self.id())
    }

    fn open(&self) -> Result<Publisher, LedgerError> {
        let keys = self.key().read_or_make(&"log.example/edge-1".parse().unwrap(), 1_790_000_000).unwrap();
        Publisher::open(Settings { log: self.log(), id: self.id(), state: self.state(), keys })
    }

    fn publish(&self) -> Published {
        self.open().unwrap().publish(u64::MAX).unwrap()
    }

    fn policy(&self) -> TrustPolicy {
        let keys = self.key().read().unwrap();
        format!("log {}\nquorum none\n", keys.signing().verifier()).parse().unwrap()
    }

    fn check(&self) -> Checked {
        check(&self.log(), Some(&self.policy())).unwrap()
    }

    /// Everything is as it must be.
    fn assert_sound(&self) {
        let checked = self.check();
        assert!(checked.differences.is_empty(), "{:#?}", checked.differences);
        assert_eq!(checked.signed_by, ["log.example/edge-1"]);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
