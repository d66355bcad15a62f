//! Old records go, segment by segment, oldest first: those that are past their time. What remains, and its proofs, stays as it
//! was: the tree keeps the hash of each record that is gone, and each tenant's chain goes on where it was.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::chains::{Chains, tenant_of};
use crate::reader::{ReadError, Reader};
use crate::segment::{self, sync_directory};

/// Segments whose time is over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prunable {
    /// The first record that stays.
    pub minimum: u64,
    /// How many records go.
    pub records: u64,
    /// How many bytes go with them.
    pub bytes: u64,
    segments: Vec<PathBuf>,
}

/// What is old.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// What time it is, by somebody whom nobody can tell another time.
    pub now: SystemTime,
    /// How long records are kept.
    pub keep: Duration,
}

/// The segments all of whose records are older than the horizon, come before this record, and are of no tenant that is under a
/// legal hold. The last segment stays, and so does one whose tenants' chains could not be gone on with. Behind a segment that
/// stays, all stay.
///
/// # Errors
/// The folder or a segment cannot be read.
pub fn prunable(
    directory: &Path,
    Horizon { now, keep }: Horizon,
    keep_from: u64,
    is_held: impl Fn(&str) -> bool,
) -> Result<Option<Prunable>, ReadError> {
    let failed = |error| ReadError::Io(directory.to_owned(), error);
    let Some(before) = now.checked_sub(keep) else { return Ok(None) };
    let all = segment::list(directory).map_err(failed)?;
    let begun = all.iter().map(|first| Ok(begun(segment::header(directory, *first)?.created)));
    let begun = begun.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    let kept_chains = Chains::kept(directory).unwrap_or(0);
    let (mut segments, mut bytes, mut minimum) = (Vec::new(), 0, None);
    for (pair, ended) in all.windows(2).zip(ends(&begun, now)) {
        let [this, next] = pair else { break };
        let is_old = ended.is_some_and(|ended| ended <= before);
        if !is_old || *next > keep_from || *next > kept_chains || holds(directory, *this, &is_held)? {
            break;
        }
        let path = segment::path(directory, *this);
        bytes += fs::metadata(&path).map_err(failed)?.len();
        segments.push(path);
        minimum = Some(*next);
    }
    let first = all.first().copied().unwrap_or(0);
    Ok(minimum.map(|minimum| Prunable { minimum, records: minimum - first, bytes, segments }))
}

fn begun(created: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(created)
}

/// By when all of each segment was written: before the one after it was begun. The clock of the machine has said when that was,
/// and may have been wrong. FAIL CLOSED: where it went back, what came before counts; what it says of the future says nothing, and
/// the next that says something counts. `None`: none does.
fn ends(begun: &[SystemTime], now: SystemTime) -> impl Iterator<Item = Option<SystemTime>> {
    (1..begun.len()).map(move |next| {
        let (before, after) = begun.split_at_checked(next)?;
        let known = after.iter().position(|at| *at <= now)?;
        let told = before.iter().chain(after.iter().take(known + 1));
        told.filter(|at| **at <= now).max().copied()
    })
}

/// Whether a record of this segment is of a tenant of whom nothing may go.
fn holds(directory: &Path, first: u64, is_held: impl Fn(&str) -> bool) -> Result<bool, ReadError> {
    for stored in Reader::of_segment(directory, first)? {
        if tenant_of(&stored?.json).is_some_and(&is_held) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Prunable {
    /// Removes them for good. ORDER: the log says so first, and has it on disk.
    ///
    /// # Errors
    /// One cannot be removed. Those before it are gone, and the log begins behind them.
    pub fn remove(&self) -> io::Result<()> {
        for path in &self.segments {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            // ORDER: oldest first, also after a power cut: one that is missing in the middle would be a fault.
            path.parent().map_or(Ok(()), sync_directory)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_wrong_while_it_was_written_makes_no_segment_older() {
        let at = |day: u64| UNIX_EPOCH + Duration::from_secs(day * 86_400);
        let ends = |days: &[u64], now: u64| {
            let begun: Vec<_> = days.iter().copied().map(at).collect();
            let ends: Vec<_> = ends(&begun, at(now)).collect();
            ends
        };
        let days = |days: &[Option<u64>]| days.iter().map(|day| day.map(at)).collect::<Vec<_>>();
        for (begun, now, ended) in [
            // The clock was right, and has no say about the last.
            (&[10, 11, 12][..], 20, &[Some(11), Some(12)][..]),
            (&[10], 20, &[]),
            // It went back to its first day and stayed there.
            (&[10, 11, 0, 0, 0], 20, &[Some(11), Some(11), Some(11), Some(11)]),
            // It began on its first day, and was then set.
            (&[0, 0, 11, 12], 20, &[Some(0), Some(11), Some(12)]),
            // It was years ahead for a while.
            (&[10, 4_000, 12, 13], 20, &[Some(12), Some(12), Some(13)]),
            (&[10, 4_000, 4_001], 20, &[None, None]),
            // It was some days ahead: what comes then is kept for those days more.
            (&[10, 15, 11, 12, 16], 20, &[Some(15), Some(15), Some(15), Some(16)]),
        ] {
            assert_eq!(ends(begun, now), days(ended), "{begun:?}");
        }
    }
}
