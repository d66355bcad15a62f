//! Lets records go whose time is over, and says how long the disk will do.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use audit::{Horizon, Journal, Note, Order, Prunable, Query, Reader, Which};
use ledger::Checked;
use terms::TenantId;

use crate::failure::Failure;
use crate::reckoning::Reckoning;
use crate::settings::Retention;
use crate::{logs, publishing};

/// How long it is waited for the record that says that others go.
const PATIENCE: Duration = Duration::from_secs(30);

/// Over how long the growth of the log is measured.
const GROWTH: usize = 24;

/// What keeps records beyond their time.
pub(crate) trait Keeping: Send + Sync {
    /// Tenants of whom nothing may go: somebody has said so, and why.
    fn held(&self) -> Result<HashSet<TenantId>, Failure>;

    /// The first record that somebody has yet to take.
    fn awaited(&self) -> Result<u64, Failure>;
}

pub(crate) struct Retaining {
    pub(crate) log: PathBuf,
    pub(crate) settings: Retention,
    pub(crate) keeping: Vec<Arc<dyn Keeping>>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) reckoning: Arc<Reckoning>,
    pub(crate) published: Arc<publishing::Counts>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) growth: OwnGrowth,
    /// How many bytes the log had, each time that it was looked at.
    pub(crate) sizes: VecDeque<(Instant, u64)>,
}

/// How it goes.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) pruned: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Until the disk, or what the log may have of it, is full, in seconds; `u64::MAX` where it cannot be told.
    pub(crate) seconds_left: AtomicU64,
}

impl Default for Counts {
    fn default() -> Self {
        Self { pruned: AtomicU64::new(0), bytes: AtomicU64::new(0), seconds_left: AtomicU64::new(u64::MAX) }
    }
}

impl Retaining {
    /// Lets go what may. `checked` is what a look at the whole log has just shown: nothing goes that was not looked at.
    pub(crate) fn prune(&self, checked: &Checked) -> Result<(), Failure> {
        let Some(keep) = self.settings.keep else { return Ok(()) };
        let Some(checkpoint) = checked.checkpoint.as_ref() else { return Ok(()) };
        let (mut held, mut keep_from) = (HashSet::new(), checkpoint.size);
        for keeping in &self.keeping {
            held.extend(keeping.held()?);
            keep_from = keep_from.min(keeping.awaited()?);
        }
        let (now, _) = self.reckoning.now();
        let prunable = |keep_from: u64| {
            let is_held = |tenant: &str| held.iter().any(|held| held.as_str() == tenant);
            let gone = audit::prunable(&self.log, Horizon { now, keep }, keep_from, is_held);
            gone.map_err(|error| Failure::broke("the audit log", &error))
        };
        // What was said to go, and stayed as the process ended: it goes if it still may, and that need not be said again.
        if let Some(said) = self.said(checkpoint.size)?
            && let Some(rest) = prunable(said.min(keep_from))?
        {
            self.remove(&rest)?;
        }
        if let Some(gone) = prunable(keep_from)? {
            let root = checkpoint.root.to_string();
            self.say(&Note::Pruned { gone: &gone, size: checkpoint.size, root: &root, keep: keep.as_secs() })?;
            self.remove(&gone)?;
        }
        let first = Reader::first_index(&self.log).map_err(|error| Failure::broke("the audit log", &error))?;
        ledger::prune_bundles(&self.log, first.unwrap_or(0)).map_err(|error| unremoved(&error))?;
        Ok(())
    }

    /// Up to where the log says that records go, if it says so under the checkpoint of this size.
    fn said(&self, size: u64) -> Result<Option<u64>, Failure> {
        let failed = |error: &(dyn std::error::Error + 'static)| Failure::broke("the audit log", error);
        let (which, order) = (Which::All, Order::Latest);
        let query = Query { which, order, kind: Some("log.pruned".into()), limit: Some(1), ..Query::default() };
        let last = query.run(&self.log).map_err(|error| failed(&error))?.next();
        let last = last.transpose().map_err(|error| failed(&error))?;
        Ok(last.filter(|stored| stored.index < size).and_then(|stored| stored.row().ok()?.first))
    }

    fn remove(&self, gone: &Prunable) -> Result<(), Failure> {
        gone.remove().map_err(|error| unremoved(&error))?;
        self.counts.pruned.fetch_add(gone.records, Ordering::Relaxed);
        tracing::info!(records = gone.records, bytes = gone.bytes, first = gone.minimum, "old records were removed");
        Ok(())
    }

    /// Records it, and waits until that is signed for.
    pub(crate) fn say(&self, note: &Note<'_>) -> Result<(), Failure> {
        let before = self.journal.stats().records;
        self.journal.note(note).map_err(|error| Failure::broke("the audit log", &error))?;
        let deadline = Instant::now() + PATIENCE;
        while self.published.size.load(Ordering::Relaxed) <= before {
            if Instant::now() > deadline {
                return Err(Failure::Broke("that old records go could not be recorded in time".into()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// How large the log is, and until when there is room for more of it.
    pub(crate) fn measure(&mut self) {
        let (now, bytes) = (Instant::now(), below(&self.log));
        self.sizes.push_back((now, bytes));
        if self.sizes.len() > GROWTH {
            self.sizes.pop_front();
        }
        let a_day = self.sizes.front().map_or(0, |(since, then)| {
            let seconds = now.saturating_duration_since(*since).as_secs().max(1);
            let grown = u128::from(bytes.saturating_sub(*then));
            u64::try_from(grown * u128::from(DAY) / u128::from(seconds)).unwrap_or(u64::MAX)
        });
        self.growth.is(a_day);
        let free = rustix::fs::statvfs(&self.log).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        let allowed = self.settings.disk.map_or(u64::MAX, |disk| disk.saturating_sub(bytes));
        let left = until(free, self.growth.of_all()).min(until(allowed, a_day));
        self.counts.bytes.store(bytes, Ordering::Relaxed);
        self.counts.seconds_left.store(left, Ordering::Relaxed);
    }
}

const DAY: u64 = 24 * 3_600;

/// In how many seconds so much is full that grows by so much a day; `u64::MAX`, if it does not grow.
fn until(room: u64, a_day: u64) -> u64 {
    let seconds = (u128::from(room) * u128::from(DAY)).checked_div(u128::from(a_day));
    seconds.map_or(u64::MAX, |seconds| u64::try_from(seconds).unwrap_or(u64::MAX))
}

/// By how many bytes each log grows a day. They share one disk.
#[derive(Debug, Default)]
pub(crate) struct Growth(Mutex<Vec<u64>>);

/// That of one of them.
#[derive(Debug)]
pub(crate) struct OwnGrowth {
    all: Arc<Growth>,
    own: usize,
}

impl Growth {
    /// Takes in another log.
    pub(crate) fn of_one_more(self: Arc<Self>) -> OwnGrowth {
        let mut each = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = each.len();
        each.push(0);
        drop(each);
        OwnGrowth { all: self, own }
    }
}

impl OwnGrowth {
    fn is(&self, bytes: u64) {
        if let Some(own) = self.all.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(self.own) {
            *own = bytes;
        }
    }

    fn of_all(&self) -> u64 {
        let each = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        each.iter().fold(0, |all, one| all.saturating_add(*one))
    }
}

fn unremoved(error: &std::io::Error) -> Failure {
    Failure::broke("old records cannot be removed", error)
}

/// How much the files of a folder take. What goes meanwhile counts for nothing.
fn below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() && logs::is_of_others(&entry.path()) => 0, // they count for themselves
        Ok(found) if found.is_dir() => below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_folder_are_counted_with_those_below() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b"), [0; 100]).unwrap();
        fs::write(folder.path().join("c"), [0; 11]).unwrap();
        assert_eq!(below(folder.path()), 111);
        assert_eq!(below(&folder.path().join("nowhere")), 0);
        fs::create_dir_all(folder.path().join("classes/r6y")).unwrap();
        fs::write(folder.path().join("classes/r6y/d"), [0; 7]).unwrap();
        assert_eq!(below(folder.path()), 111, "each log has its own");
    }

    #[test]
    fn the_disk_is_full_when_all_logs_have_grown_so_far() {
        assert_eq!(until(1_000, 0), u64::MAX);
        assert_eq!(until(1_000, 500), 2 * DAY);
        assert_eq!(until(u64::MAX, 1), u64::MAX);
        let growth = Arc::new(Growth::default());
        let (one, other) = (Arc::clone(&growth).of_one_more(), growth.of_one_more());
        one.is(7);
        other.is(5);
        other.is(4);
        assert_eq!((one.of_all(), other.of_all()), (11, 11));
    }
}
