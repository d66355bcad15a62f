//! The threads that work on the audit log beside its writer: each reads what is on disk, and may wait for it.

use std::path::PathBuf;
use std::sync::Arc;

use audit::Journal;
use sinks::Feeding;

use crate::failure::Failure;
use crate::publishing::{self, Publishing};
use crate::scrubbing::{self, Scrubbing};
use crate::{delivering, indexing};

/// What each of them works with.
pub(crate) struct LogWork {
    pub(crate) log: PathBuf,
    pub(crate) journal: Arc<Journal>,
    pub(crate) publishing: Publishing,
    pub(crate) scrubbing: Scrubbing,
    pub(crate) indexed: Arc<indexing::Counts>,
    pub(crate) feeding: Feeding,
}

/// All of them, at work.
pub(crate) struct AtWork {
    publishing: publishing::Running,
    scrubbing: scrubbing::Running,
    indexing: indexing::Indexing,
    feeding: sinks::Running,
}

impl LogWork {
    pub(crate) fn start(self) -> Result<AtWork, Failure> {
        let Self { log, journal, publishing, scrubbing, indexed, feeding } = self;
        Ok(AtWork {
            publishing: publishing.start()?,
            scrubbing: scrubbing.start()?,
            indexing: indexing::start(log, journal, indexed)?,
            feeding: feeding.start().map_err(|error| Failure::broke("the sinks of the audit log", &error))?,
        })
    }
}

impl AtWork {
    /// Ends those that look at what is there; those that take the last records on go on. ORDER: before the log is closed.
    pub(crate) fn rest(self) -> Ending {
        let Self { publishing, scrubbing, indexing, feeding } = self;
        drop(indexing);
        scrubbing.end();
        Ending { publishing, feeding }
    }
}

/// Those that have something to do when the log is closed.
pub(crate) struct Ending {
    publishing: publishing::Running,
    feeding: sinks::Running,
}

impl Ending {
    /// Lets them sign for the last records, and deliver them.
    pub(crate) fn end(self) -> Result<(), Failure> {
        let published = self.publishing.end();
        delivering::end(self.feeding);
        published
    }
}
