use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tlog::{Hash, leaf_hash};

use crate::row::Row;
use crate::runs::{self, Run};
use crate::segment::batches::{Batches, Flaw};
use crate::segment::{self, HEADER, Header, InvalidHeader, LogId};
use crate::{Damage, row::InvalidRecord};

/// So many problems are listed; more are counted.
const LISTED: usize = 1_000;

/// What a look at every byte of a log has shown.
///
/// It shows that the log is whole as far as it goes. That it has not been cut at the end of a batch, it can only tell
/// from the outside: a log that was closed ends with `log.closed`.
#[derive(Debug, Default)]
pub struct Report {
    /// How many files.
    pub segments: u64,
    /// How many records.
    pub records: u64,
    /// How many of them are the final record of a request.
    pub finals: u64,
    /// How many of them are decisions.
    pub decided: u64,
    /// How many of them say that a request has begun to flow.
    pub opened: u64,
    /// How many of them are the log's own.
    pub own: u64,
    /// Requests that have no record, as the log says (`log.gap`): there was no room, or their process ended while they were judged.
    pub unrecorded: u64,
    /// Decisions and beginnings without a final record in runs that were cut off: a power cut can do that.
    pub undetermined: u64,
    /// The first record: its index and time.
    pub first: Option<(u64, String)>,
    /// The last record.
    pub last: Option<(u64, String)>,
    /// Whether the last record is `log.closed`.
    pub closed: bool,
    /// An unfinished batch at the end: the gateway is at it, or was when it ended. Not a problem.
    pub torn: Option<Torn>,
    /// What each process that wrote the log said of itself, in order.
    pub runs: Vec<Run>,
    /// What the log has of each tenant.
    pub tenants: BTreeMap<String, Slice>,
    /// What is wrong, the first thousand.
    pub problems: Vec<Problem>,
    /// How many more problems there are.
    pub more_problems: u64,
}

/// The records of one tenant: a chain, of which each says which it is and what the one before it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slice {
    /// Which the first is. Those before it have been pruned.
    pub first: u64,
    /// Which the last is.
    pub last: u64,
    /// How many there are.
    pub count: u64,
    /// The hash of the last.
    head: Hash,
}

/// An unfinished batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Torn {
    /// The file.
    pub segment: PathBuf,
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
}

/// Something that is not as the gateway writes it.
#[derive(Debug, thiserror::Error)]
#[error("`{segment}`, byte {offset}, record {index}")]
pub struct Problem {
    /// The file.
    pub segment: PathBuf,
    /// Where.
    pub offset: u64,
    /// The record there, or the one that would come next.
    pub index: u64,
    /// What is wrong.
    #[source]
    pub what: Fault,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A tenant's record does not say that it follows on the one before it.
    #[error(
        "this record of `{tenant}` does not follow on the one before it: it is its record {found}, and {expected} was to come"
    )]
    Chain {
        /// The tenant.
        tenant: String,
        /// Which it should be.
        expected: u64,
        /// Which it says that it is.
        found: u64,
    },
    /// A commit counts other records than there are.
    #[error("the commit here counts {found} records, where there are {expected}")]
    Count {
        /// How many there are.
        expected: u64,
        /// How many it counts.
        found: u64,
    },
    /// Bytes changed.
    #[error("{0}")]
    Damaged(Damage),
    /// A request has two final records.
    #[error("request {0} has a second final record")]
    Duplicate(String),
    /// A segment's beginning is not whole.
    #[error("the segment cannot be read")]
    Header(#[source] InvalidHeader),
    /// A segment is of another log.
    #[error("this segment is of another log")]
    Foreign,
    /// A segment is missing before this one.
    #[error("this segment begins with record {found}, and {expected} was to come next: one is missing before it")]
    Missing {
        /// The record that would have come next.
        expected: u64,
        /// The record that comes.
        found: u64,
    },
    /// The segment before this one was shortened, or this one is not what its name says.
    #[error("this segment does not follow the one before it, which was shortened or changed")]
    Order,
    /// A commit goes back, in its sequence or in a lane.
    #[error("this commit goes back behind an earlier one")]
    Back,
    /// A process counted other final records than the log has of it.
    #[error("the gateway counts {said} final records since it took the log up, and the log has {found}")]
    Finals {
        /// How many it counts.
        said: u64,
        /// How many there are.
        found: u64,
    },
    /// A process says that more requests came in than the log has records of.
    #[error("{requests} requests came in since the gateway took the log up, and {recorded} of them are on record")]
    Requests {
        /// How many came in.
        requests: u64,
        /// How many have their record, or are owned up to (`log.gap`).
        recorded: u64,
    },
    /// A record is not one.
    #[error("this is not a record")]
    Record(#[source] InvalidRecord),
    /// A decision or a beginning was recorded, the run was closed well, and there is no final record.
    #[error("request {0} has begun and has no final record")]
    Unfinished(String),
    /// A segment that is not the last ends with bytes that are not committed.
    #[error("{0} bytes at the end of a segment that was closed are not committed")]
    Trailing(u64),
}

/// Looks at every byte of the log in this directory, which may be in use or a copy.
///
/// Takes 16 bytes of memory for each request in the log, and as much as the largest segment.
///
/// # Errors
/// When a file or folder cannot be read at all.
pub fn verify(directory: &Path) -> io::Result<Report> {
    verify_from(directory, 0)
}

/// The same, but of the segments that come before that of this record nothing is read. What the others say of those, that a
/// request has no other final record there, or how many records a tenant has, cannot be looked at then.
///
/// # Errors
/// When a file or folder cannot be read at all.
pub fn verify_from(directory: &Path, index: u64) -> io::Result<Report> {
    let mut looking = Looking::default();
    let mut segments = segment::list(directory)?;
    let passed_over = segments.partition_point(|first| *first <= index).saturating_sub(1);
    let read = segments.split_off(passed_over);
    if !segments.is_empty() {
        looking.pruned = read.first().copied().unwrap_or(0); // not so, but nothing more is to be said of it
    }
    let segments = read;
    for (at, first) in segments.iter().enumerate() {
        let path = segment::path(directory, *first);
        let bytes = fs::read(&path)?;
        looking.segment(&path, *first, &bytes, at + 1 == segments.len());
    }
    looking.beginning(directory);
    looking.duplicates(directory, &segments)?;
    Ok(looking.report)
}

#[derive(Debug, Default)]
struct Looking {
    report: Report,
    log: Option<LogId>,
    /// Whether the log does not begin with its first record.
    is_pruned: bool,
    /// Up to where the log says that records were to go (`log.pruned`).
    pruned: u64,
    /// What the next segment's header must say of the last checksum, unless that cannot be known.
    chain: Option<u32>,
    index: u64,
    sequence: u64,
    /// How far each lane of each run is.
    lanes: BTreeMap<(u64, u16), u64>,
    finals: Vec<u128>,
    /// Requests that are decided or have begun to flow, and are not final, in this run.
    awaited: HashSet<u128>,
}

impl Looking {
    fn problem(&mut self, segment: &Path, offset: u64, what: Fault) {
        if self.report.problems.len() < LISTED {
            self.report.problems.push(Problem { segment: segment.to_owned(), offset, index: self.index, what });
        } else {
            self.report.more_problems += 1;
        }
    }

    /// What is missing at the beginning must be what the log says was to go: whoever removes more, or says nothing, is found.
    fn beginning(&mut self, directory: &Path) {
        let Some(found) = self.report.first.as_ref().map(|(index, _)| *index) else { return };
        if found > self.pruned {
            let expected = self.pruned;
            self.problem(&segment::path(directory, found), 0, Fault::Missing { expected, found });
        }
    }

    fn segment(&mut self, path: &Path, first: u64, bytes: &[u8], last: bool) {
        self.report.segments += 1;
        let (header, chain) = match Header::decode(bytes) {
            Ok(decoded) => decoded,
            Err(InvalidHeader::Damaged) if last && bytes.len() < HEADER => {
                self.report.torn = Some(Torn { segment: path.to_owned(), offset: 0, bytes: bytes.len() as u64 });
                return;
            }
            Err(invalid) => {
                self.problem(path, 0, Fault::Header(invalid));
                self.chain = None;
                return;
            }
        };
        // The first segment there is may follow others that were removed by plan.
        let expected = self.index;
        if self.log.is_some_and(|log| log != header.log) {
            self.problem(path, 0, Fault::Foreign);
        } else if self.log.is_some() && first != expected {
            self.problem(path, 0, Fault::Missing { expected, found: first });
        } else if self.chain.is_some_and(|chain| chain != header.chain) || header.first != first {
            self.problem(path, 0, Fault::Order);
        }
        self.is_pruned |= self.log.is_none() && first > 0;
        self.log = Some(header.log);
        self.index = first;
        self.chain = Some(chain);
        for batch in Batches::new(bytes, 0, HEADER, chain, header.log) {
            match batch {
                Ok(batch) => {
                    for (offset, json) in &batch.records {
                        self.record(path, *offset, json);
                    }
                    self.chain = Some(batch.chain);
                    self.commit(path, &batch.commit);
                }
                Err(Flaw::Damaged { offset, damage, found, chain, .. }) => {
                    self.problem(path, offset, Fault::Damaged(damage));
                    self.chain = Some(chain);
                    self.index = found.records;
                    self.commit(path, &found);
                }
                Err(Flaw::Torn { start, bytes, .. }) if last => {
                    self.report.torn = Some(Torn { segment: path.to_owned(), offset: start, bytes });
                }
                Err(Flaw::Torn { start, bytes, damage }) => {
                    let what = match damage {
                        Damage::Short => Fault::Trailing(bytes),
                        Damage::Checksum | Damage::Commit | Damage::Kind => Fault::Damaged(damage),
                    };
                    self.problem(path, start, what);
                }
            }
        }
    }

    fn commit(&mut self, path: &Path, commit: &crate::segment::commit::Commit) {
        if commit.records != self.index {
            let expected = self.index;
            self.problem(path, commit.offset, Fault::Count { expected, found: commit.records });
            self.index = commit.records;
        }
        let mut back = commit.sequence <= self.sequence;
        self.lanes.retain(|(epoch, _), _| commit.runs.iter().any(|run| run.epoch == *epoch));
        for run in &commit.runs {
            for (lane, position) in &run.lanes {
                back |= self.lanes.insert((run.epoch, *lane), *position).is_some_and(|before| before > *position);
            }
        }
        if back {
            self.problem(path, commit.offset, Fault::Back);
        }
        self.sequence = self.sequence.max(commit.sequence);
    }

    fn record(&mut self, path: &Path, offset: u64, json: &[u8]) {
        self.report.records += 1;
        self.report.closed = false;
        match Row::parse(json) {
            Ok(row) => {
                let edge = || Some((self.index, row.time.to_owned()));
                if self.report.first.is_none() {
                    self.report.first = edge();
                }
                self.report.last = edge();
                self.link(path, offset, &row, json);
                self.row(path, offset, &row);
            }
            Err(invalid) => self.problem(path, offset, Fault::Record(invalid)),
        }
        self.index += 1;
    }

    fn link(&mut self, path: &Path, offset: u64, row: &Row<'_>, json: &[u8]) {
        let Some(tenant) = row.tenant else { return };
        let (found, head) = (row.tseq.unwrap_or_default(), leaf_hash(json));
        let hash = row.tprev.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let before = self.report.tenants.get(tenant).copied();
        // What the first record that is left says of those before it cannot be looked at any more.
        let expected = before.map_or_else(|| if self.is_pruned { found.max(1) } else { 1 }, |slice| slice.last + 1);
        let follows = match before {
            Some(slice) => hash.as_deref() == Some(slice.head.as_bytes().as_slice()),
            None => hash.is_some() == (expected > 1),
        };
        if found != expected || !follows {
            self.problem(path, offset, Fault::Chain { tenant: tenant.to_owned(), expected, found });
        }
        let slice = before.map_or(Slice { first: found, last: found, count: 1, head }, |slice| Slice {
            last: found,
            count: slice.count + 1,
            head,
            ..slice
        });
        match self.report.tenants.get_mut(tenant) {
            Some(of_tenant) => *of_tenant = slice,
            None => drop(self.report.tenants.insert(tenant.to_owned(), slice)),
        }
    }

    fn row(&mut self, path: &Path, offset: u64, row: &Row<'_>) {
        for what in runs::follow(&mut self.report.runs, self.index, row) {
            self.problem(path, offset, what);
        }
        if let Some(id) = row.request_id().map(terms::RequestId::as_u128) {
            match row.stage {
                Some("final") => {
                    self.report.finals += 1;
                    self.finals.push(id);
                    self.awaited.remove(&id);
                }
                Some("opened") => {
                    self.report.opened += 1;
                    self.awaited.insert(id);
                }
                _ => {
                    self.report.decided += 1;
                    self.awaited.insert(id);
                }
            }
            return;
        }
        self.report.own += 1;
        self.report.unrecorded += row.unrecorded.unwrap_or(0);
        match row.kind {
            Some("log.pruned") => self.pruned = self.pruned.max(row.first.unwrap_or(0)),
            Some("log.closed") => {
                self.report.closed = true;
                for id in std::mem::take(&mut self.awaited) {
                    let id = terms::RequestId::from(id).to_string();
                    self.problem(path, offset, Fault::Unfinished(id));
                }
            }
            Some("log.opened") => self.report.undetermined += std::mem::take(&mut self.awaited).len() as u64,
            Some(_) | None => {}
        }
    }

    /// Finds requests with two final records, and only if there are any goes through the log again to say where.
    fn duplicates(&mut self, directory: &Path, segments: &[u64]) -> io::Result<()> {
        self.finals.sort_unstable();
        let twice = self.finals.windows(2).filter_map(|pair| match pair {
            [a, b] if a == b => Some(*a),
            _ => None,
        });
        let twice: HashSet<u128> = twice.collect();
        if twice.is_empty() {
            return Ok(());
        }
        let mut seen = HashSet::new();
        for first in segments.iter().copied() {
            let path = segment::path(directory, first);
            let bytes = fs::read(&path)?;
            let Ok((header, chain)) = Header::decode(&bytes) else {
                continue;
            };
            self.index = first;
            for batch in Batches::new(&bytes, 0, HEADER, chain, header.log).flatten() {
                self.index = batch.commit.records - batch.records.len() as u64;
                for (offset, json) in batch.records {
                    let row = Row::parse(json).ok().filter(|row| row.stage == Some("final"));
                    let id = row.and_then(|row| row.request_id()).map(terms::RequestId::as_u128);
                    if let Some(id) = id.filter(|id| twice.contains(id))
                        && !seen.insert(id)
                    {
                        self.problem(&path, offset, Fault::Duplicate(terms::RequestId::from(id).to_string()));
                    }
                    self.index += 1;
                }
            }
        }
        Ok(())
    }
}
