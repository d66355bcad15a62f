//! The index: which records of a sealed segment say what, so that a query reads those and no others.
//!
//! `index/<index of the segment's first record, 20 digits>.idx` beside the segments, one for each segment that will never
//! change. It is made of the records, may be lost, and can be made again.
//!
//! *It is never believed more than it must be.* It only says where to look: each record that it names is read from its
//! segment, with its checksums, and asked again whether it fits. What it could do is hide one. So it is bound to its
//! segment by the log's id, the length and the last checksum, which stands for all bytes before it; it has a tag that only
//! the log's key makes, and each of its pages a hash; and where anything of that does not fit, the segment is read as if
//! there were no index. Whoever has no key reads everything.
//!
//! What was not understood when it was made, is named for every question.

mod build;
mod form;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use roaring::RoaringBitmap;

use crate::segment::{self, HEADER, Header};
use crate::{LogKey, ReadError};

pub(crate) use form::{Block, Field, Head};

/// Makes the index of a log.
#[derive(Debug)]
pub struct Indexer {
    directory: PathBuf,
    key: LogKey,
    /// The first segments, which were found to have a fitting index.
    well: std::collections::HashSet<u64>,
}

/// Why a segment has no index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A file or folder cannot be read or written.
    #[error("cannot index with `{0}`")]
    Io(PathBuf, #[source] io::Error),
    /// The segment cannot be read.
    #[error("what cannot be read cannot be indexed")]
    Read(#[from] ReadError),
}

/// An index of one segment that was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Indexed {
    /// How many records the segment has.
    pub records: u64,
    /// How many bytes the index has.
    pub bytes: u64,
}

impl Indexer {
    /// For the log in this directory, whose key tags the index.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn open(directory: &Path) -> Result<Self, crate::LogKeyError> {
        let key = LogKey::read(directory)?;
        Ok(Self { directory: directory.to_owned(), key, well: std::collections::HashSet::new() })
    }

    /// The sealed segments without an index that fits them, the oldest first. What is left of segments that are gone is
    /// taken away.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn wanted(&mut self) -> Result<Vec<u64>, IndexError> {
        let sealed = sealed(&self.directory).map_err(|error| IndexError::Io(self.directory.clone(), error))?;
        self.sweep(&sealed);
        self.well.retain(|first| sealed.contains(first));
        let mut wanted = Vec::new();
        for first in sealed {
            if self.well.contains(&first) {
                continue;
            }
            if Reading::open(&self.directory, first, &self.key).is_some() {
                self.well.insert(first);
            } else {
                wanted.push(first);
            }
        }
        Ok(wanted)
    }

    /// Makes the index of one of them.
    ///
    /// # Errors
    /// The segment cannot be read as a whole, or the index not be written.
    pub fn make(&mut self, first: u64) -> Result<Indexed, IndexError> {
        let (records, bytes) = self.bytes(first)?;
        let (path, folder) = (path(&self.directory, first), folder(&self.directory));
        let draft = path.with_extension("new");
        let written =
            make_folder(&folder).and_then(|()| fs::write(&draft, &bytes)).and_then(|()| fs::rename(&draft, &path)); // a part of it that a crash leaves has no tag
        written.map_err(|error| IndexError::Io(path, error))?;
        self.well.insert(first);
        Ok(Indexed { records, bytes: bytes.len() as u64 })
    }

    /// Whether the index of a segment, if there is one that fits, says what the records say. Reads all of them.
    ///
    /// # Errors
    /// The segment cannot be read.
    pub fn is_right(&self, first: u64) -> Result<bool, IndexError> {
        let Ok(kept) = fs::read(path(&self.directory, first)) else { return Ok(true) };
        if Reading::open(&self.directory, first, &self.key).is_none() {
            return Ok(true); // nobody looks into it
        }
        Ok(self.bytes(first)?.1 == kept)
    }

    /// All segments that will not change any more.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn sealed(&self) -> Result<Vec<u64>, IndexError> {
        sealed(&self.directory).map_err(|error| IndexError::Io(self.directory.clone(), error))
    }

    /// Up to which record there is an index without a gap, as far as that is known from [`Indexer::wanted`].
    #[must_use]
    pub fn reaches(&self) -> u64 {
        let Ok(segments) = segment::list(&self.directory) else { return 0 };
        segments.into_iter().find(|first| !self.well.contains(first)).unwrap_or_default()
    }

    fn bytes(&self, first: u64) -> Result<(u64, Vec<u8>), IndexError> {
        let (head, fields) = build::read(&self.directory, first)?;
        Ok((u64::from(head.records), form::encode(head, fields, &self.key)))
    }

    fn sweep(&self, sealed: &[u64]) {
        let Ok(entries) = fs::read_dir(folder(&self.directory)) else { return };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let first = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            if !first.is_some_and(|first| sealed.contains(&first)) {
                drop(fs::remove_file(path)); // it stays, then; nobody reads it
            }
        }
    }
}

/// An index that fits its segment, while it is asked.
#[derive(Debug)]
pub(crate) struct Reading {
    file: File,
    pub(crate) head: Head,
    pub(crate) segment: File,
    pub(crate) segment_path: PathBuf,
}

impl Reading {
    /// FAIL CLOSED: nothing, whatever does not fit; the records are read then.
    pub(crate) fn open(directory: &Path, first: u64, key: &LogKey) -> Option<Self> {
        let file = File::open(path(directory, first)).ok()?;
        let head = form::head(&file, key)?;
        let segment_path = segment::path(directory, first);
        let segment = File::open(&segment_path).ok()?;
        let mut bytes = [0; HEADER];
        segment.read_exact_at(&mut bytes, 0).ok()?;
        let (header, _) = Header::decode(&bytes).ok()?;
        let mut last = [0; 4];
        segment.read_exact_at(&mut last, head.last.checked_add(4)?).ok()?;
        let fits = header.log == head.log
            && header.first == first
            && head.first == first
            && segment.metadata().ok()?.len() == head.length
            && u32::from_le_bytes(last) == head.chain;
        fits.then_some(Self { file, head, segment, segment_path })
    }

    /// The records with one of these values.
    pub(crate) fn any_of<'v>(&self, field: Field, values: impl IntoIterator<Item = &'v str>) -> Option<RoaringBitmap> {
        let mut found = RoaringBitmap::new();
        for value in values {
            found |= form::find(&self.file, &self.head, field, value.as_bytes())?;
        }
        Some(found)
    }

    /// Every value of a field.
    pub(crate) fn values(&self, field: Field) -> Option<Vec<String>> {
        form::values(&self.file, &self.head, field)
    }
}

/// The segments that are followed by another one. The last may still grow, and may be taken up again.
fn sealed(directory: &Path) -> io::Result<Vec<u64>> {
    let mut segments = segment::list(directory)?;
    segments.pop();
    Ok(segments)
}

fn folder(directory: &Path) -> PathBuf {
    directory.join("index")
}

fn path(directory: &Path, first: u64) -> PathBuf {
    folder(directory).join(format!("{first:020}.idx"))
}

fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
