use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::Thread;
use std::time::Duration;

use terms::{Clock, IssuerId, Subject};

use crate::handover::Role;
use crate::lane::local::{self, Writer};
use crate::lane::{LANES_MAX, Lane, Owner, Shape};
use crate::stats::Counters;
use crate::strict::Waiters;
use crate::{Cause, Entry, LogKey, Note, Open, Outcome, Pseudonym, Stats, record};

/// Where the log is and how much room it may take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of the log. It is made if it is not there; one process at a time may have it.
    pub directory: PathBuf,
    /// What this gateway is called in records: 1 to 64 of letters, digits and `_ - . : /`.
    pub instance: String,
    /// How large a segment grows before the next one begins.
    pub segment_bytes: u64,
    /// How many bytes of records a thread may be ahead of the committer. Taken on the disk for each thread.
    pub ring_bytes: u32,
    /// How many requests a thread may have in flight. Each takes 2 KiB on the disk, for each thread.
    pub in_flight: u32,
    /// How many threads may write records.
    pub threads: u16,
    /// How long a record of a standard route may wait for the disk.
    pub commit_interval: Duration,
    /// How long a request on a strict route may wait for the disk.
    pub strict_timeout: Duration,
    /// How long after a failure the log is tried again.
    pub retry: Duration,
    /// How often the log says that it is there, and counts: whoever takes records from its end, or keeps some out, is
    /// found by that.
    pub heartbeat: Duration,
    /// When a segment is closed for good, however small it is.
    pub seal_after: Duration,
    /// Who or what has started this process: the log says so where it begins to write.
    pub by: Cause,
}

impl Settings {
    /// The usual sizes: segments of 64 MiB, rings of 8 MiB, 8,192 requests in flight for each of up to 256 threads.
    #[must_use]
    pub fn new(directory: PathBuf, instance: String) -> Self {
        Self {
            directory,
            instance,
            segment_bytes: 64 << 20,
            ring_bytes: 8 << 20,
            in_flight: 8_192,
            threads: 256,
            commit_interval: Duration::from_millis(20),
            strict_timeout: Duration::from_secs(2),
            retry: Duration::from_secs(1),
            heartbeat: Duration::from_secs(60),
            seal_after: Duration::from_secs(24 * 3_600),
            by: Cause::Unknown,
        }
    }
}

/// Why a request cannot be recorded, and so is not served: `audit.unavailable`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unavailable {
    /// The journal is closed.
    #[error("the audit log is closed")]
    Closed,
    /// The log is not what was signed for.
    #[error("the audit log is not what its checkpoint says")]
    Distrusted,
    /// The disk is full or broken.
    #[error("the audit log cannot be written")]
    Failing,
    /// This thread has no lane and cannot get one.
    #[error("no more threads can write to the audit log")]
    Lanes,
    /// The committer does not keep up.
    #[error("too much waits for the audit log's disk")]
    Ring,
    /// The subject vault does not say what the log has of somebody.
    #[error("the subject vault cannot be asked")]
    Subjects,
    /// Too many requests are in flight on this thread.
    #[error("too many requests are in flight for the audit log")]
    Slots,
    /// The decision was not on disk in time.
    #[error("the audit log's disk did not answer in time")]
    Timeout,
}

/// Why a log is not gone on with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Doubt {
    /// A look at all of it, or at its edge, has found something else than what was signed for.
    Reread = 1,
    /// Somebody else has seen another history of it. That what is here is whole does not refute it.
    Witness = 2,
}

/// The request path's side of the log. Writing to it takes no lock and no system call.
#[derive(Debug)]
pub struct Journal {
    pub(crate) shared: Arc<Shared>,
}

impl Journal {
    /// Counts a request that came in, before any of it is looked at. The log tells the count, so that whoever reads it sees
    /// that each has its record.
    pub fn arrived(&self) {
        if local::with(&self.shared.me, |writer| writer.lane.one_more_arrived()).is_err() {
            self.shared.first_lane(Lane::one_more_elsewhere); // a thread that has no lane
        }
    }

    /// Counts one of those that came in as another log's.
    pub(crate) fn left(&self) {
        if local::with(&self.shared.me, |writer| writer.lane.one_more_left()).is_err() {
            self.shared.first_lane(Lane::one_more_left_elsewhere);
        }
    }

    /// Writes down a request that is going to be forwarded or answered. From here on it has a final record, whatever
    /// happens: what [`Open::finish`] says, or `abandoned`, or `interrupted`.
    ///
    /// # Errors
    /// When it cannot be recorded. It must not be served then, and its refusal goes through [`Journal::whole`].
    pub fn begin(&self, entry: &Entry<'_>) -> Result<Open, Unavailable> {
        let shared = &*self.shared;
        shared.accepts()?;
        local::with(&shared.me, |writer| shared.open(writer, entry))?
    }

    /// As [`Journal::begin`], also while the disk fails, as long as there is room in memory. Then the record survives the end
    /// of the process and not that of the machine, and the log gets it when it can be written again.
    ///
    /// # Errors
    /// As [`Journal::begin`], but for a disk that fails.
    pub fn begin_spilling(&self, entry: &Entry<'_>) -> Result<Open, Unavailable> {
        let shared = &*self.shared;
        shared.is_trusted()?;
        let open = local::with(&shared.me, |writer| shared.open(writer, entry))??;
        if !shared.is_healthy() {
            shared.counters.spilled.fetch_add(1, Ordering::Relaxed);
        }
        Ok(open)
    }

    /// As [`Journal::begin_spilling`]. While the disk fails and there is no room in memory, the request is counted in place of a
    /// record ([`Stats::unrecorded`]), and the log will say how many they were.
    ///
    /// # Errors
    /// As [`Journal::begin`], but for a disk that fails: a log that is not trusted or closed takes nothing, and one whose disk
    /// is well has to have room.
    pub fn begin_in_any_case(&self, entry: &Entry<'_>) -> Result<Open, Unavailable> {
        let full = match self.begin_spilling(entry) {
            Err(full @ (Unavailable::Lanes | Unavailable::Ring | Unavailable::Slots)) => full,
            other => return other,
        };
        if self.shared.is_healthy() && !self.shared.lanes_blocked.load(Ordering::Relaxed) {
            return Err(full); // too much load is not a disk that fails, and anybody can make it
        }
        self.shared.counters.unrecorded.fetch_add(1, Ordering::Relaxed);
        Ok(Open::unrecorded())
    }

    /// As [`Journal::begin`], and resolves only when the decision is on disk: it survives a power cut.
    ///
    /// # Errors
    /// As [`Journal::begin`], and when the disk does not answer in time. The request must be refused through
    /// [`Journal::whole`] then: its log may have the decision, and still needs the final record.
    pub async fn begin_strict(&self, entry: &Entry<'_>) -> Result<Open, Unavailable> {
        let shared = &*self.shared;
        shared.accepts()?;
        let (open, position) = local::with(&shared.me, |writer| {
            let open = shared.open(writer, entry)?;
            match writer.decided(&shared.settings.instance, entry) {
                Ok(position) => Ok((open, position)),
                Err(unavailable) => {
                    open.forget();
                    Err(unavailable)
                }
            }
        })??;
        match shared.on_disk(position).await {
            Ok(()) => Ok(open),
            Err(unavailable) => {
                open.forget();
                Err(unavailable)
            }
        }
    }

    /// Records a request that was answered at once: a refusal, or bytes that never became a request. Works as long as
    /// there is room in memory, also while the disk fails.
    ///
    /// # Errors
    /// When there is no room for the record. The request is counted ([`Stats::unrecorded`]), and the log will say how
    /// many they were.
    pub fn whole(&self, entry: &Entry<'_>, outcome: &Outcome) -> Result<(), Unavailable> {
        let shared = &*self.shared;
        let written = if shared.closing.load(Ordering::Acquire) {
            Err(Unavailable::Closed)
        } else {
            let instance = &shared.settings.instance;
            local::with(&shared.me, |writer| writer.whole(instance, entry, outcome)).flatten()
        };
        if written.is_err() {
            shared.counters.unrecorded.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    /// Records something that happened to the gateway itself.
    ///
    /// # Errors
    /// When there is no room for the record, or the journal is closed.
    pub fn note(&self, note: &Note<'_>) -> Result<(), Unavailable> {
        self.shared.note(note)?;
        Ok(())
    }

    /// As [`Journal::note`], and resolves only when it is on disk.
    ///
    /// # Errors
    /// As [`Journal::note`], and when the log is not well, or the disk does not answer in time: it may be on record then.
    pub async fn note_strict(&self, note: &Note<'_>) -> Result<(), Unavailable> {
        self.shared.accepts()?;
        let position = self.shared.note(note)?;
        self.shared.on_disk(position).await
    }

    /// Hides a subject, as it will stand in records. About half a microsecond: keep it beside the verified token.
    #[must_use]
    pub fn pseudonym(&self, issuer: &IssuerId, subject: &Subject) -> Pseudonym {
        self.shared.key.pseudonym(issuer, subject)
    }

    /// How the journal is doing.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Whether this process is the one that writes the log. While another one does, it alone knows what is on disk.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.shared.role() == Role::Writing
    }

    /// No request is begun any more: the log was found to be another one than it was. It ends by [`Journal::trust_again`], or
    /// with the process.
    pub fn distrust(&self, doubt: Doubt) {
        self.shared.doubts.fetch_or(doubt as u8, Ordering::AcqRel);
    }

    /// Whether somebody has this doubt.
    #[must_use]
    pub fn is_doubted(&self, doubt: Doubt) -> bool {
        self.shared.doubts.load(Ordering::Acquire) & doubt as u8 != 0
    }

    /// This doubt is refuted: all of the log was shown to be what was signed for. Another one may be left.
    pub fn trust_again(&self, doubt: Doubt) {
        self.shared.doubts.fetch_and(!(doubt as u8), Ordering::AcqRel);
    }

    /// Says that requests which end without a word from now on were cut by the shutdown: their records end with
    /// `shutdown`.
    pub fn cut_short(&self) {
        self.shared.cut_short.store(true, Ordering::Release);
    }

    /// Closes the journal and waits for the committer to bring everything to disk. Requests that are still in flight get
    /// records that end with `shutdown`. Blocks the thread; call it when the workers have stopped.
    ///
    /// # Errors
    /// When the committer has not ended well in time. What is not in the log by then is in the lanes, for the next start.
    pub fn flush_and_close(&self, within: Duration) -> Result<(), NotClosed> {
        self.close();
        let shared = &*self.shared;
        let ended = shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let (ended, _) = shared
            .has_ended
            .wait_timeout_while(ended, within, |ended| ended.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        match *ended {
            Some(true) => Ok(()),
            Some(false) => Err(NotClosed::Failed),
            None => Err(NotClosed::Late),
        }
    }

    /// Takes nothing more and lets [`crate::Committer::run`] come to its end.
    pub fn close(&self) {
        self.cut_short();
        self.shared.closing.store(true, Ordering::Release);
        self.shared.wake();
    }
}

/// Why not everything is in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotClosed {
    /// The log could not be written; the next start will try again.
    #[error("the last records could not be brought to disk; the next start will do it")]
    Failed,
    /// The committer has not come to its end yet, or was never started.
    #[error("the last records were not brought to disk in time; the next start will do it")]
    Late,
}

/// What the request path, the lanes and the committer have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) me: Weak<Self>,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key: LogKey,
    pub(crate) epoch: u64,
    pub(crate) boot: [u64; 2],
    pub(crate) counters: Counters,
    pub(crate) closing: AtomicBool,
    /// Who is dropped now was cut by the shutdown.
    pub(crate) cut_short: AtomicBool,
    /// Of each [`Doubt`] a bit.
    doubts: AtomicU8,
    /// How many records are in the log.
    pub(crate) records: AtomicU64,
    pub(crate) waiters: Waiters,
    pub(crate) notes: Mutex<Option<Writer>>,
    /// The lane of the notes, which also has what is counted for the whole run.
    pub(crate) first: OnceLock<Arc<Lane>>,
    pub(crate) committer: OnceLock<Thread>,
    /// Whether the committer ended, and whether everything was in the log then.
    pub(crate) ended: Mutex<Option<bool>>,
    pub(crate) has_ended: Condvar,
    pub(crate) lanes: Mutex<Lanes>,
    /// A lane could not be made: not tried again before the committer says so, as trying takes system calls.
    pub(crate) lanes_blocked: AtomicBool,
    wanted: AtomicBool,
    pub(crate) role: Mutex<Role>,
    pub(crate) role_changed: Condvar,
    /// Keeps other writers out for as long as this lives, here or in the process that it was given to.
    pub(crate) lock: std::fs::File,
}

#[derive(Debug, Default)]
pub(crate) struct Lanes {
    pub(crate) all: Vec<Arc<Lane>>,
    vacant: Vec<Writer>,
}

/// What [`Shared::new`] is made from.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key: LogKey,
    pub(crate) epoch: u64,
    pub(crate) records: u64,
    pub(crate) lock: std::fs::File,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts { settings, clock, key, epoch, records, lock } = parts;
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            settings,
            clock,
            key,
            epoch,
            boot: crate::lane::this_boot(),
            counters: Counters::default(),
            closing: AtomicBool::new(false),
            cut_short: AtomicBool::new(false),
            doubts: AtomicU8::new(0),
            records: AtomicU64::new(records),
            waiters: Waiters::default(),
            notes: Mutex::new(None),
            first: OnceLock::new(),
            committer: OnceLock::new(),
            ended: Mutex::new(None),
            has_ended: Condvar::new(),
            lanes: Mutex::new(Lanes::default()),
            lanes_blocked: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            role: Mutex::new(Role::Writing),
            role_changed: Condvar::new(),
            lock,
        })
    }

    fn note(&self, note: &Note<'_>) -> Result<local::Position, Unavailable> {
        if self.closing.load(Ordering::Acquire) {
            return Err(Unavailable::Closed);
        }
        let now = self.clock.now();
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = notes.as_mut().ok_or(Unavailable::Closed)?;
        writer.record(|line| record::note(line, note, now, &self.settings.instance))
    }

    /// Waits until what was written there is in the log.
    async fn on_disk(&self, position: local::Position) -> Result<(), Unavailable> {
        let told = self.waiters.wait(position);
        self.wake();
        match tokio::time::timeout(self.settings.strict_timeout, told).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Unavailable::Closed),
            Err(_) => Err(Unavailable::Timeout),
        }
    }

    fn accepts(&self) -> Result<(), Unavailable> {
        if !self.is_healthy() && !self.closing.load(Ordering::Relaxed) {
            return Err(Unavailable::Failing); // FAIL CLOSED: no disk, no service
        }
        self.is_trusted()
    }

    fn is_healthy(&self) -> bool {
        self.counters.healthy.load(Ordering::Relaxed)
    }

    /// Whether records may be added to this log, now or when its disk is well again.
    fn is_trusted(&self) -> Result<(), Unavailable> {
        if self.closing.load(Ordering::Relaxed) {
            return Err(Unavailable::Closed);
        }
        if self.doubts.load(Ordering::Relaxed) != 0 {
            return Err(Unavailable::Distrusted); // FAIL CLOSED: what cannot be proven is not gone on with
        }
        Ok(())
    }

    fn open(&self, writer: &mut Writer, entry: &Entry<'_>) -> Result<Open, Unavailable> {
        let slot = writer.open(&self.settings.instance, self.records.load(Ordering::Relaxed), entry)?;
        Ok(Open::new(Arc::clone(&writer.lane), slot, entry.id.as_u128()))
    }

    /// Does this with the lane that has what is counted for the whole run. There is one before anybody gets the journal.
    pub(crate) fn first_lane(&self, act: impl FnOnce(&Lane)) {
        if let Some(lane) = self.first.get() {
            act(lane);
        }
    }

    /// Lets the committer look at once.
    pub(crate) fn wake(&self) {
        if !self.wanted.swap(true, Ordering::AcqRel)
            && let Some(thread) = self.committer.get()
        {
            thread.unpark();
        }
    }

    /// ORDER: the committer calls this before it looks at the lanes, so that who comes later wakes it again.
    pub(crate) fn looks_now(&self) {
        self.wanted.swap(false, Ordering::AcqRel);
    }

    pub(crate) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lane that another thread has left, or a new one.
    pub(crate) fn lane_for_a_thread(&self) -> Result<Writer, Unavailable> {
        if self.lanes_blocked.load(Ordering::Relaxed) {
            return Err(Unavailable::Lanes);
        }
        let mut lanes = self.lanes();
        if let Some(writer) = lanes.vacant.pop() {
            return Ok(writer);
        }
        self.lane_to_write(&mut lanes).inspect_err(|_| {
            self.lanes_blocked.store(true, Ordering::Relaxed);
        })
    }

    /// Where a lane could not be made, the committer tries it now and then: the disk may have room again. No request waits
    /// for that.
    pub(crate) fn try_lanes_again(&self) {
        let mut lanes = self.lanes();
        if lanes.vacant.is_empty() {
            match self.lane_to_write(&mut lanes) {
                Ok(writer) => lanes.vacant.push(writer),
                Err(_) => return,
            }
        }
        self.lanes_blocked.store(false, Ordering::Relaxed);
    }

    fn lane_to_write(&self, lanes: &mut Lanes) -> Result<Writer, Unavailable> {
        let shape = Shape { slots: self.settings.in_flight, ring_words: u64::from(self.settings.ring_bytes) / 8 };
        let most = usize::from(self.settings.threads.min(LANES_MAX - 1)) + 1; // and the one for notes
        self.new_lane(lanes, shape, most)
    }

    pub(crate) fn new_lane(&self, lanes: &mut Lanes, shape: Shape, most: usize) -> Result<Writer, Unavailable> {
        let number = u16::try_from(lanes.all.len()).map_err(|_| Unavailable::Lanes)?;
        if lanes.all.len() >= most {
            return Err(Unavailable::Lanes);
        }
        let owner = Owner { epoch: self.epoch, boot: self.boot, number };
        let path = self.lane_path(owner);
        let lane = Lane::create(&path, owner, shape, self.me.clone()).map_err(|error| {
            tracing::error!(path = %path.display(), %error, "cannot make a lane of the audit log");
            Unavailable::Lanes
        })?;
        let lane = Arc::new(lane);
        lanes.all.push(Arc::clone(&lane));
        Ok(Writer::new(lane))
    }

    pub(crate) fn lane_path(&self, owner: Owner) -> PathBuf {
        self.settings.directory.join("lanes").join(format!("{:016x}-{}.lane", owner.epoch, owner.number))
    }

    pub(crate) fn lane_is_vacant(&self, writer: Writer) {
        self.lanes().vacant.push(writer);
    }

    fn stats(&self) -> Stats {
        let mut stats = self.counters.stats();
        // Whoever has no lane can record nothing, however well the others do.
        stats.healthy &= !self.lanes_blocked.load(Ordering::Relaxed);
        stats.healthy &= self.doubts.load(Ordering::Relaxed) == 0;
        stats.records = self.records.load(Ordering::Relaxed);
        for lane in &self.lanes().all {
            let counts = &lane.counts.0;
            let closed = lane.closed();
            stats.open += counts.opened.load(Ordering::Relaxed).saturating_sub(closed);
            stats.finals += counts.finals.load(Ordering::Relaxed);
            let tail = lane.tail();
            stats.pending_bytes += lane.head().saturating_sub(tail) * 8;
        }
        stats
    }
}
