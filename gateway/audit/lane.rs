//! One lane: the file through which one thread hands its records to the committer.
//!
//! Layout, in words of 8 bytes: a header of 64, the table of requests in flight, the ring. The thread alone writes the
//! ring and `head`; the committer alone reads behind it; anybody may end a request, through the state of its slot. A
//! lane file lives as long as its run: the next start takes what is left in it and removes it.
//!
//! The committer may be that of another process, which has taken the log over while this one comes to its end. So all
//! that the two tell each other stands in the header: `head`, `tail` (what is on disk), how many slots wait to be
//! collected or were closed, and how many requests came in, how many of them went to another log, and how many final records
//! are in this one.

pub(crate) mod local;
pub(crate) mod map;
pub(crate) mod ring;
pub(crate) mod slot;

use std::io;
use std::path::Path;
use std::sync::Weak;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::journal::Shared;
use crate::lane::map::Map;
use crate::lane::ring::Ring;
use crate::lane::slot::{SLOT_WORDS, SLOT_WORDS_LEAST, Slot};

const MAGIC: u64 = u64::from_be_bytes(*b"clstrlan");
const VERSION: u64 = 3; // of the header: how long slots are is told by the length of the file
const HEADER_WORDS: usize = 64;
const HEAD: usize = 16; // away from the other words of the header, which never change
const ARRIVED: usize = 17; // beside what the same thread writes
const LEFT: usize = 18;
const TAIL: usize = 32;
const SETTLED: usize = 33; // beside what the same committer writes
const KEPT: [usize; 2] = [34, 40];
const DONE: usize = 48;
const CLOSED: usize = 49;
const USED: usize = 50;
const FAILING: usize = 51;
const UNRECORDED: usize = 52;
const ELSEWHERE: usize = 53;
const LEFT_ELSEWHERE: usize = 54;
const NONE: u32 = u32::MAX;

/// The lanes that a run may have. A slot names one in ten bits.
pub(crate) const LANES_MAX: u16 = 1_023;

/// How large a lane is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Shape {
    pub(crate) slots: u32,
    pub(crate) ring_words: u64,
}

/// To whom a lane belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Owner {
    /// The run: chosen at random at each start.
    pub(crate) epoch: u64,
    /// The boot of the machine: what another boot left has gone through a power cut, maybe.
    pub(crate) boot: [u64; 2],
    pub(crate) number: u16,
}

/// What a run's first lane keeps of the committer's counts, for whoever finds it after a crash.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Kept {
    /// Final records that the run has in the log.
    pub(crate) finals: u64,
    /// Requests without a record of which the log knows.
    pub(crate) unrecorded: u64,
    /// What came in through lanes that are gone, less what had its final record before the run began.
    pub(crate) buried: i64,
    /// How many runs the commit names. What two have in common, neither can count alone.
    pub(crate) runs: u64,
}

/// Keeps what one thread writes off the cache lines that others write.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) owner: Owner,
    pub(crate) journal: Weak<Shared>,
    shape: Shape,
    /// How long each of its slots is.
    slot_words: usize,
    map: Map,
    /// Slots that others than the owner freed: a stack, taken whole by the owner.
    returned: Apart<AtomicU32>,
    next: Box<[AtomicU32]>,
    pub(crate) counts: Apart<Counts>,
}

/// What only the owner of the lane counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) opened: AtomicU64,
    pub(crate) finals: AtomicU64,
}

impl Counts {
    /// Adds one, without an atomic read-modify-write: there is one writer.
    pub(crate) fn add(counter: &AtomicU64) {
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

impl AsRef<Self> for Lane {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Lane {
    pub(crate) fn create(path: &Path, owner: Owner, shape: Shape, journal: Weak<Shared>) -> io::Result<Self> {
        let slots = usize::try_from(shape.slots).map_err(io::Error::other)?;
        let ring = usize::try_from(shape.ring_words).map_err(io::Error::other)?;
        let map = Map::create(path, HEADER_WORDS + slots * SLOT_WORDS + ring)?;
        Ok(Self::begin(map, owner, shape, SLOT_WORDS, journal))
    }

    fn begin(map: Map, owner: Owner, shape: Shape, slot_words: usize, journal: Weak<Shared>) -> Self {
        let header = header(owner, shape);
        for (cell, word) in map.words().iter().zip(header) {
            cell.store(word, Ordering::Release);
        }
        Self::of(map, owner, shape, slot_words, journal)
    }

    /// Opens the lane that an earlier run left, or nothing if the file is not a whole lane.
    pub(crate) fn left_behind(path: &Path) -> io::Result<Option<Self>> {
        let map = Map::open(path)?;
        let word = |at: usize| map.words().get(at).map_or(0, |cell| cell.load(Ordering::Acquire));
        let owner =
            Owner { epoch: word(2), boot: [word(6), word(7)], number: u16::try_from(word(3)).unwrap_or(u16::MAX) };
        let shape = Shape { slots: u32::try_from(word(4)).unwrap_or(u32::MAX), ring_words: word(5) };
        let begins_well = (0..).zip(header(owner, shape)).all(|(at, expected)| word(at) == expected);
        let slot_words = slot_words(map.words().len(), shape).filter(|_| begins_well);
        Ok(slot_words.map(|slot_words| Self::of(map, owner, shape, slot_words, Weak::new())))
    }

    fn of(map: Map, owner: Owner, shape: Shape, slot_words: usize, journal: Weak<Shared>) -> Self {
        Self {
            owner,
            journal,
            shape,
            slot_words,
            map,
            returned: Apart(AtomicU32::new(NONE)),
            next: (0..shape.slots).map(|_| AtomicU32::new(NONE)).collect(),
            counts: Apart::default(),
        }
    }

    pub(crate) const fn shape(&self) -> Shape {
        self.shape
    }

    /// Up to where the ring is published.
    pub(crate) fn head(&self) -> u64 {
        self.word(HEAD).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    /// Publishes the ring up to here. ORDER: after the frames, so that who sees the head sees them.
    pub(crate) fn publish(&self, head: u64) {
        if let Some(cell) = self.word(HEAD) {
            cell.store(head, Ordering::Release);
        }
    }

    /// Up to where the ring is on disk, and may be written over. After a crash it is the log that says so.
    pub(crate) fn tail(&self) -> u64 {
        self.word(TAIL).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    /// ORDER: after the sync.
    pub(crate) fn set_tail(&self, tail: u64) {
        if let Some(cell) = self.word(TAIL) {
            cell.store(tail, Ordering::Release);
        }
    }

    /// Requests that came in on the thread of this lane, recorded or not, and those that were counted here for want of a lane.
    pub(crate) fn arrived(&self) -> u64 {
        [ARRIVED, ELSEWHERE].into_iter().filter_map(|at| self.word(at)).map(|cell| cell.load(Ordering::Acquire)).sum()
    }

    /// One more. Only the owner calls this, so it takes no atomic read-modify-write.
    pub(crate) fn one_more_arrived(&self) {
        if let Some(cell) = self.word(ARRIVED) {
            cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Release);
        }
    }

    /// Requests that had come in, on whichever thread, and turned out on the thread of this lane to be another log's. This only
    /// rises, as what came in does: of two counts that only rise, whoever reads this one first never takes more from the other
    /// than was in it.
    pub(crate) fn left(&self) -> u64 {
        [LEFT, LEFT_ELSEWHERE].into_iter().filter_map(|at| self.word(at)).map(|cell| cell.load(Ordering::Acquire)).sum()
    }

    /// One more. Only the owner calls this. ORDER: after the request was counted where it came in.
    pub(crate) fn one_more_left(&self) {
        if let Some(cell) = self.word(LEFT) {
            cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Release);
        }
    }

    /// The same on a thread that has no lane. Any thread may call this.
    pub(crate) fn one_more_left_elsewhere(&self) {
        if let Some(cell) = self.word(LEFT_ELSEWHERE) {
            cell.fetch_add(1, Ordering::Release);
        }
    }

    /// One more, on a thread that has no lane. Any thread may call this.
    pub(crate) fn one_more_elsewhere(&self) {
        if let Some(cell) = self.word(ELSEWHERE) {
            cell.fetch_add(1, Ordering::Release);
        }
    }

    /// What the committer has counted up to the commit of this number, if it came that far. A crash can fall between a commit
    /// and its count, so the count of the commit before stays beside it.
    pub(crate) fn kept(&self, sequence: u64) -> Option<Kept> {
        let at = kept_at(sequence);
        let word = |place: usize| self.word(at + place).map(|cell| cell.load(Ordering::Acquire));
        let kept =
            || Some(Kept { finals: word(1)?, unrecorded: word(2)?, buried: word(3)?.cast_signed(), runs: word(4)? });
        kept().filter(|_| sequence > 0 && word(0) == Some(sequence))
    }

    /// ORDER: after the sync, and the number after what it stands for.
    pub(crate) fn keep(&self, sequence: u64, kept: Kept) {
        let Kept { finals, unrecorded, buried, runs } = kept;
        let at = kept_at(sequence);
        for (place, word) in [(1, finals), (2, unrecorded), (3, buried.cast_unsigned()), (4, runs), (0, sequence)] {
            if let Some(cell) = self.word(at + place) {
                cell.store(word, Ordering::Release);
            }
        }
    }

    /// Nothing was counted that could be believed.
    pub(crate) fn keep_nothing(&self) {
        for cell in KEPT.into_iter().filter_map(|at| self.word(at)) {
            cell.store(0, Ordering::Release);
        }
    }

    /// Final records from this lane that are in the log.
    pub(crate) fn settled(&self) -> u64 {
        self.word(SETTLED).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    /// ORDER: after the sync.
    pub(crate) fn settle(&self, finals: u64) {
        if finals > 0
            && let Some(cell) = self.word(SETTLED)
        {
            cell.fetch_add(finals, Ordering::Release);
        }
    }

    /// Slots in the state `Done`, for the committer to look for.
    pub(crate) fn done(&self) -> u64 {
        self.word(DONE).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    pub(crate) fn set_done(&self, count: u64) {
        if let Some(cell) = self.word(DONE) {
            cell.store(count, Ordering::Release);
        }
    }

    pub(crate) fn one_more_done(&self) {
        if let Some(cell) = self.word(DONE) {
            cell.fetch_add(1, Ordering::Release);
        }
    }

    pub(crate) fn one_less_done(&self) {
        if let Some(cell) = self.word(DONE) {
            cell.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Requests that have ended.
    pub(crate) fn closed(&self) -> u64 {
        self.word(CLOSED).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    pub(crate) fn one_more_closed(&self) {
        if let Some(cell) = self.word(CLOSED) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One more than the highest slot that was ever used. Only the owner moves it.
    pub(crate) fn slots_used(&self) -> u32 {
        let used = self.word(USED).map_or(0, |cell| cell.load(Ordering::Acquire));
        u32::try_from(used).unwrap_or(u32::MAX).min(self.shape.slots)
    }

    pub(crate) fn use_slot(&self, number: u32) {
        if self.slots_used() <= number
            && let Some(cell) = self.word(USED)
        {
            cell.store(u64::from(number) + 1, Ordering::Release);
        }
    }

    /// Whether the log cannot be written: a committer says so to the owners of lanes that are not its own.
    pub(crate) fn is_failing(&self) -> bool {
        self.word(FAILING).is_some_and(|cell| cell.load(Ordering::Acquire) != 0)
    }

    pub(crate) fn set_failing(&self, failing: bool) {
        if let Some(cell) = self.word(FAILING) {
            cell.store(u64::from(failing), Ordering::Release);
        }
    }

    /// Requests without a record that the log does not know of yet: their process could not say so itself any more.
    pub(crate) fn unrecorded(&self) -> u64 {
        self.word(UNRECORDED).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    pub(crate) fn set_unrecorded(&self, count: u64) {
        if let Some(cell) = self.word(UNRECORDED) {
            cell.store(count, Ordering::Release);
        }
    }

    fn word(&self, at: usize) -> Option<&AtomicU64> {
        self.map.words().get(at)
    }

    pub(crate) fn ring(&self) -> Ring<'_> {
        let start = HEADER_WORDS + usize::try_from(self.shape.slots).unwrap_or(0) * self.slot_words;
        Ring {
            cells: self.map.words().get(start..).unwrap_or_default(),
            epoch: self.owner.epoch,
            lane: self.owner.number,
        }
    }

    pub(crate) fn slot(&self, number: u32) -> Option<Slot<'_>> {
        let start = HEADER_WORDS + usize::try_from(number).ok()? * self.slot_words;
        if number >= self.shape.slots {
            return None;
        }
        let cells = self.map.words().get(start..start + self.slot_words)?;
        Slot::new(cells, self.owner.epoch, self.owner.number, number)
    }

    /// Gives a free slot back to the owner, from any thread.
    pub(crate) fn give_back(&self, slot: u32) {
        let Some(next) = usize::try_from(slot).ok().and_then(|slot| self.next.get(slot)) else {
            return;
        };
        let mut top = self.returned.0.load(Ordering::Relaxed);
        loop {
            next.store(top, Ordering::Relaxed);
            let swapped = self.returned.0.compare_exchange_weak(top, slot, Ordering::Release, Ordering::Relaxed);
            match swapped {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// Takes all slots that were given back. Only the owner calls this, and it takes the whole stack, so that a slot that
    /// comes back in between cannot be mistaken for another.
    pub(crate) fn take_back(&self, into: &mut Vec<u32>) {
        let mut slot = self.returned.0.swap(NONE, Ordering::Acquire);
        while let Some(next) = usize::try_from(slot).ok().and_then(|slot| self.next.get(slot)) {
            into.push(slot);
            slot = next.load(Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
impl Lane {
    /// A lane as another version of the program makes it.
    pub(crate) fn create_of_another_version(path: &Path, owner: Owner, shape: Shape, slot_words: usize) -> Self {
        let (slots, ring) = (usize::try_from(shape.slots).unwrap(), usize::try_from(shape.ring_words).unwrap());
        let map = Map::create(path, HEADER_WORDS + slots * slot_words + ring).unwrap();
        Self::begin(map, owner, shape, slot_words, Weak::new())
    }

    /// Makes the file look as if another boot of the machine had left it.
    pub(crate) fn pretend_other_boot(&self) {
        let owner = Owner { boot: [1, 2], ..self.owner };
        for (cell, word) in self.map.words().iter().zip(header(owner, self.shape)) {
            cell.store(word, Ordering::Relaxed);
        }
    }
}

/// How long each slot is in a lane of this shape whose file has so many words. Nothing, if that is not the file of such a lane.
fn slot_words(words: usize, shape: Shape) -> Option<usize> {
    let ring = usize::try_from(shape.ring_words).ok()?;
    let table = words.checked_sub(HEADER_WORDS)?.checked_sub(ring)?;
    let slots = usize::try_from(shape.slots).ok()?;
    match table.checked_div(slots) {
        None => (table == 0).then_some(SLOT_WORDS),
        Some(each) => (each * slots == table && each > SLOT_WORDS_LEAST).then_some(each),
    }
}

/// Where the count of this commit stands: not where that of the one before does.
fn kept_at(sequence: u64) -> usize {
    let [even, odd] = KEPT;
    if sequence.is_multiple_of(2) { even } else { odd }
}

fn header(owner: Owner, shape: Shape) -> [u64; 9] {
    let Owner { epoch, boot, number } = owner;
    let Shape { slots, ring_words } = shape;
    let [first, second] = boot;
    let fields = [MAGIC, VERSION, epoch, u64::from(number), u64::from(slots), ring_words, first, second];
    let checksum = fields.iter().fold(0, |sum, field| crc32c::crc32c_append(sum, &field.to_le_bytes()));
    let [a, b, c, d, e, f, g, h] = fields;
    [a, b, c, d, e, f, g, h, u64::from(checksum)]
}

/// The boot that this machine is in, or zeros where it cannot be told: then nothing is taken to be of this boot.
pub(crate) fn this_boot() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let bits = u128::from_str_radix(&digits, 16).unwrap_or(0);
    [bits >> 64, bits & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or(0))
}
