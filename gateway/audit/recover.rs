use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Row;
use crate::accounts::Told;
use crate::lane::slot::State;
use crate::lane::{Lane, this_boot};
use crate::line::Line;
use crate::log::Tip;
use crate::open::OpenError;
use crate::record;
use crate::segment::batches::{Batch, Batches, Flaw};
use crate::segment::commit::Commit;
use crate::segment::{self, HEADER, Header, LogId};

/// How an earlier run left the log.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: LogId,
    pub(crate) tip: Tip,
    /// The last segment is gone, as it was never begun in earnest: a new one is to be begun.
    pub(crate) headless: bool,
    /// The commit that the log ends with.
    pub(crate) last: Commit,
    /// What the records say that came with it.
    pub(crate) batch: Tally,
    pub(crate) damage: Damage,
}

/// What a batch of records adds to the accounts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    finals: u64,
    unrecorded: u64,
}

impl Tally {
    fn of(records: &[(u64, &[u8])]) -> Self {
        let mut tally = Self::default();
        for (_, record) in records {
            tally.finals += u64::from(record::is_final(record));
            let gap = record.starts_with(br#"{"v":1,"kind":"log.gap""#);
            let row = gap.then(|| Row::parse(record)).and_then(Result::ok);
            tally.unrecorded += row.and_then(|row| row.unrecorded).unwrap_or(0);
        }
        tally
    }
}

/// What a run that was cut off has to tell, with what is taken from its lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) told: Told,
    unrecorded: u64,
}

impl Account {
    /// Requests that came in and of which the log has no word: they were being judged, or there was no room for their record
    /// and no time to say so.
    pub(crate) fn missing(&self) -> u64 {
        self.told.requests.saturating_sub(self.told.finals + self.unrecorded)
    }
}

/// What was not as a clean end leaves it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Damage {
    /// The last record is not `log.closed`.
    pub(crate) unclean: bool,
    /// Bytes of a batch that was never promised to anybody.
    pub(crate) dropped_bytes: u64,
    /// Records that were in lanes only.
    pub(crate) replayed: u64,
    /// Requests that were in flight.
    pub(crate) interrupted: u64,
    /// Words of lanes that a power cut has garbled, and slots and lanes that cannot be read.
    pub(crate) unreadable: u64,
}

/// Reads how the log ends. Nothing in it means that there is none yet.
pub(crate) fn find(directory: &Path) -> Result<Option<Found>, OpenError> {
    let mut segments = segment::list(directory).map_err(|e| OpenError::io("read", directory, e))?;
    let (mut headless, mut dropped_bytes) = (false, 0);
    let mut removed: Vec<PathBuf> = Vec::new();
    while let Some(first) = segments.pop() {
        let path = segment::path(directory, first);
        let bytes = fs::read(&path).map_err(|e| OpenError::io("read", &path, e))?;
        if let Some((mut found, closed)) = last_of(&path, first, &bytes, segments.is_empty())? {
            found.damage.unclean = !match (closed, segments.last()) {
                (Some(closed), _) => closed,
                (None, Some(before)) => ends_closed(directory, *before)?, // it was begun, and nothing came
                (None, None) => true,
            };
            for path in removed {
                fs::remove_file(&path).map_err(|e| OpenError::io("remove", &path, e))?;
            }
            found.damage.dropped_bytes += dropped_bytes;
            return Ok(Some(Found { headless, ..found }));
        }
        headless = true;
        dropped_bytes += bytes.len() as u64;
        removed.push(path);
    }
    Ok(None)
}

/// Whether the last record of this segment, which another one follows, is `log.closed`.
fn ends_closed(directory: &Path, first: u64) -> Result<bool, OpenError> {
    let path = segment::path(directory, first);
    let bytes = fs::read(&path).map_err(|e| OpenError::io("read", &path, e))?;
    Ok(last_of(&path, first, &bytes, false)?.and_then(|(_, closed)| closed).unwrap_or_default())
}

/// Reads one segment to its last commit, and says whether its last record is `log.closed`, if it has one. Nothing, if it was
/// never begun in earnest.
fn last_of(path: &Path, first: u64, bytes: &[u8], only: bool) -> Result<Option<(Found, Option<bool>)>, OpenError> {
    let corrupt = |offset: u64, what: String| OpenError::Corrupt { segment: path.to_owned(), offset, what };
    let (header, chain) = match Header::decode(bytes) {
        Ok(decoded) => decoded,
        // A creation that a power cut has broken off leaves no bytes, or zeros.
        Err(_) if bytes.len() < HEADER || bytes.iter().all(|byte| *byte == 0) => return Ok(None),
        Err(error) => return Err(corrupt(0, error.to_string())),
    };
    if header.first != first {
        return Err(corrupt(0, format!("it begins with record {}, not {first}", header.first)));
    }
    let mut damage = Damage::default();
    let mut last: Option<(Commit, u64, u32, Option<bool>, Tally)> = None;
    for batch in Batches::new(bytes, 0, HEADER, chain, header.log) {
        match batch {
            Ok(Batch { records, commit, end, chain }) => {
                let closed = match records.last() {
                    Some((_, record)) => Some(record.starts_with(br#"{"v":1,"kind":"log.closed""#)),
                    None => last.as_ref().and_then(|(.., closed, _)| *closed),
                };
                last = Some((commit, end, chain, closed, Tally::of(&records)));
            }
            Err(Flaw::Damaged { offset, damage, .. }) => return Err(corrupt(offset, damage.to_string())),
            Err(Flaw::Torn { bytes, .. }) => damage.dropped_bytes = bytes,
        }
    }
    let Some((last, length, chain, closed, batch)) = last else {
        // The first commit is written with the header: without it, nothing was ever promised.
        return if only && bytes.len() > HEADER + 4096 {
            Err(corrupt(HEADER as u64, "no batch of it is whole".into()))
        } else {
            Ok(None)
        };
    };
    let tip = Tip { sequence: last.sequence, records: last.records, chain, first, length };
    let found = Found { id: header.log, tip, headless: false, last, batch, damage };
    Ok(Some((found, closed)))
}

/// Takes what the lanes of the last run (of both, if one was taking over from the other) hold beyond the log: each record
/// once, in the order of its lane, then one for each request that was in flight. Answers what its run has to tell, if it was cut
/// off and the counts can be believed.
pub(crate) fn take_lanes(
    directory: &Path,
    found: &mut Found,
    mut record: impl FnMut(&[u8]),
) -> Result<Option<Account>, OpenError> {
    let mut finals = 0;
    let mut record = |text: &[u8]| {
        finals += u64::from(record::is_final(text));
        record(text);
    };
    let lanes = lanes_of(directory, &mut found.damage, &found.last)?;
    let mut line = Line::new();
    let mut ids = HashSet::new();
    for lane in &lanes {
        let mut position = found.last.position(lane.owner.epoch, lane.owner.number);
        let head = lane.head();
        while position < head {
            line.clear();
            match lane.ring().read(position, head, line.bytes_mut()) {
                Some(next) => {
                    ids.extend(final_id(line.as_bytes()));
                    record(line.as_bytes());
                    found.damage.replayed += 1;
                    position = next;
                }
                None => {
                    found.damage.unreadable += head - position;
                    position = head;
                }
            }
        }
    }
    let in_flight = in_flight(&lanes, found.last.sequence, &mut found.damage.unreadable);
    // Within one boot the states of the slots are exact. After a power cut each page may be from another moment.
    if lanes.iter().any(|lane| lane.owner.boot != this_boot() || lane.owner.boot == [0, 0]) {
        let from = in_flight.iter().map(|(index, _)| *index).min();
        if let Some(from) = from {
            ids.extend(finals_from(directory, found.id, from)?);
        }
    }
    for (_, text) in in_flight {
        if final_id(&text).is_none_or(|id| ids.insert(id)) {
            record(&text);
            found.damage.interrupted += 1;
        }
    }
    Ok(account(found, &lanes, finals).filter(|_| found.damage.unclean))
}

/// The account of the run whose lanes these are, with so many final records that are taken from them. Nothing, where it cannot
/// be exact: the machine was started anew, two runs had the log, or a lane is not there.
fn account(found: &Found, lanes: &[Lane], taken: u64) -> Option<Account> {
    let [run] = found.last.runs.as_slice() else { return None };
    let numbers: Vec<u16> = lanes.iter().map(|lane| lane.owner.number).collect();
    let first = lanes.first().filter(|lane| lane.owner.number == 0)?;
    let is_whole = run.lanes.iter().all(|(number, _)| numbers.contains(number));
    let of_this_boot = |lane: &Lane| lane.owner.boot == this_boot() && lane.owner.boot != [0, 0];
    if !is_whole || !lanes.iter().all(of_this_boot) {
        return None;
    }
    let sequence = found.last.sequence;
    let before = || Some((first.kept(sequence.checked_sub(1)?)?, found.batch));
    let (kept, batch) = first.kept(sequence).map(|kept| (kept, Tally::default())).or_else(before)?;
    let (arrived, left): (u64, u64) = (lanes.iter().map(Lane::arrived).sum(), lanes.iter().map(Lane::left).sum());
    let came = i128::from(arrived) - i128::from(left);
    let requests = u64::try_from(came + i128::from(kept.buried)).ok().filter(|_| kept.runs == 1)?;
    let told = Told { requests, finals: kept.finals + batch.finals + taken };
    Some(Account { told, unrecorded: kept.unrecorded + batch.unrecorded })
}

fn lanes_of(directory: &Path, damage: &mut Damage, last: &Commit) -> Result<Vec<Lane>, OpenError> {
    let mut lanes = Vec::new();
    for path in lane_files(directory)? {
        match Lane::left_behind(&path) {
            Ok(Some(lane)) if last.runs.iter().any(|run| run.epoch == lane.owner.epoch) => lanes.push(lane),
            Ok(Some(_)) => {} // of an earlier run, whose lanes have been taken already
            Ok(None) => damage.unreadable += 1,
            Err(error) if fs::metadata(&path).is_ok_and(|file| file.len() == 0) => {
                tracing::debug!(path = %path.display(), %error, "a lane was never made");
            }
            Err(error) => return Err(OpenError::io("map", &path, error)),
        }
    }
    lanes.sort_by_key(|lane| (lane.owner.epoch, lane.owner.number));
    Ok(lanes)
}

pub(crate) fn lane_files(directory: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let lanes = directory.join("lanes");
    let list = || -> io::Result<_> { fs::read_dir(&lanes)?.map(|entry| Ok(entry?.path())).collect() };
    list().map_err(|error| OpenError::io("read", &lanes, error))
}

/// The final records that slots of these lanes still owe when the log has come to this commit, each with the index that
/// the log had when its request began. Nobody may write into the lanes any more.
pub(crate) fn in_flight<L: AsRef<Lane>>(lanes: &[L], sequence: u64, unreadable: &mut u64) -> Vec<(u64, Vec<u8>)> {
    let published = |epoch: u64, number: u16, end: u64| {
        let of = |lane: &&L| lane.as_ref().owner.epoch == epoch && lane.as_ref().owner.number == number;
        lanes.iter().find(of).is_some_and(|lane| lane.as_ref().head() >= end)
    };
    let mut owed = Vec::new();
    for lane in lanes.iter().map(AsRef::as_ref) {
        for slot in (0..lane.shape().slots).filter_map(|number| lane.slot(number)) {
            let settled = match slot.state() {
                State::Free => true,
                State::Open | State::Done => false,
                State::Closing { lane: number, end } => published(lane.owner.epoch, number, end),
                State::Collected { sequence: of } => of <= sequence,
            };
            if settled {
                continue;
            }
            let mut text = Vec::new();
            match slot.finished(&mut text) {
                Some(held) => owed.push((held.index, text)),
                None => *unreadable += 1,
            }
        }
    }
    owed
}

/// The requests whose final record is in the log from this index on.
fn finals_from(directory: &Path, log: LogId, from: u64) -> Result<HashSet<u128>, OpenError> {
    let segments = segment::list(directory).map_err(|e| OpenError::io("read", directory, e))?;
    let mut ids = HashSet::new();
    for (at, first) in segments.iter().enumerate() {
        if segments.get(at + 1).is_some_and(|next| *next <= from) {
            continue;
        }
        let path = segment::path(directory, *first);
        let bytes = fs::read(&path).map_err(|e| OpenError::io("read", &path, e))?;
        let Ok((_, chain)) = Header::decode(&bytes) else {
            continue;
        };
        for batch in Batches::new(&bytes, 0, HEADER, chain, log).flatten() {
            ids.extend(batch.records.iter().filter_map(|(_, record)| final_id(record)));
        }
    }
    Ok(ids)
}

/// The request whose final record this is.
fn final_id(record: &[u8]) -> Option<u128> {
    let id = record.strip_prefix(br#"{"v":1,"id":""#).filter(|_| record::is_final(record))?.get(..32)?;
    u128::from_str_radix(std::str::from_utf8(id).ok()?, 16).ok()
}
