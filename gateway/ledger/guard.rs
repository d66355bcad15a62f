//! The newest checkpoint once more, in another place than the log: a disk that was set back to an earlier day does not
//! make us sign a second history.

use std::io;
use std::path::{Path, PathBuf};

use tlog::Note;

use crate::files::{self, Durable};
use crate::folder::note;

/// `ledger/<id of the log>.checkpoint` in the state folder.
#[derive(Clone, Debug)]
pub(crate) struct Guard(PathBuf);

impl Guard {
    pub(crate) fn of(state: &Path, log: [u8; 16]) -> Self {
        Self(place(state, log, "checkpoint"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn last(&self) -> io::Result<Option<Note>> {
        files::read_if_there(&self.0)?.map(|bytes| note(&bytes)).transpose()
    }

    /// ORDER: before anybody else is shown the checkpoint.
    pub(crate) fn advance(&self, checkpoint: &str) -> io::Result<()> {
        files::replace(&self.0, checkpoint.as_bytes(), Durable::Now)
    }
}

/// Where it is asked for that all of a log is read again: `ledger/<id of the log>.recheck` in the state folder.
#[must_use]
pub fn recheck_path(state: &Path, log: [u8; 16]) -> PathBuf {
    place(state, log, "recheck")
}

/// What is kept about a log in the state folder. Another log, in the same folder or another, has files of its own.
pub(crate) fn place(state: &Path, log: [u8; 16], what: &str) -> PathBuf {
    state.join("ledger").join(format!("{:032x}.{what}", u128::from_be_bytes(log)))
}
