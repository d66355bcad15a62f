use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::row::{InvalidRecord, Row};
use crate::segment::batches::{Batches, Flaw};
use crate::segment::{self, HEADER, Header, InvalidHeader};

/// How many bytes are read at once; more where a batch has more.
const STEP: usize = 1 << 20;

/// One record and its place in the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// Its place: the first record has 0.
    pub index: u64,
    /// Its bytes, as they were written.
    pub json: Vec<u8>,
}

impl Stored {
    /// What it says.
    ///
    /// # Errors
    /// When the bytes are not a record.
    pub fn row(&self) -> Result<Row<'_>, InvalidRecord> {
        Row::parse(&self.json)
    }
}

/// The records of a log, in order: those that are on disk, nothing that is still being written. Takes no lock, so it
/// works beside the gateway as well as on a copy.
///
/// After `None` it may be asked again: more may have come. After an error it goes on behind the place that is damaged.
#[derive(Debug)]
pub struct Reader {
    directory: PathBuf,
    at: Option<At>,
    /// The index of the next record.
    index: u64,
    /// Records before this one are passed over.
    wanted: u64,
    /// So many records are on disk for good, as far as is known.
    durable: u64,
    /// Whether what follows the segment that it is in is not to be read.
    alone: bool,
    ready: VecDeque<Stored>,
}

#[derive(Debug)]
struct At {
    first: u64,
    path: PathBuf,
    file: File,
    log: segment::LogId,
    offset: u64,
    chain: u32,
}

/// Why a part of the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Bytes that were committed are not as they were written.
    #[error("`{segment}` is damaged at byte {offset}, from record {index} on: {damage}")]
    Damaged {
        /// The file.
        segment: PathBuf,
        /// Where.
        offset: u64,
        /// The first record that may be missing.
        index: u64,
        /// What is wrong there.
        damage: crate::Damage,
    },
    /// A segment is of another log than the one before it.
    #[error("`{0}` is of another log")]
    Foreign(PathBuf),
    /// A file does not begin as a segment does.
    #[error("`{0}` is not a readable segment")]
    Header(PathBuf, #[source] InvalidHeader),
    /// A file or folder cannot be read.
    #[error("cannot read `{0}`")]
    Io(PathBuf, #[source] io::Error),
    /// Records are missing between two segments.
    #[error("`{segment}` begins with record {found}, where {expected} was expected")]
    Missing {
        /// The later of the two.
        segment: PathBuf,
        /// The record that would have come next.
        expected: u64,
        /// The record that comes.
        found: u64,
    },
    /// The segment before this one was shortened, or changed with everything in it.
    #[error("`{0}` does not follow the segment before it, which was shortened or changed")]
    Order(PathBuf),
}

impl Reader {
    /// Reads the log in this directory from its first record.
    ///
    /// # Errors
    /// When there is no log.
    pub fn open(directory: &Path) -> Result<Self, ReadError> {
        let reader = Self {
            directory: directory.to_owned(),
            at: None,
            index: 0,
            wanted: 0,
            durable: u64::MAX,
            alone: false,
            ready: VecDeque::new(),
        };
        reader.segments()?;
        Ok(reader)
    }

    /// Reads the log in this directory from this record on, or from its first, if those before it have been pruned.
    ///
    /// # Errors
    /// When there is no log, or the segment with that record cannot be read.
    pub fn from(directory: &Path, index: u64) -> Result<Self, ReadError> {
        let mut reader = Self::open(directory)?;
        if let Some(first) = reader.segments()?.into_iter().rfind(|first| *first <= index) {
            reader.enter(first)?;
            reader.wanted = index;
        }
        Ok(reader)
    }

    /// Reads the segment that begins with this record, and no other.
    pub(crate) fn of_segment(directory: &Path, first: u64) -> Result<Self, ReadError> {
        let mut reader = Self::open(directory)?;
        reader.alone = true;
        reader.enter(first)?;
        Ok(reader)
    }

    /// Reads nothing of what is not yet on disk for good: of the log that this process writes, so many records are. A batch
    /// that comes behind them may be cut off again, and its records written anew with other words.
    pub const fn stop_at(&mut self, durable: u64) {
        self.durable = durable;
    }

    /// The record that comes next.
    pub(crate) const fn next_index(&self) -> u64 {
        self.index
    }

    /// Reads only what comes from now on.
    ///
    /// # Errors
    /// When there is no log, or its last segment cannot be read.
    pub fn follow(directory: &Path) -> Result<Self, ReadError> {
        let mut reader = Self::open(directory)?;
        if let Some(last) = reader.segments()?.last() {
            reader.enter(*last)?;
            while reader.fill()? {
                reader.ready.clear();
            }
        }
        Ok(reader)
    }

    /// The index of the first record that is left: those before it have been pruned. `None`, if there is no segment.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn first_index(directory: &Path) -> Result<Option<u64>, ReadError> {
        Ok(Self::open(directory)?.segments()?.first().copied())
    }

    /// The last record of the log in this directory.
    ///
    /// # Errors
    /// There is no log, or its last segments cannot be read.
    pub fn last(directory: &Path) -> Result<Option<Stored>, ReadError> {
        for first in Self::open(directory)?.segments()?.into_iter().rev() {
            if let Some(last) = Self::of_segment(directory, first)?.last() {
                return last.map(Some);
            }
        }
        Ok(None)
    }

    /// What names this log for good, whatever folder it lies in: 16 bytes by chance. `None`, if it has no segment.
    ///
    /// # Errors
    /// Its first segment cannot be read.
    pub fn log_id(directory: &Path) -> Result<Option<[u8; 16]>, ReadError> {
        let mut reader = Self::open(directory)?;
        reader.next_segment()?;
        Ok(reader.at.map(|at| at.log))
    }

    fn segments(&self) -> Result<Vec<u64>, ReadError> {
        segment::list(&self.directory).map_err(|error| ReadError::Io(self.directory.clone(), error))
    }

    /// Makes records ready. Answers whether it could.
    fn fill(&mut self) -> Result<bool, ReadError> {
        if self.at.is_none() && !self.next_segment()? {
            return Ok(false);
        }
        loop {
            if self.index >= self.durable {
                return Ok(false);
            }
            if self.batch()? {
                return Ok(true);
            }
            let Some(next) = self.after_this()? else {
                return Ok(false);
            };
            if self.batch()? {
                return Ok(true); // it came between the two looks, before the segment was sealed
            }
            self.enter(next)?;
        }
    }

    fn next_segment(&mut self) -> Result<bool, ReadError> {
        match self.segments()?.first() {
            Some(first) => {
                self.index = *first; // what came before it has been pruned
                self.enter(*first)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn after_this(&self) -> Result<Option<u64>, ReadError> {
        if self.alone {
            return Ok(None);
        }
        let this = self.at.as_ref().map_or(0, |at| at.first);
        Ok(self.segments()?.into_iter().find(|first| *first > this))
    }

    fn enter(&mut self, first: u64) -> Result<(), ReadError> {
        let path = segment::path(&self.directory, first);
        let failed = |error| ReadError::Io(path.clone(), error);
        let file = File::open(&path).map_err(failed)?;
        let mut header = [0; HEADER];
        let decoded = file.read_exact_at(&mut header, 0).map_err(failed).map(|()| Header::decode(&header));
        let expected = std::mem::replace(&mut self.index, first);
        let length = file.metadata().map_err(failed)?.len();
        let (log, chain, offset) = match &decoded {
            Ok(Ok((header, chain))) => (header.log, *chain, HEADER as u64),
            Ok(Err(_)) | Err(_) => ([0; 16], 0, length), // nothing in it can be read
        };
        let before = self.at.replace(At { first, path: path.clone(), file, log, offset, chain });
        let (header, _) = decoded?.map_err(|invalid| ReadError::Header(path.clone(), invalid))?;
        match before {
            Some(before) if before.log != header.log => Err(ReadError::Foreign(path)),
            Some(_) if expected != first => Err(ReadError::Missing { segment: path, expected, found: first }),
            Some(before) if before.chain != header.chain => Err(ReadError::Order(path)),
            Some(_) | None => Ok(()),
        }
    }

    /// Reads up to the next commit that has records before it.
    fn batch(&mut self) -> Result<bool, ReadError> {
        let Some(at) = &mut self.at else {
            return Ok(false);
        };
        let failed = |path: &Path, error| ReadError::Io(path.to_owned(), error);
        let length = at.file.metadata().map_err(|e| failed(&at.path, e))?.len();
        let mut bytes = Vec::new();
        let mut want = STEP;
        loop {
            let left = usize::try_from(length.saturating_sub(at.offset)).unwrap_or(usize::MAX);
            let start = bytes.len();
            bytes.resize(left.min(want), 0);
            let read = bytes.get_mut(start..).unwrap_or_default();
            let read = at.file.read_exact_at(read, at.offset + start as u64);
            if read.is_err() {
                return Ok(false); // a torn batch has been cut off since
            }
            for batch in Batches::new(&bytes, at.offset, 0, at.chain, at.log) {
                if self.index >= self.durable {
                    return Ok(!self.ready.is_empty());
                }
                match batch {
                    Ok(batch) => {
                        let indexed = (self.index..).zip(batch.records);
                        self.ready.extend(indexed.map(|(index, (_, json))| Stored { index, json: json.to_vec() }));
                        self.index = batch.commit.records;
                        (at.offset, at.chain) = (batch.end, batch.chain);
                    }
                    Err(Flaw::Torn { .. }) => break, // more of it may be in the rest, or come yet
                    Err(Flaw::Damaged { .. }) if !self.ready.is_empty() => return Ok(true), // met again next time
                    Err(Flaw::Damaged { offset, damage, found, end, chain }) => {
                        let index = std::mem::replace(&mut self.index, found.records);
                        (at.offset, at.chain) = (end, chain);
                        return Err(ReadError::Damaged { segment: at.path.clone(), offset, index, damage });
                    }
                }
            }
            if !self.ready.is_empty() {
                return Ok(true);
            }
            if bytes.len() >= left {
                return Ok(false);
            }
            (bytes, want) = (Vec::new(), want.saturating_mul(4));
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Stored, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.ready.pop_front() {
                Some(stored) if stored.index < self.wanted => {}
                Some(stored) => return Some(Ok(stored)),
                None => match self.fill() {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }
}
