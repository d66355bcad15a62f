use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tlog::Hash;

use crate::batch::LogId;
use crate::settings::Name;

/// How far a sink has come in a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cursor {
    /// The record that comes next.
    pub next: u64,
    /// The leaf hash of the one before it: shows that this is the log that was delivered from.
    pub leaf: Option<Hash>,
}

/// Why it is not known how far a sink has come.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// The log has fewer records than were delivered.
    #[error(
        "sink `{sink}` has delivered records up to {next}, and the log has {records}: it was set back. Put the log back; \
         or delete `{path}`, and it begins anew"
    )]
    Ahead {
        /// Which sink.
        sink: Name,
        /// How many it has delivered.
        next: u64,
        /// How many there are.
        records: u64,
        /// Where that stands.
        path: PathBuf,
    },
    /// The log holds another record in the place of the last one that was delivered.
    #[error(
        "sink `{sink}` has delivered another record {index} than the one in the log: it is not the log that it was. Put the \
         log back; or delete `{path}`, and it begins anew"
    )]
    Differs {
        /// Which sink.
        sink: Name,
        /// Which record.
        index: u64,
        /// Where that stands.
        path: PathBuf,
    },
    /// Records were pruned that this sink has not delivered.
    #[error(
        "the records from {next} to {first} are gone from the log, and sink `{sink}` has not delivered them. To do without \
         them, delete `{path}`: it begins anew with what there is"
    )]
    Gone {
        /// Which sink.
        sink: Name,
        /// Which record would have come next.
        next: u64,
        /// The first that there is.
        first: u64,
        /// Where that stands.
        path: PathBuf,
    },
    /// The file is not what we write, or another's.
    #[error(
        "`{path}` does not say how far sink `{sink}` has come in this log: put it back as it was; or delete it, and it begins \
         anew"
    )]
    Unreadable {
        /// Which sink.
        sink: Name,
        /// The file.
        path: PathBuf,
    },
    /// A file of the state folder.
    #[error("`{0}` cannot be read or written")]
    Io(PathBuf, #[source] io::Error),
}

/// `sinks/<id of the log>.<name>.*` in the state folder. While it is held, no other process delivers for this sink.
#[derive(Debug)]
pub(crate) struct Kept {
    folder: PathBuf,
    log: LogId,
    sink: Name,
    _lock: File,
}

impl Kept {
    /// `None`: another process holds it.
    pub(crate) fn hold(state: &Path, log: LogId, sink: Name) -> Result<Option<Self>, CursorError> {
        let folder = state.join("sinks");
        let path = folder.join(format!("{log}.{sink}.lock"));
        let failed = |error| CursorError::Io(path.clone(), error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { folder, log, sink, _lock: lock })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(failed(error.into())),
        }
    }

    pub(crate) fn path(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{}.{}.{what}", self.log, self.sink))
    }

    /// What was put down last.
    pub(crate) fn read(&self) -> Result<Option<Cursor>, CursorError> {
        let path = self.path("cursor");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CursorError::Io(path, error)),
        };
        // FAIL CLOSED: what does not read as we have written it says nothing.
        let cursor = std::str::from_utf8(&text).ok().and_then(|text| self.parse(text));
        cursor.map(Some).ok_or_else(|| CursorError::Unreadable { sink: self.sink.clone(), path })
    }

    fn parse(&self, text: &str) -> Option<Cursor> {
        let mut lines = text.lines();
        let next = lines.nth(3)?.strip_prefix("next ")?.parse().ok()?;
        let leaf = match lines.next()?.strip_prefix("leaf ")? {
            "-" => None,
            leaf => Some(leaf.parse().ok()?),
        };
        let cursor = Cursor { next, leaf };
        (self.text(&cursor) == text).then_some(cursor)
    }

    fn text(&self, cursor: &Cursor) -> String {
        let leaf = cursor.leaf.map_or_else(|| "-".into(), |leaf| leaf.to_string());
        format!("cloister sink v1\nlog {}\nsink {}\nnext {}\nleaf {leaf}\n", self.log, self.sink, cursor.next)
    }

    /// Puts it down: on disk when this is done.
    pub(crate) fn advance(&self, cursor: &Cursor) -> Result<(), CursorError> {
        let (path, draft) = (self.path("cursor"), self.path("cursor.new"));
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all(self.text(cursor).as_bytes())?;
            file.sync_all()?;
            // ORDER: the content is there before it has the name.
            fs::rename(&draft, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| CursorError::Io(path.clone(), error))
    }

    /// Adds a line to what was set aside: on disk when this is done.
    pub(crate) fn set_aside(&self, line: &str) -> Result<(), CursorError> {
        let path = self.path("refused");
        let write = || {
            let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
            file.write_all(line.as_bytes())?;
            file.sync_all()?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| CursorError::Io(path.clone(), error))
    }

    pub(crate) fn ahead(&self, next: u64, records: u64) -> CursorError {
        CursorError::Ahead { sink: self.sink.clone(), next, records, path: self.path("cursor") }
    }

    pub(crate) fn differs(&self, index: u64) -> CursorError {
        CursorError::Differs { sink: self.sink.clone(), index, path: self.path("cursor") }
    }

    pub(crate) fn gone(&self, next: u64, first: u64) -> CursorError {
        CursorError::Gone { sink: self.sink.clone(), next, first, path: self.path("cursor") }
    }
}
