use std::cell::RefCell;
use std::sync::{Arc, Weak};

use crate::journal::{Shared, Unavailable};
use crate::lane::ring::frame_words;
use crate::lane::slot::{Held, State};
use crate::lane::{Counts, Lane};
use crate::line::Line;
use crate::record::{self, Stage};
use crate::{Entry, Outcome};

thread_local! {
    /// This thread's lane in each journal: one, outside tests.
    static LEASES: RefCell<Vec<Lease>> = const { RefCell::new(Vec::new()) };
}

/// The owner's side of a lane. There is one at a time for each lane; between two threads it waits in the journal.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) lane: Arc<Lane>,
    head: u64,
    /// The tail as it was last seen: it can only have moved on since.
    tail: u64,
    free: Vec<u32>,
    line: Line,
}

/// A lane for as long as the thread lives. Then the next thread that wants one gets it, with what is open and unread.
#[derive(Debug)]
struct Lease(Option<Writer>);

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(writer) = self.0.take()
            && let Some(journal) = writer.lane.journal.upgrade()
        {
            journal.lane_is_vacant(writer);
        }
    }
}

/// How a request ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending<'a> {
    Abandoned,
    Outcome(&'a Outcome),
    Shutdown,
}

impl Ending<'_> {
    pub(crate) fn write(self, line: &mut Line) {
        match self {
            Self::Abandoned => line.raw(record::ABANDONED),
            Self::Outcome(outcome) => record::suffix(line, outcome),
            Self::Shutdown => line.raw(record::SHUTDOWN),
        }
    }

    pub(crate) const fn replaces_reason(self) -> bool {
        match self {
            Self::Abandoned | Self::Shutdown => false,
            Self::Outcome(outcome) => outcome.reason.is_some(),
        }
    }
}

/// A place in a lane's ring: what was written there is in the log once the committer is past it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub(crate) lane: u16,
    pub(crate) end: u64,
}

/// Lets this thread write into its lane, which is made at the first call.
pub(crate) fn with<T>(journal: &Weak<Shared>, act: impl FnOnce(&mut Writer) -> T) -> Result<T, Unavailable> {
    let run = |leases: &RefCell<Vec<Lease>>| {
        let mut leases = leases.try_borrow_mut().map_err(|_| Unavailable::Lanes)?;
        let known = |lease: &Lease| lease.0.as_ref().is_some_and(|writer| writer.lane.journal.ptr_eq(journal));
        if !leases.iter().any(known) {
            leases.retain(|lease| lease.0.as_ref().is_some_and(|writer| writer.lane.journal.strong_count() > 0));
            let journal = journal.upgrade().ok_or(Unavailable::Closed)?;
            leases.push(Lease(Some(journal.lane_for_a_thread()?)));
        }
        let lease = leases.iter_mut().find(|lease| known(lease)).and_then(|lease| lease.0.as_mut());
        lease.map(act).ok_or(Unavailable::Lanes)
    };
    LEASES.try_with(run).unwrap_or(Err(Unavailable::Lanes)) // this thread is going away
}

impl Writer {
    pub(crate) fn new(lane: Arc<Lane>) -> Self {
        Self { free: (0..lane.shape().slots).rev().collect(), lane, head: 0, tail: 0, line: Line::new() }
    }

    /// Writes down a request before it is forwarded. Answers its slot.
    pub(crate) fn open(&mut self, instance: &str, index: u64, entry: &Entry<'_>) -> Result<u32, Unavailable> {
        let keep_back = self.lane.shape().ring_words / 16;
        self.room(keep_back)?; // a committer that does not keep up is felt here, before anything is promised
        if self.free.is_empty() {
            self.lane.take_back(&mut self.free);
        }
        let number = self.free.pop().ok_or(Unavailable::Slots)?;
        self.line.clear();
        let reason = record::prefix(&mut self.line, instance, Stage::Final, entry);
        let held = Held { id: entry.id.as_u128(), index, reason, length: self.line.len() };
        let opened = self.lane.slot(number).is_some_and(|slot| slot.open(self.line.as_bytes(), held));
        if !opened {
            self.free.push(number);
            return Err(Unavailable::Slots);
        }
        let counts = &self.lane.counts.0;
        Counts::add(&counts.opened);
        self.lane.use_slot(number);
        Ok(number)
    }

    /// Publishes a request's final record, and frees its slot, which may be another lane's. Answers whether it could:
    /// the request is still open if not.
    pub(crate) fn close(&mut self, lane: &Arc<Lane>, number: u32, ending: Ending<'_>) -> bool {
        let Some(slot) = lane.slot(number) else {
            return false;
        };
        self.line.clear();
        let reason = slot.read_own(self.line.bytes_mut());
        if ending.replaces_reason() {
            self.line.truncate(reason);
        }
        ending.write(&mut self.line);
        if self.room(frame_words(self.line.len())).is_err() {
            return false;
        }
        let end = self.lane.ring().write(self.head, self.line.as_bytes());
        // ORDER: the state first, so that at no moment the record is published and the slot says that it has none.
        let closing = State::Closing { lane: self.lane.owner.number, end };
        if !slot.turn(State::Open, closing) {
            return true; // the committer was quicker, as the journal is closing: what lies beyond the head is nothing
        }
        self.publish(end);
        Counts::add(&self.lane.counts.0.finals);
        slot.set(State::Free);
        lane.one_more_closed();
        if Arc::ptr_eq(lane, &self.lane) {
            self.free.push(number);
        } else {
            lane.give_back(number);
        }
        true
    }

    /// Publishes a request's decision.
    pub(crate) fn decided(&mut self, instance: &str, entry: &Entry<'_>) -> Result<Position, Unavailable> {
        self.line.clear();
        record::prefix(&mut self.line, instance, Stage::Decided, entry);
        self.line.raw("}");
        self.append()
    }

    /// Publishes that a request has begun to flow, from what its slot says of it.
    pub(crate) fn opened(
        &mut self,
        lane: &Lane,
        number: u32,
        id: u128,
        status: Option<u16>,
    ) -> Result<(), Unavailable> {
        self.line.clear();
        let slot = lane.slot(number).filter(|slot| slot.state() == State::Open).ok_or(Unavailable::Slots)?;
        let held = slot.read(self.line.bytes_mut()).filter(|held| held.id == id).ok_or(Unavailable::Slots)?;
        debug_assert_eq!(held.length, self.line.len());
        if !record::opened(&mut self.line, status) {
            return Err(Unavailable::Slots);
        }
        self.append().map(|_| ())
    }

    /// Publishes the final record of a request that was answered at once.
    pub(crate) fn whole(&mut self, instance: &str, entry: &Entry<'_>, outcome: &Outcome) -> Result<(), Unavailable> {
        self.line.clear();
        let reason = record::prefix(&mut self.line, instance, Stage::Final, entry);
        if outcome.reason.is_some() {
            self.line.truncate(reason);
        }
        record::suffix(&mut self.line, outcome);
        self.append()?;
        Counts::add(&self.lane.counts.0.finals);
        Ok(())
    }

    /// Publishes a record that is written by the caller.
    pub(crate) fn record(&mut self, write: impl FnOnce(&mut Line)) -> Result<Position, Unavailable> {
        self.line.clear();
        write(&mut self.line);
        self.append()
    }

    fn append(&mut self) -> Result<Position, Unavailable> {
        self.room(frame_words(self.line.len()))?;
        let end = self.lane.ring().write(self.head, self.line.as_bytes());
        self.publish(end);
        Ok(Position { lane: self.lane.owner.number, end })
    }

    fn publish(&mut self, end: u64) {
        self.lane.publish(end);
        self.head = end;
        if self.head - self.tail > self.lane.shape().ring_words / 2 {
            self.tail = self.lane.tail();
            if self.head - self.tail > self.lane.shape().ring_words / 2
                && let Some(journal) = self.lane.journal.upgrade()
            {
                journal.wake();
            }
        }
    }

    /// Whether the ring takes so many words more.
    fn room(&mut self, words: u64) -> Result<(), Unavailable> {
        let size = self.lane.shape().ring_words;
        if self.head - self.tail + words > size {
            self.tail = self.lane.tail();
        }
        if self.head - self.tail + words > size {
            return Err(Unavailable::Ring);
        }
        Ok(())
    }
}
