//! What can be wrong with an audit log, each with an exit code of its own: for scripts, which read no sentences.

use std::error::Error;
use std::io;

use audit::{Fault, InvalidHeader, OpenError, ReadError, Report};
use ledger::{Checked, Difference, LedgerError};

/// What is wrong, as an exit code says it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum LogFault {
    /// Bytes are not as they were written.
    Changed = 20,
    /// Its end is missing.
    CutOff = 21,
    /// A segment is missing.
    Missing = 22,
    /// A file belongs to another log, or is none of a log.
    Foreign = 23,
    /// Records are missing or doubled, as their counts and chains say.
    Counts = 24,
    /// The records, or what is published of them, are not what the checkpoint says.
    Unlike = 25,
    /// The checkpoint is missing, or not signed by whom it should be.
    Unsigned = 26,
    /// Another process writes to it.
    Busy = 27,
    /// The disk is full.
    Full = 28,
    /// The disk cannot be written to.
    ReadOnly = 29,
    /// The disk failed otherwise.
    Disk = 30,
}

/// What the help text says of them.
pub(crate) const HELP: &str = "\
What is wrong with an audit log, where a command or a start ends for it:
  20  bytes are not as they were written          26  there is no checkpoint, or another key has signed it
  21  its end is missing                          27  another process writes to it
  22  a segment is missing                        28  its disk is full
  23  a file is of another log, or of none        29  its disk cannot be written to
  24  records are missing or doubled              30  its disk failed otherwise
  25  it is not what its checkpoint says";

impl LogFault {
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// What is wrong first with a log that was looked at.
    pub(crate) fn of(report: &Report, checked: Option<&Checked>) -> Option<Self> {
        let first = report.problems.first().map(|problem| Self::of_fault(&problem.what));
        let differences = || checked?.differences.iter().map(Self::of_difference).min_by_key(|fault| fault.rank());
        first.or_else(differences)
    }

    /// What explains the others comes first: where the end is missing, tiles differ, too.
    const fn rank(self) -> u8 {
        match self {
            Self::Unsigned => 0,
            Self::CutOff => 1,
            Self::Busy
            | Self::Changed
            | Self::Counts
            | Self::Disk
            | Self::Foreign
            | Self::Full
            | Self::Missing
            | Self::ReadOnly
            | Self::Unlike => 2,
        }
    }

    const fn of_fault(fault: &Fault) -> Self {
        match fault {
            Fault::Damaged(_) | Fault::Count { .. } | Fault::Back | Fault::Record(_) => Self::Changed,
            Fault::Header(invalid) => Self::of_header(*invalid),
            Fault::Trailing(_) | Fault::Order => Self::CutOff,
            Fault::Missing { .. } => Self::Missing,
            Fault::Foreign => Self::Foreign,
            Fault::Chain { .. }
            | Fault::Duplicate(_)
            | Fault::Finals { .. }
            | Fault::Requests { .. }
            | Fault::Unfinished(_) => Self::Counts,
        }
    }

    const fn of_header(invalid: InvalidHeader) -> Self {
        match invalid {
            InvalidHeader::Damaged => Self::Changed,
            InvalidHeader::Foreign | InvalidHeader::Version(_) => Self::Foreign,
        }
    }

    pub(crate) fn of_difference(difference: &Difference) -> Self {
        match difference {
            Difference::Checkpoint(_) | Difference::Stranger { .. } | Difference::Unsigned => Self::Unsigned,
            Difference::Shorter { .. } => Self::CutOff,
            Difference::Content(_)
            | Difference::Foreign(_)
            | Difference::Forked { .. }
            | Difference::Missing(_)
            | Difference::Root { .. }
            | Difference::Unproven(_) => Self::Unlike,
            Difference::Unread(_, error) => Self::of_io(error),
        }
    }

    pub(crate) fn of_read(error: &ReadError) -> Self {
        match error {
            ReadError::Damaged { .. } => Self::Changed,
            ReadError::Foreign(_) => Self::Foreign,
            ReadError::Header(_, invalid) => Self::of_header(*invalid),
            ReadError::Io(_, error) => Self::of_io(error),
            ReadError::Missing { .. } => Self::Missing,
            ReadError::Order(_) => Self::CutOff,
        }
    }

    pub(crate) fn of_io(error: &io::Error) -> Self {
        let kind = error.kind();
        if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::Full
        } else if kind == io::ErrorKind::ReadOnlyFilesystem {
            Self::ReadOnly
        } else {
            Self::Disk
        }
    }

    /// Nothing, if it is the settings that are wrong, and not the log.
    pub(crate) fn of_open(error: &OpenError) -> Option<Self> {
        match error {
            OpenError::Corrupt { .. } => Some(Self::Changed),
            OpenError::Io { source, .. } => Some(Self::of_io(source)),
            OpenError::Locked(_) => Some(Self::Busy),
            OpenError::Read(error) => Some(Self::of_read(error)),
            OpenError::Instance(_) | OpenError::Key(_) | OpenError::Small => None,
        }
    }

    pub(crate) fn of_ledger(error: &LedgerError) -> Self {
        match error {
            LedgerError::Busy(_) => Self::Busy,
            LedgerError::Checkpoint(..) => Self::Unsigned,
            LedgerError::Forked { .. } | LedgerError::Pruned(_) => Self::Unlike,
            LedgerError::Io { source, .. } => Self::of_io(source),
            LedgerError::Read(error) => Self::of_read(error),
            LedgerError::Shorter { .. } => Self::CutOff,
        }
    }
}

/// A log that cannot be opened.
pub(crate) fn unopened(error: &OpenError) -> crate::failure::Failure {
    failure("the audit log cannot be opened", LogFault::of_open(error), error)
}

/// What a command or a start ends with.
pub(crate) fn failure(what: &str, fault: Option<LogFault>, error: &(dyn Error + 'static)) -> crate::failure::Failure {
    use crate::failure::Failure;
    match fault {
        Some(fault) => Failure::Log(fault, Some(format!("{what}: {}", terms::chain(error)))),
        None => Failure::setup(what, error),
    }
}
