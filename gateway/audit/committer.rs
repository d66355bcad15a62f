use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::NotClosed;
use crate::journal::{Shared, Unavailable};
use crate::lane::Lane;
use crate::lane::slot::State;
use crate::line::Line;
use crate::log::Log;
use crate::record;

/// A batch is brought to disk when it has so many bytes, even if more is waiting.
const BATCH_BYTES: usize = 4 << 20;

/// The one writer of the log: takes what the lanes hold, brings it to disk in batches, and only then lets the lanes and
/// whoever waits know.
///
/// [`Committer::run`] wants a thread of the operating system for itself. Without it nothing is lost, but nothing gets
/// into the log either.
#[derive(Debug)]
pub struct Committer {
    shared: Arc<Shared>,
    log: Log,
    cursors: Vec<Cursor>,
    /// Slots whose record is in the batch.
    collected: Vec<(Arc<Lane>, u32)>,
    gap: Gap,
    failing: Option<Failing>,
    scratch: Line,
}

/// How far one lane is read.
#[derive(Debug)]
struct Cursor {
    lane: Arc<Lane>,
    read: u64,
    /// What is in the log. INVARIANT: the lane's tail is never beyond this.
    committed: u64,
}

/// What the log has to own up to in its next batch.
#[derive(Debug, Default)]
struct Gap {
    /// How many of [`crate::Stats::unrecorded`] the log knows of.
    told: u64,
    /// Bytes of lanes, or records in slots, that could not be read back.
    unreadable: u64,
    /// Why the log could not be written in between.
    why: Option<String>,
}

#[derive(Debug)]
struct Failing {
    tried: Instant,
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>, log: Log) -> Self {
        Self {
            shared,
            log,
            cursors: Vec::new(),
            collected: Vec::new(),
            gap: Gap::default(),
            failing: None,
            scratch: Line::new(),
        }
    }

    /// Works until the journal is closed and everything is in the log.
    ///
    /// # Errors
    /// When the last records could not be brought to disk: they are in the lanes, for the next start.
    pub fn run(mut self) -> Result<(), NotClosed> {
        let shared = Arc::clone(&self.shared);
        drop(shared.committer.set(thread::current()));
        loop {
            let closing = shared.closing.load(Ordering::Acquire);
            let more = self.turn();
            if closing {
                break;
            }
            if !more {
                thread::park_timeout(shared.settings.commit_interval);
            }
        }
        let well = self.close();
        *shared.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(well);
        shared.has_ended.notify_all();
        shared.waiters.fail(Unavailable::Closed);
        if well { Ok(()) } else { Err(NotClosed::Failed) }
    }

    /// Brings to disk what there is. Answers whether there is more.
    pub(crate) fn turn(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        if let Some(failing) = &self.failing
            && failing.tried.elapsed() < shared.settings.retry
        {
            shared.waiters.fail(Unavailable::Failing);
            return false;
        }
        shared.looks_now();
        if self.failing.is_some()
            && let Err(error) = self.log.heal(&self.positions(), shared.clock.now())
        {
            self.fail(&error);
            return false;
        }
        let more = self.collect();
        self.own_up();
        self.commit() && more
    }

    /// Takes what the lanes hold into the batch.
    pub(crate) fn collect(&mut self) -> bool {
        let known = self.cursors.len();
        let new = self.shared.lanes().all.get(known..).unwrap_or_default().to_vec();
        self.cursors.extend(new.into_iter().map(|lane| Cursor { lane, read: 0, committed: 0 }));
        let mut more = false;
        for at in 0..self.cursors.len() {
            more |= self.collect_ring(at);
            self.collect_slots(at, State::Done);
        }
        more
    }

    fn collect_ring(&mut self, at: usize) -> bool {
        let Some(cursor) = self.cursors.get_mut(at) else {
            return false;
        };
        let head = cursor.lane.head();
        while cursor.read < head {
            if self.log.batch_bytes() > BATCH_BYTES {
                return true;
            }
            self.scratch.clear();
            match cursor.lane.ring().read(cursor.read, head, self.scratch.bytes_mut()) {
                Some(next) => {
                    self.log.record(self.scratch.as_bytes());
                    cursor.read = next;
                }
                None => {
                    self.gap.unreadable += (head - cursor.read) * 8;
                    cursor.read = head;
                }
            }
        }
        false
    }

    /// Takes the final records of all slots in this state: those that no ring could take, or those still open.
    fn collect_slots(&mut self, at: usize, state: State) {
        let Some(lane) = self.cursors.get(at).map(|cursor| Arc::clone(&cursor.lane)) else {
            return;
        };
        if state == State::Done && lane.done.load(Ordering::Acquire) == 0 {
            return;
        }
        let sequence = self.log.next_sequence();
        for number in 0..lane.counts.0.slots_used.load(Ordering::Relaxed) {
            let Some(slot) = lane.slot(number) else {
                continue;
            };
            if slot.state() != state || !slot.turn(state, State::Collected { sequence }) {
                continue;
            }
            if state == State::Done {
                lane.done.fetch_sub(1, Ordering::Relaxed);
            }
            self.scratch.clear();
            let held = match state {
                State::Open => slot.cut_short(self.scratch.bytes_mut()), // only a journal that closes collects these
                State::Closing { .. } | State::Collected { .. } | State::Done | State::Free => {
                    slot.finished(self.scratch.bytes_mut())
                }
            };
            match held {
                Some(_) => self.log.record(self.scratch.as_bytes()),
                None => self.gap.unreadable += 1,
            }
            self.collected.push((Arc::clone(&lane), number));
        }
    }

    /// Puts into the log what is missing from it.
    fn own_up(&mut self) {
        let unrecorded = self.shared.counters.unrecorded.load(Ordering::Relaxed) - self.gap.told;
        if unrecorded == 0 && self.gap.unreadable == 0 && self.gap.why.is_none() {
            return;
        }
        self.own("log.gap", |line, gap| {
            line.number(r#","unrecorded":"#, unrecorded);
            line.number(r#","unreadable":"#, gap.unreadable);
            if let Some(why) = &gap.why {
                line.text(r#","why":""#, why, 200);
            }
        });
        if self.gap.unreadable > 0 {
            tracing::error!(unreadable = self.gap.unreadable, "records could not be read back from memory");
        }
    }

    fn own(&mut self, kind: &'static str, fields: impl FnOnce(&mut Line, &Gap)) {
        let (now, instance) = (self.shared.clock.now(), &self.shared.settings.instance);
        record::own(&mut self.scratch, kind, now, instance);
        fields(&mut self.scratch, &self.gap);
        self.scratch.raw("}");
        self.log.record(self.scratch.as_bytes());
    }

    /// Brings the batch to disk, then lets everybody know. Answers whether the log is well.
    pub(crate) fn commit(&mut self) -> bool {
        if self.log.batched() > 0 || self.failing.is_some() {
            let unrecorded = self.shared.counters.unrecorded.load(Ordering::Relaxed);
            let positions: Vec<_> = self.cursors.iter().map(|at| (at.lane.owner.number, at.read)).collect();
            let started = Instant::now();
            if let Err(error) = self.log.commit(&positions, self.shared.clock.now()) {
                self.fail(&error);
                return false;
            }
            self.shared.counters.committed(started.elapsed());
            self.gap = Gap { told: unrecorded, ..Gap::default() };
            self.advance();
        }
        let committed = |lane: u16| self.cursors.get(usize::from(lane)).map_or(0, |cursor| cursor.committed);
        self.shared.waiters.settle(committed);
        if self.log.tip().length < self.shared.settings.segment_bytes {
            return true;
        }
        let rolled = self.log.roll(&self.positions(), self.shared.clock.now());
        if let Err(error) = &rolled {
            self.fail(error);
        }
        rolled.is_ok()
    }

    /// ORDER: after the sync. What the lanes hold up to here may be overwritten.
    pub(crate) fn advance(&mut self) {
        let shared = &*self.shared;
        shared.records.store(self.log.tip().records, Ordering::Relaxed);
        for cursor in &mut self.cursors {
            cursor.committed = cursor.read;
            cursor.lane.tail.0.store(cursor.committed, Ordering::Release);
        }
        for (lane, number) in self.collected.drain(..) {
            if let Some(slot) = lane.slot(number) {
                slot.set(State::Free);
            }
            shared.counters.finals.fetch_add(1, Ordering::Relaxed);
            lane.closed.0.fetch_add(1, Ordering::Relaxed);
            lane.give_back(number);
        }
        if self.failing.take().is_some() {
            tracing::info!("the audit log can be written again");
            shared.lanes_blocked.store(false, Ordering::Relaxed);
            shared.counters.healthy.store(true, Ordering::Release);
        }
    }

    /// FAIL CLOSED: nothing is promised and no request is begun until the log can be written again. What the lanes hold
    /// stays there.
    fn fail(&mut self, error: &io::Error) {
        let shared = &*self.shared;
        shared.counters.healthy.store(false, Ordering::Release);
        shared.counters.failures.fetch_add(1, Ordering::Relaxed);
        tracing::error!(path = %self.log.segment_path().display(), %error, "the audit log cannot be written");
        self.gap.why = Some(error.to_string());
        self.failing = Some(Failing { tried: Instant::now() });
        for cursor in &mut self.cursors {
            cursor.read = cursor.committed;
        }
        for (lane, number) in self.collected.drain(..) {
            if let Some(slot) = lane.slot(number) {
                slot.set(State::Done);
                lane.done.fetch_add(1, Ordering::Release);
            }
        }
        shared.waiters.fail(Unavailable::Failing);
    }

    /// The batch on disk and nobody told: where a crash may come.
    #[cfg(test)]
    pub(crate) fn commit_only(&mut self) {
        let positions: Vec<_> = self.cursors.iter().map(|at| (at.lane.owner.number, at.read)).collect();
        self.log.commit(&positions, self.shared.clock.now()).unwrap();
    }

    fn positions(&self) -> Vec<(u16, u64)> {
        let position = |cursor: &Cursor| (cursor.lane.owner.number, cursor.committed);
        self.cursors.iter().map(position).collect()
    }

    /// Brings the rest to disk: what is published, what is still open, and the end of the log.
    fn close(&mut self) -> bool {
        if let Some(failing) = &mut self.failing {
            failing.tried -= self.shared.settings.retry.min(Duration::from_secs(3600)); // once more, at once
        }
        while self.turn() {}
        for at in 0..self.cursors.len() {
            self.collect_slots(at, State::Open);
        }
        self.collect();
        self.own("log.closed", |_, _| {});
        self.failing.is_none() && self.commit()
    }
}
