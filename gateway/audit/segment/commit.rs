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
    /// The run that wrote it.
    pub(crate) epoch: u64,
    /// When, in milliseconds since the Unix epoch.
    pub(crate) at: u64,
    /// How far each lane of the run is in the log.
    pub(crate) lanes: Vec<(u16, u64)>,
}

impl Commit {
    pub(crate) fn encode(&self, log: LogId) -> Vec<u8> {
        let Self { offset, start, sequence, records, epoch, at, lanes } = self;
        let mut bytes = Vec::with_capacity(62 + 10 * lanes.len());
        bytes.extend_from_slice(MAGIC);
        for field in [offset, start, sequence, records, epoch, at] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&u16::try_from(lanes.len()).unwrap_or(u16::MAX).to_le_bytes());
        for (lane, position) in lanes {
            bytes.extend_from_slice(&lane.to_le_bytes());
            bytes.extend_from_slice(&position.to_le_bytes());
        }
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&log), &bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a commit from the beginning of these bytes, and says how long it is.
    pub(crate) fn decode(bytes: &[u8], log: LogId) -> Option<(Self, usize)> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (words, rest) = rest.split_first_chunk::<48>()?;
        let (words, _) = words.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let (count, rest) = rest.split_first_chunk::<2>()?;
        let (lanes, rest) = rest.split_at_checked(10 * usize::from(u16::from_le_bytes(*count)))?;
        let (checksum, rest) = rest.split_first_chunk::<4>()?;
        let length = bytes.len() - rest.len();
        let before = crc32c::crc32c_append(crc32c::crc32c(&log), bytes.get(..length - 4)?);
        if before != u32::from_le_bytes(*checksum) {
            return None;
        }
        let (lanes, _) = lanes.as_chunks::<10>();
        let lanes = lanes.iter().map(|[a, b, position @ ..]| {
            let lane = u16::from_le_bytes([*a, *b]);
            (lane, u64::from_le_bytes(*position))
        });
        let commit = Self {
            offset: words.next()?,
            start: words.next()?,
            sequence: words.next()?,
            records: words.next()?,
            epoch: words.next()?,
            at: words.next()?,
            lanes: lanes.collect(),
        };
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

/// A commit that was found behind damage.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) commit: Commit,
    /// Where the next frame begins.
    pub(crate) next: usize,
    /// What its checksum goes on from.
    pub(crate) chain: u32,
}
