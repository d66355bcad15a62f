use std::fs;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::accounts::{Accounts, Net, Told};
use crate::beside::{Beside, Look};
use crate::handover::Role;
use crate::journal::{Shared, Unavailable};
use crate::lane::slot::State;
use crate::lane::{Lane, Owner};
use crate::line::Line;
use crate::log::{Log, Sealed};
use crate::segment::commit::{Commit, Run};
use crate::{NotClosed, Settings, record, recover};

/// A batch is brought to disk when it has so many bytes, even if more is waiting.
const BATCH_BYTES: usize = 4 << 20;

/// How often lanes are looked at whose owners cannot wake this thread.
const BESIDE: Duration = Duration::from_millis(2);

/// The one writer of the log: takes what the lanes hold, brings it to disk in batches, and only then lets the lanes and
/// whoever waits know.
///
/// [`Committer::run`] wants a thread of the operating system for itself. Without it nothing is lost, but nothing gets
/// into the log either.
#[derive(Debug)]
pub struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) log: Log,
    cursors: Vec<Cursor>,
    /// Runs of other processes, whose lanes are collected, too.
    pub(crate) beside: Vec<Beside>,
    /// From where lanes are read that were there before this committer was.
    start: Option<Commit>,
    /// Slots whose record is in the batch.
    collected: Vec<(Arc<Lane>, u32)>,
    gap: Gap,
    pub(crate) accounts: Accounts,
    /// What was closed for good and is not told of yet.
    sealed: Option<Sealed>,
    failing: Option<Failing>,
    /// When it was last tried to make a lane in place of one that could not be made.
    lanes_tried: Instant,
    scratch: Line,
}

/// How far one lane is read.
#[derive(Debug)]
struct Cursor {
    lane: Arc<Lane>,
    read: u64,
    /// What is in the log. INVARIANT: the lane's tail is never beyond this.
    committed: u64,
    /// Final records in the batch.
    finals: u64,
    /// Those that were in the log when this committer began with the lane.
    settled_before: u64,
}

impl Cursor {
    fn lane(&self) -> (&Lane, u64) {
        (&self.lane, self.settled_before)
    }
}

/// What the log has to own up to in its next batch.
#[derive(Debug, Default)]
struct Gap {
    /// How many of [`crate::Stats::unrecorded`] the log knows of.
    told: u64,
    /// How many it knows of with the batch.
    telling: u64,
    /// How many requests without a record the batch tells of.
    batched: u64,
    /// Those that a process had counted which is gone.
    inherited: u64,
    /// Bytes of lanes, or records in slots, that could not be read back.
    unreadable: u64,
    /// Why the log could not be written in between.
    why: Option<String>,
}

/// Up to where a commit speaks.
#[derive(Clone, Copy, Debug)]
enum Until {
    /// What is on disk already.
    Committed,
    /// What the batch brings there.
    Read,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Health {
    Failing,
    Well,
}

#[derive(Debug)]
struct Failing {
    tried: Instant,
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>, log: Log, beside: Vec<Beside>) -> Self {
        Self {
            shared,
            log,
            cursors: Vec::new(),
            beside,
            start: None,
            collected: Vec::new(),
            gap: Gap::default(),
            accounts: Accounts::default(),
            sealed: None,
            failing: None,
            lanes_tried: Instant::now(),
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
        let well = loop {
            let closing = shared.closing.load(Ordering::Acquire);
            shared.counters.beat();
            match shared.role() {
                Role::Writing => {
                    let more = self.turn();
                    if closing {
                        break self.close();
                    }
                    if !more {
                        thread::park_timeout(self.pause());
                    }
                }
                Role::GivingUp => {
                    let given = self.give_up();
                    shared.has_given_up(given);
                }
                Role::Watching => {
                    self.watch();
                    if closing && self.is_settled() {
                        break true; // the end of the log is for the other process to write
                    }
                    thread::park_timeout(self.pause());
                }
                Role::TakingBack => match self.take_back() {
                    Ok(()) => shared.becomes(Role::Writing),
                    Err(error) => {
                        tracing::error!(error = terms::chain(&error), "the audit log cannot be taken back");
                        shared.counters.healthy.store(false, Ordering::Release);
                        if closing {
                            break false;
                        }
                        thread::park_timeout(shared.settings.retry);
                    }
                },
            }
        };
        *shared.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(well);
        shared.has_ended.notify_all();
        shared.waiters.fail(Unavailable::Closed);
        if well { Ok(()) } else { Err(NotClosed::Failed) }
    }

    /// How long there may be nothing to do. Another process cannot wake this one.
    fn pause(&self) -> Duration {
        let interval = self.shared.settings.commit_interval;
        let alone = self.beside.is_empty() && self.shared.role() == Role::Writing;
        if alone { interval } else { interval.min(BESIDE) }
    }

    pub(crate) const fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// Where to begin with the lanes that this commit names.
    pub(crate) fn begin_at(&mut self, last: &Commit) {
        self.start = Some(last.clone());
    }

    pub(crate) fn forget_cursors(&mut self) {
        self.cursors.clear();
        self.collected.clear();
        self.failing = None;
    }

    /// Requests without a record that the log does not know of.
    pub(crate) fn untold(&self) -> u64 {
        self.shared.counters.unrecorded.load(Ordering::Relaxed) - self.gap.told
    }

    fn is_own(&self, lane: &Lane) -> bool {
        lane.owner.epoch == self.shared.epoch
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
        if shared.lanes_blocked.load(Ordering::Relaxed) && self.lanes_tried.elapsed() >= shared.settings.retry {
            self.lanes_tried = Instant::now();
            shared.try_lanes_again();
        }
        if self.failing.is_some()
            && let Err(error) = self.log.heal(&self.runs(Until::Committed), shared.clock.now())
        {
            self.fail(&error);
            return false;
        }
        let more = self.collect();
        self.own_up();
        let more = self.commit() && more;
        if !more && !self.is_failing() {
            self.bury();
        }
        more
    }

    /// Takes what the lanes hold into the batch.
    pub(crate) fn collect(&mut self) -> bool {
        let known = self.cursors.iter().filter(|cursor| self.is_own(&cursor.lane)).count();
        let new = self.shared.lanes().all.get(known..).unwrap_or_default().to_vec();
        self.follow(new);
        self.look_beside(Look::NowAndThen);
        let mut more = false;
        for at in 0..self.cursors.len() {
            more |= self.collect_ring(at);
            self.collect_slots(at, State::Done);
        }
        more
    }

    fn follow(&mut self, lanes: Vec<Arc<Lane>>) {
        for lane in lanes {
            let Owner { epoch, number, .. } = lane.owner;
            let from = self.start.as_ref().map_or(0, |start| start.position(epoch, number));
            let settled_before = lane.settled();
            self.cursors.push(Cursor { lane, read: from, committed: from, finals: 0, settled_before });
        }
    }

    /// Finds the lanes of other runs.
    fn look_beside(&mut self, look: Look) {
        let mut found = Vec::new();
        for run in &mut self.beside {
            match run.new_lanes(&self.shared.settings.directory, look) {
                Ok(lanes) => found.extend(lanes.into_iter().map(Arc::new)),
                Err(error) => tracing::error!(error = terms::chain(&error), "lanes cannot be looked for"),
            }
        }
        self.follow(found);
    }

    /// Ends the first run whose process is gone: what it left in flight becomes a record, and no commit names it any more.
    fn bury(&mut self) {
        let Some(epoch) = self.beside.iter().find(|run| run.is_gone()).map(|run| run.epoch) else {
            return;
        };
        // ORDER: once more, as it may have written until it was gone; and to disk, before the slots are looked at.
        self.look_beside(Look::Now);
        while self.collect() {
            if !self.commit() {
                return;
            }
        }
        if !self.commit() {
            return;
        }
        let of_run = |cursor: &&Cursor| cursor.lane.owner.epoch == epoch;
        let lanes: Vec<_> = self.cursors.iter().filter(of_run).map(|cursor| Arc::clone(&cursor.lane)).collect();
        let sequence = self.log.tip().sequence;
        let owed = recover::in_flight(&lanes, sequence, &mut self.gap.unreadable);
        for (_, text) in &owed {
            self.log.record(text);
        }
        let unrecorded = lanes.iter().map(|lane| lane.unrecorded()).sum();
        let came = Net::of(self.cursors.iter().filter(of_run).map(Cursor::lane));
        let since = |cursor: &Cursor| cursor.lane.settled() - cursor.settled_before + cursor.finals;
        let finals = self.cursors.iter().filter(of_run).map(since).sum::<u64>() + owed.len() as u64;
        self.accounts.owed = owed.len() as u64;
        self.gap.inherited = unrecorded + self.accounts.bury(came, finals, unrecorded);
        self.own_up();
        let mut runs = self.runs(Until::Read);
        runs.retain(|run| run.epoch != epoch);
        if !self.bring(&runs) {
            return;
        }
        // ORDER: the log names the run no more, so what its lanes hold is not looked at again.
        self.cursors.retain(|cursor| cursor.lane.owner.epoch != epoch);
        self.beside.retain(|run| run.epoch != epoch);
        for lane in lanes {
            let path = self.shared.lane_path(lane.owner);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "a lane that is not needed any more stays");
            }
        }
        tracing::info!(interrupted = owed.len(), "the process that had the audit log before has ended");
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
                    cursor.finals += u64::from(record::is_final(self.scratch.as_bytes()));
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
        if state == State::Done && lane.done() == 0 {
            return;
        }
        let sequence = self.log.next_sequence();
        for number in 0..lane.slots_used() {
            let Some(slot) = lane.slot(number) else {
                continue;
            };
            if slot.state() != state || !slot.turn(state, State::Collected { sequence }) {
                continue;
            }
            if state == State::Done {
                lane.one_less_done();
            }
            self.scratch.clear();
            let held = match state {
                State::Open => slot.cut_short(self.scratch.bytes_mut()), // only a journal that closes collects these
                State::Closing { .. } | State::Collected { .. } | State::Done | State::Free => {
                    slot.finished(self.scratch.bytes_mut())
                }
            };
            match held {
                Some(_) => {
                    self.log.record(self.scratch.as_bytes());
                    if let Some(cursor) = self.cursors.get_mut(at) {
                        cursor.finals += 1;
                    }
                }
                None => self.gap.unreadable += 1,
            }
            self.collected.push((Arc::clone(&lane), number));
        }
    }

    /// Puts into the log what is missing from it.
    fn own_up(&mut self) {
        if let Some(Sealed { first, records, bytes }) = self.sealed {
            self.own("segment.sealed", |line, _| {
                line.number(r#","first":"#, first);
                line.number(r#","records":"#, records);
                line.number(r#","bytes":"#, bytes);
            });
        }
        self.own_up_to_gaps();
        if self.accounts.is_due(self.shared.settings.heartbeat) {
            self.account("log.heartbeat");
        }
    }

    /// How many requests came in, and how many final records there are with those of the batch.
    pub(crate) fn account(&mut self, kind: &'static str) {
        let batched = self.cursors.iter().map(|cursor| cursor.finals).sum();
        // ORDER: after the batch was made, so that each of its requests is among those that came in.
        let told = self.accounts.tell(batched, Net::of(self.cursors.iter().map(Cursor::lane)));
        self.own(kind, |line, _| {
            if let Some(Told { requests, finals }) = told {
                line.number(r#","requests":"#, requests);
                line.number(r#","finals":"#, finals);
            }
        });
    }

    fn own_up_to_gaps(&mut self) {
        let untold = self.untold();
        let unrecorded = untold + self.gap.inherited;
        if unrecorded == 0 && self.gap.unreadable == 0 && self.gap.why.is_none() {
            return;
        }
        self.gap.telling = self.gap.told + untold; // not what is counted by the time that the batch is on disk
        self.gap.batched = unrecorded;
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
        if (self.log.batched() > 0 || self.failing.is_some()) && !self.bring(&self.runs(Until::Read)) {
            return false;
        }
        let own: Vec<_> = self.cursors.iter().filter(|cursor| self.is_own(&cursor.lane)).collect();
        let committed = |lane: u16| own.get(usize::from(lane)).map_or(0, |cursor| cursor.committed);
        self.shared.waiters.settle(committed);
        let Settings { segment_bytes, seal_after, .. } = self.shared.settings;
        !self.log.is_full(segment_bytes, seal_after, self.shared.clock.now()) || self.roll()
    }

    /// Brings the batch to disk with a commit that names these runs.
    fn bring(&mut self, runs: &[Run]) -> bool {
        let started = Instant::now();
        if let Err(error) = self.log.commit(runs, self.shared.clock.now()) {
            self.fail(&error);
            return false;
        }
        self.shared.counters.committed(started.elapsed());
        let Gap { telling, batched, .. } = std::mem::take(&mut self.gap);
        (self.gap.told, self.gap.telling) = (telling, telling);
        self.accounts.owned_up(batched);
        self.sealed = None;
        self.advance();
        self.keep_accounts(runs.len());
        true
    }

    pub(crate) fn roll(&mut self) -> bool {
        let runs = self.runs(Until::Committed);
        match self.log.roll(&runs, self.shared.clock.now()) {
            Ok(sealed) => {
                self.sealed = Some(sealed);
                self.keep_accounts(runs.len());
            }
            Err(error) => {
                self.fail(&error);
                return false;
            }
        }
        true
    }

    /// ORDER: after the sync. For the next run to tell of, if this one is cut off.
    pub(crate) fn keep_accounts(&self, runs: usize) {
        let sequence = self.log.tip().sequence;
        self.shared.first_lane(|lane| match self.accounts.kept(runs) {
            Some(kept) => lane.keep(sequence, kept),
            None => lane.keep_nothing(),
        });
    }

    /// ORDER: after the sync. What the lanes hold up to here may be overwritten.
    pub(crate) fn advance(&mut self) {
        let shared = &*self.shared;
        shared.records.store(self.log.tip().records, Ordering::Relaxed);
        for cursor in &mut self.cursors {
            cursor.committed = cursor.read;
            cursor.lane.settle(cursor.finals);
            cursor.lane.set_tail(cursor.committed);
        }
        self.accounts.committed(self.cursors.iter_mut().map(|cursor| std::mem::take(&mut cursor.finals)).sum());
        for (lane, number) in self.collected.drain(..) {
            if let Some(slot) = lane.slot(number) {
                slot.set(State::Free);
            }
            if lane.owner.epoch == shared.epoch {
                shared.counters.finals.fetch_add(1, Ordering::Relaxed);
            }
            lane.one_more_closed();
            lane.give_back(number);
        }
        if self.failing.take().is_some() {
            tracing::info!("the audit log can be written again");
            shared.counters.healthy.store(true, Ordering::Release);
            self.tell_beside(Health::Well);
        }
    }

    /// Lets the owners of other lanes know how the log is.
    fn tell_beside(&self, health: Health) {
        for lane in self.cursors.iter().map(|cursor| &cursor.lane).filter(|lane| !self.is_own(lane)) {
            lane.set_failing(health == Health::Failing);
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
            cursor.finals = 0;
        }
        self.accounts.owed = 0;
        for (lane, number) in self.collected.drain(..) {
            if let Some(slot) = lane.slot(number) {
                slot.set(State::Done);
                lane.one_more_done();
            }
        }
        shared.waiters.fail(Unavailable::Failing);
        self.tell_beside(Health::Failing);
    }

    /// The batch on disk and nobody told: where a crash may come.
    #[cfg(test)]
    pub(crate) fn commit_only(&mut self) {
        let runs = self.runs(Until::Read);
        self.log.commit(&runs, self.shared.clock.now()).unwrap();
    }

    /// The runs that may hold more than the log, each with how far its lanes are in it.
    fn runs(&self, until: Until) -> Vec<Run> {
        let epochs = [self.shared.epoch].into_iter().chain(self.beside.iter().map(|run| run.epoch));
        let lanes = |epoch: u64| {
            let of_run = self.cursors.iter().filter(move |cursor| cursor.lane.owner.epoch == epoch);
            let position = |cursor: &Cursor| match until {
                Until::Committed => cursor.committed,
                Until::Read => cursor.read,
            };
            of_run.map(|cursor| (cursor.lane.owner.number, position(cursor))).collect()
        };
        epochs.map(|epoch| Run { epoch, lanes: lanes(epoch) }).collect()
    }

    /// Brings the rest to disk: what is published, what is still open, and the end of the log.
    fn close(&mut self) -> bool {
        if let Some(failing) = &mut self.failing {
            failing.tried -= self.shared.settings.retry.min(Duration::from_secs(3600)); // once more, at once
        }
        while self.turn() {}
        for at in 0..self.cursors.len() {
            if self.cursors.get(at).is_some_and(|cursor| self.is_own(&cursor.lane)) {
                self.collect_slots(at, State::Open);
            }
        }
        self.collect();
        self.own_up_to_gaps();
        if self.beside.is_empty() {
            self.account("log.closed");
        } // or the process that lives on has the log again as soon as this one has ended, and closes it
        self.failing.is_none() && self.commit()
    }
}
