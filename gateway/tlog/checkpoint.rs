use std::fmt;
use std::str::FromStr;

use crate::tile::decimal;
use crate::{Hash, Name, Note};

/// How large a log is, and its root then (C2SP tlog-checkpoint). Its text is what gets signed.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Name,
    /// How many entries it has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Why a text is not a checkpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a checkpoint has the name of a log, a number and a hash, each in a line of its own")]
pub struct InvalidCheckpoint;

impl Checkpoint {
    /// Reads what a note says. Whether that is true is for [`Note::verify`] to say. Lines that follow are passed over: they
    /// are signed, but nobody can check them.
    ///
    /// # Errors
    /// It is a note about something else.
    pub fn of(note: &Note) -> Result<Self, InvalidCheckpoint> {
        note.text().parse()
    }
}

impl FromStr for Checkpoint {
    type Err = InvalidCheckpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut lines = text.strip_suffix('\n').ok_or(InvalidCheckpoint)?.split('\n');
        let mut line = || lines.next().ok_or(InvalidCheckpoint);
        let origin = line()?.parse().map_err(|_| InvalidCheckpoint)?;
        let size = decimal(line()?).ok_or(InvalidCheckpoint)?;
        let root = line()?.parse().map_err(|_| InvalidCheckpoint)?;
        let is_whole = lines.all(|extension| !extension.is_empty());
        is_whole.then_some(Self { origin, size, root }).ok_or(InvalidCheckpoint)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)
    }
}
