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

/// The segments all of whose records were written before this moment, come before this record, and are of no tenant that is
/// under a legal hold. The last segment stays, and so does one whose tenants' chains could not be gone on with. Behind a segment
/// that stays, all stay.
///
/// # Errors
/// The folder or a segment cannot be read.
pub fn prunable(
    directory: &Path,
    before: SystemTime,
    keep_from: u64,
    is_held: impl Fn(&str) -> bool,
) -> Result<Option<Prunable>, ReadError> {
    let failed = |error| ReadError::Io(directory.to_owned(), error);
    let all = segment::list(directory).map_err(failed)?;
    let kept_chains = Chains::kept(directory).unwrap_or(0);
    let (mut segments, mut bytes, mut minimum) = (Vec::new(), 0, None);
    for pair in all.windows(2) {
        let [this, next] = pair else { break };
        // All of it was written before the one after it was begun.
        let ended = UNIX_EPOCH + Duration::from_millis(segment::header(directory, *next).map_err(failed)?.created);
        if ended > before || *next > keep_from || *next > kept_chains || holds(directory, *this, &is_held)? {
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
