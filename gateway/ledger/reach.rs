use std::path::Path;

use audit::Reader;
use tlog::{Checkpoint, Note};

use crate::guard::Guard;
use crate::publisher::LedgerError;
use crate::{Folder, NotOurs};

/// Shows that a log reaches as far as was signed for, without touching it: to be asked before anybody opens it to write, who
/// would cut off its torn end and add to it. Whether it is the right log as well, [`crate::Publisher::open`] finds out.
///
/// # Errors
/// [`LedgerError::Shorter`] if it does not, and what keeps it from being read.
pub fn reaches(log: &Path, state: &Path) -> Result<(), LedgerError> {
    if !log.join("segments").exists() {
        return Ok(()); // there is no log yet
    }
    let Some(id) = Reader::log_id(log)? else { return Ok(()) };
    let (guard, folder) = (Guard::of(state, id), Folder::of(log));
    let kept = guard.last().map_err(LedgerError::io("read", guard.path()))?;
    let shown = folder.checkpoint().map_err(LedgerError::io("read", &folder.checkpoint_path()))?;
    for (note, path) in [(kept, guard.path().to_owned()), (shown, folder.checkpoint_path())] {
        let Some(size) =
            note.as_ref().map(size).transpose().map_err(|not| LedgerError::Checkpoint(path.clone(), not))?
        else {
            continue;
        };
        let Some(last) = size.checked_sub(1) else { continue };
        if Reader::from(log, last)?.next().transpose()?.is_none() {
            let records = Reader::open(log)?.try_fold(0, |_, stored| stored.map(|stored| stored.index + 1))?;
            return Err(LedgerError::Shorter { records, size, path });
        }
    }
    Ok(())
}

fn size(note: &Note) -> Result<u64, NotOurs> {
    Ok(Checkpoint::of(note)?.size)
}
