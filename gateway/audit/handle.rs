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
    /// `None`: it has ended, or never had a place.
    place: Option<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    lane: Arc<Lane>,
    slot: u32,
    id: u128,
}

/// Where the record of a request in flight is kept, for who says in the log that it has begun to flow.
#[derive(Clone, Debug)]
pub struct Witness(Option<Place>);

impl Witness {
    /// Records that the request has begun to flow, and with which status. To be called by what runs for the request, so
    /// that this comes before its final record.
    ///
    /// # Errors
    /// When there is no room for the record, or the request has its final record already.
    pub fn opened(&self, status: Option<u16>) -> Result<(), Unavailable> {
        let Some(Place { lane, slot, id }) = &self.0 else {
            return Ok(()); // it was counted as one without a record when it began
        };
        local::with(&lane.journal, |writer| writer.opened(lane, *slot, *id, status))?
    }
}

impl Open {
    pub(crate) const fn new(lane: Arc<Lane>, slot: u32, id: u128) -> Self {
        Self { place: Some(Place { lane, slot, id }) }
    }

    /// A request that goes on without a record, and was counted as such.
    pub(crate) const fn unrecorded() -> Self {
        Self { place: None }
    }

    /// To say that this request has begun to flow, as long as it is not finished.
    #[must_use]
    pub fn witness(&self) -> Witness {
        Witness(self.place.clone())
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
        self.place.as_ref().is_some_and(Place::is_cut_short)
    }

    /// Gives the place up without a record, which the caller writes by other means.
    pub(crate) fn forget(mut self) {
        if let Some(Place { lane, slot, .. }) = self.place.take()
            && let Some(held) = lane.slot(slot)
            && held.turn(State::Open, State::Free)
        {
            lane.one_more_closed();
            lane.give_back(slot);
        }
    }

    fn end(&mut self, ending: Ending<'_>) {
        if let Some(place) = self.place.take() {
            place.end(ending);
        }
    }
}

impl Place {
    fn is_cut_short(&self) -> bool {
        self.lane.journal.upgrade().is_none_or(|journal| journal.cut_short.load(Ordering::Acquire))
    }

    fn end(&self, ending: Ending<'_>) {
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
    pub(crate) fn place(&self) -> (&Arc<Lane>, u32) {
        let Place { lane, slot, .. } = self.place.as_ref().unwrap();
        (lane, *slot)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let ending = if self.is_cut_short() { Ending::Shutdown } else { Ending::Abandoned };
        self.end(ending);
    }
}
