use crate::segment::LogId;
use crate::segment::frame::HEAD;

const MAGIC: &[u8; 8] = b"clscommt";

/// The end of a batch: what stands before it is in the log, and was on disk before anything was written after it.
///
/// It has a mark, its own place and a checksum of its own, so that it is found and trusted even behind damage. That is
/// how damage in the middle, which must never be cut off as if it were a torn tail, is told from one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Commit {
    /// Where this frame stands in its segment.
    pub(crate) offset: u64,
    /// Where its batch begins.
    pub(crate) start: u64,
    /// One more than the commit before it.
    pub(crate) sequence: u64,
    /// How many records the log has now: the index of the next one.
    pub(crate) records: u64,
    /// When, in milliseconds since the Unix epoch.
    pub(crate) at: u64,
    /// The runs whose lanes may hold more than the log: the one that wrote this, then those that it writes for, too.
    pub(crate) runs: Vec<Run>,
}

/// One run of a gateway, and how far each of its lanes is in the log.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Run {
    pub(crate) epoch: u64,
    pub(crate) lanes: Vec<(u16, u64)>,
}

/// In the count of the writer's lanes: other runs follow.
const BESIDE: u16 = 1 << 15;

impl Commit {
    pub(crate) fn encode(&self, log: LogId) -> Vec<u8> {
        let Self { offset, start, sequence, records, at, runs } = self;
        let nobody = Run::default();
        let (writer, beside) = runs.split_first().unwrap_or((&nobody, &[]));
        let mut bytes = Vec::with_capacity(62 + 10 * writer.lanes.len());
        bytes.extend_from_slice(MAGIC);
        for field in [offset, start, sequence, records, &writer.epoch, at] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        put_lanes(&mut bytes, &writer.lanes, if beside.is_empty() { 0 } else { BESIDE });
        if !beside.is_empty() {
            bytes.extend_from_slice(&count(beside).to_le_bytes());
            for run in beside {
                bytes.extend_from_slice(&run.epoch.to_le_bytes());
                put_lanes(&mut bytes, &run.lanes, 0);
            }
        }
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&log), &bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// How far a lane of a run is in the log.
    pub(crate) fn position(&self, epoch: u64, lane: u16) -> u64 {
        let run = self.runs.iter().find(|run| run.epoch == epoch);
        let at = run.and_then(|run| run.lanes.iter().find(|(number, _)| *number == lane));
        at.map_or(0, |(_, position)| *position)
    }

    /// Reads a commit from the beginning of these bytes, and says how long it is.
    pub(crate) fn decode(bytes: &[u8], log: LogId) -> Option<(Self, usize)> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (words, rest) = rest.split_first_chunk::<48>()?;
        let (words, _) = words.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let Listed { lanes, flag, mut rest } = take_lanes(rest)?;
        let mut beside = Vec::new();
        if flag {
            let (count, after) = rest.split_first_chunk::<2>()?;
            rest = after;
            for _ in 0..u16::from_le_bytes(*count) {
                let (epoch, after) = rest.split_first_chunk::<8>()?;
                let listed = take_lanes(after)?;
                beside.push(Run { epoch: u64::from_le_bytes(*epoch), lanes: listed.lanes });
                rest = listed.rest;
            }
        }
        let (checksum, rest) = rest.split_first_chunk::<4>()?;
        let length = bytes.len() - rest.len();
        let before = crc32c::crc32c_append(crc32c::crc32c(&log), bytes.get(..length - 4)?);
        if before != u32::from_le_bytes(*checksum) {
            return None;
        }
        let [offset, start, sequence, records, epoch, at] = std::array::from_fn(|_| words.next());
        let runs = [Run { epoch: epoch?, lanes }].into_iter().chain(beside).collect();
        let commit = Self { offset: offset?, start: start?, sequence: sequence?, records: records?, at: at?, runs };
        Some((commit, length))
    }

    /// The first commit behind an offset that stands where it says that it stands, whatever lies between. `base` is
    /// where the bytes begin in their segment.
    pub(crate) fn find(bytes: &[u8], from: usize, base: u64, log: LogId) -> Option<Found> {
        let mut at = from;
        loop {
            let rest = bytes.get(at..)?;
            at += rest.windows(MAGIC.len()).position(|window| window == MAGIC)?;
            if let Some((commit, length)) = bytes.get(at..).and_then(|rest| Self::decode(rest, log))
                && commit.offset + HEAD as u64 == base + at as u64
                && let Some(chain) = bytes.get(at - 4..at).and_then(|word| word.first_chunk::<4>())
            {
                return Some(Found { commit, next: at + length, chain: u32::from_le_bytes(*chain) });
            }
            at += 1;
        }
    }
}

fn count<T>(list: &[T]) -> u16 {
    u16::try_from(list.len()).unwrap_or(u16::MAX) & !BESIDE
}

fn put_lanes(bytes: &mut Vec<u8>, lanes: &[(u16, u64)], flags: u16) {
    bytes.extend_from_slice(&(count(lanes) | flags).to_le_bytes());
    for (lane, position) in lanes {
        bytes.extend_from_slice(&lane.to_le_bytes());
        bytes.extend_from_slice(&position.to_le_bytes());
    }
}

/// A list of lanes, whether its count has the flag, and what follows.
struct Listed<'a> {
    lanes: Vec<(u16, u64)>,
    flag: bool,
    rest: &'a [u8],
}

fn take_lanes(bytes: &[u8]) -> Option<Listed<'_>> {
    let (count, rest) = bytes.split_first_chunk::<2>()?;
    let count = u16::from_le_bytes(*count);
    let (lanes, rest) = rest.split_at_checked(10 * usize::from(count & !BESIDE))?;
    let (lanes, _) = lanes.as_chunks::<10>();
    let lanes = lanes.iter().map(|[a, b, position @ ..]| (u16::from_le_bytes([*a, *b]), u64::from_le_bytes(*position)));
    Some(Listed { lanes: lanes.collect(), flag: count & BESIDE != 0, rest })
}

/// A commit that was found behind damage.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) commit: Commit,
    /// Where the next frame begins.
    pub(crate) next: usize,
    /// What its checksum goes on from.
    pub(crate) chain: u32,
}
