use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::chains::Chains;
use crate::segment::commit::{Commit, Run};
use crate::segment::frame::{self, Kind};
use crate::segment::{self, Header, LogId, Segment};

/// The log as its one writer has it: everything up to the last commit is on disk, and what comes after is in memory.
#[derive(Debug)]
pub(crate) struct Log {
    directory: PathBuf,
    id: LogId,
    tip: Tip,
    /// Nothing after a failure, until [`Log::heal`].
    segment: Option<Segment>,
    batch: Vec<u8>,
    batched: u64,
    chain: u32,
    chains: Chains,
    /// When the segment was begun, in milliseconds since the Unix epoch.
    began: u64,
    /// Why a record could not be put into the batch: nothing of it is brought to disk then.
    spoilt: Option<io::Error>,
}

/// A segment that was closed for good.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed {
    /// The index of its first record.
    pub(crate) first: u64,
    /// How many it has.
    pub(crate) records: u64,
    /// How long it is.
    pub(crate) bytes: u64,
}

/// Where the log ends on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tip {
    /// The sequence of the last commit.
    pub(crate) sequence: u64,
    /// How many records there are.
    pub(crate) records: u64,
    /// The last checksum.
    pub(crate) chain: u32,
    /// The first index of the last segment.
    pub(crate) first: u64,
    /// How many bytes of it are committed.
    pub(crate) length: u64,
}

impl Log {
    /// Goes on with a log, of which the last segment is to be taken up by [`Log::heal`].
    pub(crate) const fn at(directory: PathBuf, id: LogId, tip: Tip, chains: Chains) -> Self {
        let chain = tip.chain;
        Self { directory, id, tip, segment: None, batch: Vec::new(), batched: 0, chain, chains, began: 0, spoilt: None }
    }

    pub(crate) const fn tip(&self) -> Tip {
        self.tip
    }

    pub(crate) const fn id(&self) -> LogId {
        self.id
    }

    /// Writes no more: what the log says of its end may be of the past from now on.
    pub(crate) fn let_go(&mut self) {
        self.discard();
        self.segment = None;
    }

    /// The sequence that the next commit will have.
    pub(crate) const fn next_sequence(&self) -> u64 {
        self.tip.sequence + 1
    }

    /// Puts a record into the batch.
    pub(crate) fn record(&mut self, payload: &[u8]) {
        match self.chains.link(payload) {
            Ok(record) => {
                frame::append(&mut self.batch, &mut self.chain, Kind::Record, record);
                self.batched += 1;
            }
            Err(error) => self.spoilt = Some(error),
        }
    }

    pub(crate) const fn batched(&self) -> u64 {
        self.batched
    }

    pub(crate) const fn batch_bytes(&self) -> usize {
        self.batch.len()
    }

    /// Forgets the batch: its records are still where they came from.
    pub(crate) fn discard(&mut self) {
        self.batch.clear();
        self.batched = 0;
        self.chain = self.tip.chain;
        self.chains.forget();
        self.spoilt = None;
    }

    /// Brings the batch to disk. ORDER: everything that is promised about a record is promised after this.
    ///
    /// # Errors
    /// When it could not be written or synced. The segment is then let go of: only [`Log::heal`] opens it again.
    pub(crate) fn commit(&mut self, runs: &[Run], at: SystemTime) -> io::Result<()> {
        if let Some(error) = self.spoilt.take() {
            self.discard();
            return Err(error);
        }
        let Some(segment) = &mut self.segment else {
            self.discard();
            return Err(io::Error::other("there is no segment to write to"));
        };
        let commit = Commit {
            offset: segment.length + self.batch.len() as u64,
            start: segment.length,
            sequence: self.tip.sequence + 1,
            records: self.tip.records + self.batched,
            at: milliseconds(at),
            runs: runs.to_vec(),
        };
        let payload = commit.encode(self.id);
        frame::append(&mut self.batch, &mut self.chain, Kind::Commit, &payload);
        let written = segment.append(&self.batch);
        let length = segment.length;
        if written.is_ok() {
            self.tip =
                Tip { sequence: commit.sequence, records: commit.records, chain: self.chain, length, ..self.tip };
            self.chains.keep();
        } else {
            self.segment = None;
        }
        self.discard();
        written
    }

    /// Whether the segment is to be closed for good: it is large, or there is something in it, and it is old.
    pub(crate) fn is_full(&self, most: u64, longest: Duration, now: SystemTime) -> bool {
        let old = u128::from(milliseconds(now).saturating_sub(self.began)) >= longest.as_millis();
        self.tip.length >= most || old && self.tip.records > self.tip.first
    }

    /// Seals the segment and begins the next one.
    ///
    /// # Errors
    /// As [`Log::commit`].
    pub(crate) fn roll(&mut self, runs: &[Run], at: SystemTime) -> io::Result<Sealed> {
        let Tip { records, first, length, .. } = self.tip;
        match self.segment.take() {
            Some(segment) => segment.seal()?,
            None => return Err(io::Error::other("there is no segment to seal")),
        }
        self.chains.save(&self.directory, self.id, self.tip.records);
        self.begin(runs, at)?;
        Ok(Sealed { first, records: records - first, bytes: length })
    }

    /// Opens the log from scratch after a failure: cuts what was not committed, seals, and begins a new segment.
    ///
    /// # Errors
    /// When the reason of the failure is still there.
    pub(crate) fn heal(&mut self, runs: &[Run], at: SystemTime) -> io::Result<()> {
        self.discard();
        let segment = Segment::resume(&self.directory, self.tip.first, self.tip.length)?;
        if self.tip.records == self.tip.first {
            self.segment = Some(segment); // it has no record, so the new one would have its name
            return Ok(());
        }
        segment.seal()?;
        self.begin(runs, at)
    }

    /// Takes up the last segment where it ends.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        self.began = segment::header(&self.directory, self.tip.first)?.created;
        self.segment = Some(Segment::resume(&self.directory, self.tip.first, self.tip.length)?);
        Ok(())
    }

    /// Begins the next segment: header and a first commit, so that a segment that is there says all by itself how the
    /// lanes stand.
    pub(crate) fn begin(&mut self, runs: &[Run], at: SystemTime) -> io::Result<()> {
        let header = Header { log: self.id, first: self.tip.records, created: milliseconds(at), chain: self.tip.chain };
        let mut bytes = header.encode().to_vec();
        let (_, mut chain) = Header::decode(&bytes).map_err(io::Error::other)?;
        let commit = Commit {
            offset: bytes.len() as u64,
            start: bytes.len() as u64,
            sequence: self.tip.sequence + 1,
            records: self.tip.records,
            at: header.created,
            runs: runs.to_vec(),
        };
        frame::append(&mut bytes, &mut chain, Kind::Commit, &commit.encode(self.id));
        let segment = Segment::create(&self.directory, header.first, &bytes)?;
        self.tip = Tip {
            sequence: commit.sequence,
            records: commit.records,
            chain,
            first: header.first,
            length: segment.length,
        };
        self.chain = chain;
        self.segment = Some(segment);
        self.began = header.created;
        Ok(())
    }

    /// The file that is written now, for messages.
    pub(crate) fn segment_path(&self) -> PathBuf {
        self.segment
            .as_ref()
            .map_or_else(|| crate::segment::path(&self.directory, self.tip.first), |segment| segment.path().into())
    }
}

fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
