use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::lane::Lane;
use crate::lane::local::{self, Ending};
use crate::lane::slot::State;
use crate::line::Line;
use crate::{End, Outcome, Unavailable};

/// A request in flight, from [`crate::Journal::begin`] to its one final record. It may be finished on any thread.
///
/// Dropped without [`Open::finish`], as a panic does, its record ends with `abandoned`. Once [`crate::Journal::cut_short`]
/// was called, whatever does not come to its end was ended by that, and its record says `shutdown`.
#[derive(Debug)]
#[must_use = "dropped, it records the request as abandoned"]
pub struct Open {
    lane: Arc<Lane>,
    slot: u32,
    id: u128,
    ended: bool,
}

/// Where the record of a request in flight is kept, for who says in the log that it has begun to flow.
#[derive(Clone, Debug)]
pub struct Witness {
    lane: Arc<Lane>,
    slot: u32,
    id: u128,
}

impl Witness {
    /// Records that the request has begun to flow, and with which status. To be called by what runs for the request, so
    /// that this comes before its final record.
    ///
    /// # Errors
    /// When there is no room for the record, or the request has its final record already.
    pub fn opened(&self, status: Option<u16>) -> Result<(), Unavailable> {
        let Self { lane, slot, id } = self;
        local::with(&lane.journal, |writer| writer.opened(lane, *slot, *id, status))?
    }
}

impl Open {
    pub(crate) const fn new(lane: Arc<Lane>, slot: u32, id: u128) -> Self {
        Self { lane, slot, id, ended: false }
    }

    /// To say that this request has begun to flow, as long as it is not finished.
    #[must_use]
    pub fn witness(&self) -> Witness {
        Witness { lane: Arc::clone(&self.lane), slot: self.slot, id: self.id }
    }

    /// Writes the final record. Call it when the response is over, whatever became of it. It always succeeds: what the
    /// ring cannot take stays in the place that was kept for this request.
    pub fn finish(mut self, outcome: &Outcome) {
        if outcome.end != End::Complete && self.is_cut_short() {
            // Whatever it looks like to who saw it end: sockets fail while a process ends.
            return self.end(Ending::Outcome(&Outcome { end: End::Shutdown, reason: None, ..*outcome }));
        }
        self.end(Ending::Outcome(outcome));
    }

    /// As if it were dropped, but with what is known of it by then.
    pub fn break_off(self, so_far: Outcome) {
        self.finish(&Outcome { end: End::Abandoned, ..so_far });
    }

    fn is_cut_short(&self) -> bool {
        self.lane.journal.upgrade().is_none_or(|journal| journal.cut_short.load(Ordering::Acquire))
    }

    /// Gives the place up without a record, which the caller writes by other means.
    pub(crate) fn forget(mut self) {
        self.ended = true;
        if let Some(slot) = self.lane.slot(self.slot)
            && slot.turn(State::Open, State::Free)
        {
            self.lane.one_more_closed();
            self.lane.give_back(self.slot);
        }
    }

    fn end(&mut self, ending: Ending<'_>) {
        self.ended = true;
        let (lane, slot) = (&self.lane, self.slot);
        let closed = local::with(&lane.journal, |writer| writer.close(lane, slot, ending));
        if !closed.unwrap_or(false) {
            self.end_in_place(ending);
        }
    }

    /// Leaves the record in the slot, for the committer to find. Allocates; it is not the usual way.
    fn end_in_place(&self, ending: Ending<'_>) {
        let Some(slot) = self.lane.slot(self.slot) else {
            return;
        };
        let mut line = Line::new();
        let held = slot.read(line.bytes_mut());
        let keep = held.map_or(0, |held| if ending.replaces_reason() { held.reason } else { held.length });
        line.clear();
        ending.write(&mut line);
        slot.end(line.as_bytes(), keep);
        if slot.turn(State::Open, State::Done) {
            self.lane.one_more_done();
        }
    }
}

#[cfg(test)]
impl Open {
    pub(crate) const fn place(&self) -> (&Arc<Lane>, u32) {
        (&self.lane, self.slot)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.ended {
            self.end(if self.is_cut_short() { Ending::Shutdown } else { Ending::Abandoned });
        }
    }
}
