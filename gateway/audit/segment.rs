//! One segment: a file of the log. `segments/<index of its first record, 20 digits>.seg`.
//!
//! A header of 64 bytes, then frames ([`frame`]) in batches that each end with a commit ([`commit`]). The payload of a
//! record's frame is the record: the exact bytes that will be the leaf of the tree. A record's index is its place in the
//! log and stands nowhere.

pub(crate) mod batches;
pub(crate) mod commit;
pub(crate) mod frame;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

/// Names one log for good: what belongs to another one never passes.
pub(crate) type LogId = [u8; 16];

const MAGIC: &[u8; 8] = b"clstrseg";
const VERSION: u32 = 1;
pub(crate) const HEADER: usize = 64;
const CHUNK: u64 = 4 << 20;

/// The first 64 bytes: `magic 8 | version u32le | chain u32le | log 16 | first u64le | created u64le | zeros 12 | crc32c`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) log: LogId,
    /// The index of the first record.
    pub(crate) first: u64,
    /// Milliseconds since the Unix epoch.
    pub(crate) created: u64,
    /// The last checksum of the segment before this one: it was not shortened or changed since.
    pub(crate) chain: u32,
}

/// Why the beginning of a file is not the header of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidHeader {
    /// Its checksum does not fit, or it is cut off.
    #[error("the header is damaged")]
    Damaged,
    /// It is something else.
    #[error("this is not a segment of an audit log")]
    Foreign,
    /// A later version of this program wrote it.
    #[error("version {0} of the format is not known to this build")]
    Version(u32),
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let fields = MAGIC
            .iter()
            .copied()
            .chain(VERSION.to_le_bytes())
            .chain(self.chain.to_le_bytes())
            .chain(self.log)
            .chain(self.first.to_le_bytes())
            .chain(self.created.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        if let Some((body, checksum)) = bytes.split_last_chunk_mut::<4>() {
            *checksum = crc32c::crc32c(body).to_le_bytes();
        }
        bytes
    }

    /// Reads a header. Answers also what the checksum of the first frame goes on from.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, u32), InvalidHeader> {
        let bytes = bytes.first_chunk::<HEADER>().ok_or(InvalidHeader::Damaged)?;
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(InvalidHeader::Damaged)?;
        let rest = body.strip_prefix(MAGIC).ok_or(InvalidHeader::Foreign)?;
        let chain = crc32c::crc32c(body);
        if chain != u32::from_le_bytes(*checksum) {
            return Err(InvalidHeader::Damaged);
        }
        let read = |at: usize| {
            let word = rest.get(at..).and_then(|rest| rest.first_chunk::<8>());
            word.copied().map(u64::from_le_bytes).ok_or(InvalidHeader::Damaged)
        };
        let word = read(0)?.to_le_bytes();
        let [a, b, c, d, e, f, g, h] = word;
        match u32::from_le_bytes([a, b, c, d]) {
            VERSION => {}
            other => return Err(InvalidHeader::Version(other)),
        }
        let log = rest.get(8..24).and_then(|log| log.first_chunk::<16>());
        let header = Self {
            log: *log.ok_or(InvalidHeader::Damaged)?,
            first: read(24)?,
            created: read(32)?,
            chain: u32::from_le_bytes([e, f, g, h]),
        };
        Ok((header, chain))
    }
}

/// The file of the segment that begins with this index.
pub(crate) fn path(directory: &Path, first: u64) -> PathBuf {
    directory.join("segments").join(format!("{first:020}.seg"))
}

/// The header of the segment that begins with this index.
pub(crate) fn header(directory: &Path, first: u64) -> io::Result<Header> {
    let mut bytes = [0; HEADER];
    File::open(path(directory, first))?.read_exact_at(&mut bytes, 0)?;
    Header::decode(&bytes).map(|(header, _)| header).map_err(io::Error::other)
}

/// The segments of the log in this directory by their first index, in order.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory.join("segments"))? {
        let name = entry?.file_name();
        let first = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        segments.extend(first.filter(|digits| digits.len() == 20).and_then(|digits| digits.parse::<u64>().ok()));
    }
    segments.sort_unstable();
    Ok(segments)
}

/// The segment that is being written. It writes at the end alone, and forgets its file at the first error: what the
/// page cache holds after a failed sync is not to be trusted.
#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
    path: PathBuf,
    /// The bytes that are known to be on disk.
    pub(crate) length: u64,
    allocated: u64,
}

impl Segment {
    /// Makes a segment whose first bytes are these, on disk when this returns.
    pub(crate) fn create(directory: &Path, first: u64, bytes: &[u8]) -> io::Result<Self> {
        let path = path(directory, first);
        let leftover = fs::remove_file(&path); // a creation that failed: nothing in the log has this index yet
        if let Err(error) = leftover
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let mut segment = Self { file, path, length: 0, allocated: 0 };
        segment.append(bytes)?;
        segment.file.sync_all()?;
        sync_directory(&directory.join("segments"))?;
        Ok(segment)
    }

    /// Takes up an existing segment again, on a new descriptor, with everything behind its last commit cut off.
    pub(crate) fn resume(directory: &Path, first: u64, length: u64) -> io::Result<Self> {
        let path = path(directory, first);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?; // it may have been sealed
        let file = fs::OpenOptions::new().write(true).open(&path)?;
        if file.metadata()?.len() < length {
            return Err(io::Error::other("the segment has become shorter than what was committed to it"));
        }
        file.set_len(length)?;
        file.sync_all()?;
        Ok(Self { file, path, length, allocated: length })
    }

    /// Appends a batch, on disk when this returns.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.length + bytes.len() as u64;
        self.reserve(end)?;
        self.file.write_all_at(bytes, self.length)?;
        self.file.sync_data()?;
        self.length = end;
        Ok(())
    }

    /// Closes the segment for good.
    pub(crate) fn seal(self) -> io::Result<()> {
        self.file.set_len(self.length)?; // gives back what was reserved beyond the end
        self.file.set_permissions(fs::Permissions::from_mode(0o440))?;
        self.file.sync_all()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes space on the disk before it is written to, so that a full disk is met before a record is half written.
    fn reserve(&mut self, end: u64) -> io::Result<()> {
        if end <= self.allocated {
            return Ok(());
        }
        let length = (end - self.length).max(CHUNK.min(self.length + 65_536)); // small logs stay small
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.length, length) {
            Ok(()) => self.allocated = self.length + length,
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {} // the write will meet it
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
