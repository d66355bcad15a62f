use std::sync::atomic::{AtomicU64, Ordering};

use crate::lane::Lane;
use crate::lane::map::{load, store};
use crate::record::{INTERRUPTED, PREFIX_MAX, SHUTDOWN, SUFFIX_MAX};

/// The words of one slot: state, lengths and checksum of both halves, index, id (2), two spare, prefix, suffix.
///
/// Other versions of the program have prefixes of another length, and hand their lanes over or leave them behind. So a lane is
/// read with the slots that its file has, and everything but the prefix keeps its size.
pub(crate) const SLOT_WORDS: usize = SLOT_WORDS_LEAST + PREFIX_MAX / 8;
/// The words of a slot without a prefix.
pub(crate) const SLOT_WORDS_LEAST: usize = 8 + SUFFIX_MAX / 8;

/// Where one request in flight stands. Whoever finds the slot after a crash knows from it alone whether the request
/// still needs its final record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// Nobody's.
    Free,
    /// A request is in flight: its final record is to be written.
    Open,
    /// Its final record is published exactly if the lane's head has reached this position.
    Closing { lane: u16, end: u64 },
    /// Its final record is in the slot itself, as no ring could take it, and waits for the committer.
    Done,
    /// Its final record is in the log exactly if the log has this commit.
    Collected { sequence: u64 },
}

/// What [`Slot::settle`] has found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Settled {
    Done,
    Freed,
    Untouched,
}

const BITS: u32 = 51; // of a position (in words) or a sequence: ten years of 50 MB a second in one lane
const MASK: u64 = (1 << BITS) - 1;

impl State {
    const fn encode(self) -> u64 {
        match self {
            Self::Free => 0,
            Self::Open => 1 << 61,
            Self::Closing { lane, end } => (2 << 61) | ((lane as u64) << BITS) | (end & MASK),
            Self::Done => 3 << 61,
            Self::Collected { sequence } => (4 << 61) | (sequence & MASK),
        }
    }

    /// An unknown state counts as open: better an `interrupted` record than none.
    const fn decode(word: u64) -> Self {
        match word >> 61 {
            0 => Self::Free,
            2 => Self::Closing { lane: ((word >> BITS) & 0x3ff) as u16, end: word & MASK },
            3 => Self::Done,
            4 => Self::Collected { sequence: word & MASK },
            _ => Self::Open,
        }
    }
}

/// One place in a lane's table of requests in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot<'a> {
    state: &'a AtomicU64,
    /// `crc32c | length u16 | where the reason begins u16` of the prefix, and of the suffix `… | length of the prefix that
    /// goes before it`.
    halves: [&'a AtomicU64; 2],
    index: &'a AtomicU64,
    id: [&'a AtomicU64; 2],
    prefix: &'a [AtomicU64],
    suffix: &'a [AtomicU64],
    /// The run, the lane and the slot: what was left by another passes no check.
    seed: u32,
}

/// What a slot holds besides its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) id: u128,
    /// How many records the log had when the request began: its final record is not before that.
    pub(crate) index: u64,
    /// Where the reason begins in the prefix.
    pub(crate) reason: usize,
    /// How long the prefix is.
    pub(crate) length: usize,
}

impl<'a> Slot<'a> {
    /// The slot in these words.
    pub(crate) fn new(cells: &'a [AtomicU64], epoch: u64, lane: u16, number: u32) -> Option<Self> {
        let [state, first, second, index, high, low, _, _, text @ ..] = cells else {
            return None;
        };
        let (prefix, suffix) = text.split_at_checked(text.len().checked_sub(SUFFIX_MAX / 8)?)?;
        let seed = epoch ^ (u64::from(lane) << 48) ^ (u64::from(number) << 16);
        Some(Self {
            state,
            halves: [first, second],
            index,
            id: [high, low],
            prefix,
            suffix,
            seed: crc32c::crc32c(&seed.to_le_bytes()),
        })
    }

    pub(crate) fn state(self) -> State {
        State::decode(self.state.load(Ordering::Acquire))
    }

    pub(crate) fn set(self, state: State) {
        self.state.store(state.encode(), Ordering::Release);
    }

    /// Ends a request that is still open, as the process ends.
    pub(crate) fn end_by_shutdown(self, lane: &Lane) {
        if self.state() != State::Open {
            return;
        }
        let length = self.read(&mut Vec::new()).map_or(0, |held| held.length);
        self.end(SHUTDOWN.as_bytes(), length);
        if self.turn(State::Open, State::Done) {
            lane.one_more_done();
        }
    }

    /// After another process had this slot in hand: whether its record is in the log is for the log to say, which ends
    /// with this commit. Answers whether it is still to be collected.
    pub(crate) fn settle(self, last: u64) -> Settled {
        match self.state() {
            State::Collected { sequence } if sequence <= last => {
                self.set(State::Free);
                Settled::Freed
            }
            State::Collected { .. } | State::Done => {
                self.set(State::Done);
                Settled::Done
            }
            State::Closing { .. } | State::Free | State::Open => Settled::Untouched,
        }
    }

    /// Goes from one state to another, unless somebody else was quicker.
    pub(crate) fn turn(self, from: State, to: State) -> bool {
        let [from, to] = [from.encode(), to.encode()];
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Fills a free slot and opens it. A text that is too long, which the types of its fields rule out, is not taken.
    pub(crate) fn open(self, prefix: &[u8], held: Held) -> bool {
        if prefix.len() > self.prefix.len() * 8 {
            return false; // FAIL CLOSED: no slot, no request
        }
        let [high, low] = [held.id >> 64, held.id & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or(0));
        for (cell, word) in self.id.into_iter().chain([self.index]).zip([high, low, held.index]) {
            cell.store(word, Ordering::Relaxed);
        }
        store(self.prefix, prefix);
        let [first, second] = self.halves;
        first.store(half(self.checksum(prefix, held.id, held.index), prefix.len(), held.reason), Ordering::Relaxed);
        second.store(0, Ordering::Relaxed);
        self.set(State::Open);
        true
    }

    /// Appends the prefix as it was written, or nothing if it is not whole.
    pub(crate) fn read(self, into: &mut Vec<u8>) -> Option<Held> {
        let [first, _] = self.halves;
        let [high, low, index] = [self.id[0], self.id[1], self.index].map(|cell| cell.load(Ordering::Relaxed));
        let id = (u128::from(high) << 64) | u128::from(low);
        let (checksum, length, reason) = parts(first.load(Ordering::Relaxed));
        let start = into.len();
        load(self.prefix, length, into);
        if length == 0 || self.checksum(into.get(start..)?, id, index) != checksum {
            into.truncate(start);
            return None;
        }
        Some(Held { id, index, reason, length })
    }

    /// As [`Slot::read`], without a look at the checksum: for who has opened the slot in this very process.
    pub(crate) fn read_own(self, into: &mut Vec<u8>) -> usize {
        let [first, _] = self.halves;
        let (_, length, reason) = parts(first.load(Ordering::Relaxed));
        load(self.prefix, length, into);
        reason
    }

    /// Puts the rest of the record beside the prefix, of which `keep` bytes stay. The prefix is left as it is, so that a
    /// crash in the middle loses nothing.
    pub(crate) fn end(self, suffix: &[u8], keep: usize) {
        let [_, second] = self.halves;
        let suffix = if suffix.len() > SUFFIX_MAX { INTERRUPTED.as_bytes() } else { suffix };
        store(self.suffix, suffix);
        second.store(half(self.checksum(suffix, 0, 0), suffix.len(), keep), Ordering::Relaxed);
    }

    /// Appends the final record: prefix and suffix, or prefix and `interrupted` where there is no whole suffix.
    pub(crate) fn finished(self, into: &mut Vec<u8>) -> Option<Held> {
        self.finished_or(INTERRUPTED, into)
    }

    /// Appends the final record of a request that the shutdown has cut.
    pub(crate) fn cut_short(self, into: &mut Vec<u8>) -> Option<Held> {
        self.finished_or(SHUTDOWN, into)
    }

    fn finished_or(self, otherwise: &str, into: &mut Vec<u8>) -> Option<Held> {
        let start = into.len();
        let held = self.read(into)?;
        let [_, second] = self.halves;
        let (checksum, length, keep) = parts(second.load(Ordering::Relaxed));
        let mut suffix = Vec::with_capacity(SUFFIX_MAX);
        load(self.suffix, length, &mut suffix);
        if length > 0 && self.checksum(&suffix, 0, 0) == checksum {
            into.truncate(start + keep);
            into.extend_from_slice(&suffix);
        } else {
            into.extend_from_slice(otherwise.as_bytes());
        }
        Some(held)
    }

    fn checksum(self, text: &[u8], id: u128, index: u64) -> u32 {
        let place = crc32c::crc32c_append(self.seed, &id.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c_append(place, &index.to_le_bytes()), text)
    }
}

fn half(checksum: u32, length: usize, at: usize) -> u64 {
    let [length, at] = [length, at].map(|n| u64::from(u16::try_from(n).unwrap_or(0)));
    (u64::from(checksum) << 32) | (length << 16) | at
}

fn parts(word: u64) -> (u32, usize, usize) {
    let [length, at] = [(word >> 16) & 0xffff, word & 0xffff].map(|n| usize::try_from(n).unwrap_or(0));
    (u32::try_from(word >> 32).unwrap_or(0), length, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back_as_they_went_in() {
        let end = 123_456_789_012;
        for state in [
            State::Free,
            State::Open,
            State::Closing { lane: 1_023, end },
            State::Done,
            State::Collected { sequence: 42 },
        ] {
            assert_eq!(State::decode(state.encode()), state);
        }
    }

    #[test]
    fn a_slot_is_interrupted_until_it_has_an_end_and_foreign_words_are_nothing() {
        let cells: Vec<AtomicU64> = (0..SLOT_WORDS).map(|_| AtomicU64::new(0)).collect();
        let slot = Slot::new(&cells, 7, 1, 9).unwrap();
        let held = Held { id: 5 << 70, index: 3, reason: 4, length: 17 };
        assert!(slot.open(br#"{"a","reason":"x""#, held) && slot.state() == State::Open);
        let finished = |slot: Slot<'_>| {
            let mut text = Vec::new();
            slot.finished(&mut text).map(|held| (String::from_utf8(text).unwrap(), held.id))
        };
        assert_eq!(finished(slot).unwrap().0, r#"{"a","reason":"x","end":"interrupted"}"#);
        slot.end(br#","reason":"y"}"#, 4);
        assert_eq!(finished(slot), Some((r#"{"a","reason":"y"}"#.into(), 5 << 70)));
        assert_eq!(finished(Slot::new(&cells, 8, 1, 9).unwrap()), None);
        assert!(slot.turn(State::Open, State::Done) && !slot.turn(State::Open, State::Done));
        assert!(!slot.open(&[b' '; PREFIX_MAX + 1], held));
    }
}
