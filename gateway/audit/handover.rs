//! The log goes from one process to the next while both serve: a binary is replaced, and no request waits for it.
//!
//! A log has one writer, and the lock on its folder says who may be it. The old process still has requests in flight when
//! the new one begins. Two complete logs in one folder would have been the simpler way; but then every reader, the order
//! of records and later the one tree over all of them would have to know of it for ever. The lanes are files that both
//! can map, so the new process's committer collects those of the old one, too, until it is gone:
//!
//! 1. The old committer brings to disk what there is, seals its segment, begins a new one, and lets go
//!    ([`Journal::hand_over`]). From here on it only watches: a lane's `tail` says what is on disk, which frees the ring and
//!    lets strict requests go on. A new request goes into the lane as before and waits for nobody.
//! 2. The new process gets the lock: the very descriptor, so that at no moment somebody else could have it. It begins where
//!    the log ends ([`Journal::take_over`]). Each of its commits names both runs, with the positions of their lanes: so
//!    whoever has to recover, after whatever died, knows of both.
//! 3. When the old process is gone ([`Predecessor::is_gone`]), the new committer takes what is left in its lanes, makes
//!    `interrupted` records of the requests that were still open, and names it no more.
//!
//! INVARIANT: the old one writes again ([`Journal::take_back`]) only once the new one is dead. That is for the caller to
//! know; whether it is slow or dead cannot be told from a log. It goes on where the log ends then, and takes the lanes of
//! the dead one as if it were its predecessor.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use terms::Clock;

use crate::accounts::Accounts;
use crate::beside::Beside;
use crate::committer::Committer;
use crate::journal::{Parts, Shared};
use crate::lane::slot::Settled;
use crate::line::Line;
use crate::log::Log;
use crate::recover::{self, Found};
use crate::segment::commit::Run;
use crate::{Journal, LogKey, OpenError, Settings, open, record};

/// What the committer does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// It is the writer, and shall not be.
    GivingUp,
    /// It is not the writer, and shall be.
    TakingBack,
    /// Another process is the writer.
    Watching,
    /// It is the writer.
    Writing,
}

/// What became of the wish that the committer gives up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Given {
    Away,
    Kept,
}

/// What the next process needs to be the log's writer.
#[derive(Debug)]
pub struct Handed {
    /// The lock.
    pub lock: OwnedFd,
    /// The run that comes to its end.
    pub run: u64,
}

/// Why the log stays where it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotHandedOver {
    /// This process took it over itself, and the one before is not gone yet.
    #[error("the process before this one has not ended yet")]
    Busy,
    /// It cannot be written.
    #[error("the audit log cannot be written")]
    Failing,
    /// The disk did not answer in time.
    #[error("the audit log was not brought to disk in time")]
    Late,
    /// The lock cannot be given on.
    #[error("the lock of the audit log cannot be given on")]
    Lock,
}

/// The process that the log was taken over from.
#[derive(Clone, Debug)]
pub struct Predecessor(Arc<AtomicBool>);

impl Predecessor {
    /// Says that it is gone: it writes into its lanes no more.
    pub fn is_gone(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Journal {
    /// Stops writing to the log, so that another process can. Requests go on as before. Blocks until all that was there is
    /// on disk.
    ///
    /// # Errors
    /// When it cannot be given away now. Then nothing has changed.
    pub fn hand_over(&self, within: Duration) -> Result<Handed, NotHandedOver> {
        let shared = &*self.shared;
        let lock = shared.lock.try_clone().map_err(|_| NotHandedOver::Lock)?;
        if shared.role() != Role::Writing {
            return Err(NotHandedOver::Busy);
        }
        if !shared.counters.healthy.load(Ordering::Acquire) {
            return Err(NotHandedOver::Failing);
        }
        match shared.change(Role::Writing, Role::GivingUp, within) {
            Role::Watching => Ok(Handed { lock: lock.into(), run: shared.epoch }),
            Role::Writing if shared.counters.healthy.load(Ordering::Acquire) => Err(NotHandedOver::Busy),
            Role::Writing => Err(NotHandedOver::Failing),
            Role::GivingUp | Role::TakingBack => Err(NotHandedOver::Late),
        }
    }

    /// Writes to the log again. To be called only when the process that it was handed to is dead, or has never got the
    /// lock. Blocks until it is so; what fails is tried again.
    ///
    /// # Errors
    /// When it takes longer. It goes on trying.
    pub fn take_back(&self, within: Duration) -> Result<(), NotHandedOver> {
        match self.shared.change(Role::Watching, Role::TakingBack, within) {
            Role::Writing => Ok(()),
            Role::GivingUp | Role::TakingBack | Role::Watching => Err(NotHandedOver::Late),
        }
    }

    /// Whether this is the folder of a log whose lock this is.
    #[must_use]
    pub fn is_lock_of(lock: &File, directory: &Path) -> bool {
        let same = |a: std::fs::Metadata, b: std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        lock.metadata().and_then(|lock| Ok(same(lock, std::fs::metadata(directory)?))).unwrap_or(false)
    }

    /// Goes on with a log that another process has handed over and still has requests for.
    ///
    /// # Errors
    /// When the log is damaged, or cannot be read and written. Then the other one can take it back as soon as this process
    /// has ended.
    pub fn take_over(
        settings: Settings,
        clock: Arc<dyn Clock>,
        handed: Handed,
    ) -> Result<(Arc<Self>, Committer, Predecessor), OpenError> {
        open::check(&settings)?;
        let directory = settings.directory.clone();
        let lock = File::from(handed.lock);
        if !Self::is_lock_of(&lock, &directory) {
            return Err(OpenError::io("take over", &directory, io::Error::other("it is another folder's lock")));
        }
        let key = LogKey::read_or_make(&directory)?;
        let epoch = u64::from_le_bytes(open::random(&directory)?);
        let found = recover::find(&directory)?
            .ok_or_else(|| OpenError::io("take over", &directory, io::ErrorKind::NotFound.into()))?;
        let now = clock.now();
        let mut log = open::take_up(&directory, &found, now)?;
        tell(&mut log, &settings, found.damage.dropped_bytes, now);
        let own = Run { epoch, lanes: Vec::new() };
        let runs: Vec<Run> = [own].into_iter().chain(found.last.runs.iter().cloned()).collect();
        log.commit(&runs, now).map_err(|source| OpenError::io("write to the log in", &directory, source))?;
        let predecessor = Predecessor(Arc::default());
        let beside = runs.get(1..).unwrap_or_default().iter().map(|run| {
            let other = run.epoch != handed.run; // which ended before the one that handed it over
            Beside::new(run.epoch, if other { Arc::new(AtomicBool::new(true)) } else { Arc::clone(&predecessor.0) })
        });
        let parts = Parts { settings, clock, key, epoch, records: log.tip().records, lock };
        let (journal, mut committer) = Self::running(parts, log, beside.collect())?;
        committer.begin_at(&found.last);
        Ok((journal, committer, predecessor))
    }
}

/// Says where the one writer ends and the next one begins.
fn tell(log: &mut Log, settings: &Settings, dropped_bytes: u64, now: SystemTime) {
    let mut line = Line::new();
    record::own(&mut line, "log.taken_over", now, &settings.instance);
    line.hex(r#","log":""#, u128::from_be_bytes(log.id()), 32);
    line.number(r#","records":"#, log.tip().records);
    if dropped_bytes > 0 {
        line.number(r#","dropped_bytes":"#, dropped_bytes);
    }
    record::cause(&mut line, settings.by);
    line.raw("}");
    log.record(line.as_bytes());
}

impl Shared {
    fn role_guard(&self) -> MutexGuard<'_, Role> {
        self.role.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn role(&self) -> Role {
        *self.role_guard()
    }

    /// The committer has done what was asked for, or cannot.
    pub(crate) fn becomes(&self, role: Role) {
        *self.role_guard() = role;
        self.role_changed.notify_all();
    }

    /// The committer has let go, or could not. Whoever asked for it may have lost patience.
    pub(crate) fn has_given_up(&self, given: Given) {
        let mut role = self.role_guard();
        *role = match (*role, given) {
            (_, Given::Kept) => Role::Writing,
            (Role::GivingUp, Given::Away) => Role::Watching,
            (Role::TakingBack | Role::Watching | Role::Writing, Given::Away) => Role::TakingBack,
        };
        drop(role);
        self.role_changed.notify_all();
    }

    /// Asks the committer for a change of its role and waits. Answers the role that it has then.
    fn change(&self, from: Role, wish: Role, within: Duration) -> Role {
        let mut role = self.role_guard();
        if *role != from {
            return *role;
        }
        *role = wish;
        drop(role);
        self.wake();
        let role = self.role_guard();
        let (mut role, _) = self
            .role_changed
            .wait_timeout_while(role, within, |role| *role == wish)
            .unwrap_or_else(PoisonError::into_inner);
        if *role == Role::GivingUp {
            *role = Role::Writing; // if the committer is at it, it will see that nobody wants it any more
            return Role::GivingUp;
        }
        *role
    }
}

impl Committer {
    /// Brings everything to disk and writes no more.
    pub(crate) fn give_up(&mut self) -> Given {
        if self.is_failing() || !self.beside.is_empty() {
            return Given::Kept;
        }
        while self.turn() {}
        if self.is_failing() {
            return Given::Kept;
        }
        // So that the next writer has little to read, and each has segments of its own.
        if self.log.tip().records > self.log.tip().first && !self.roll() {
            return Given::Kept;
        }
        self.log.let_go();
        Given::Away
    }

    /// While another process writes: lets those know who wait for it.
    pub(crate) fn watch(&mut self) {
        let shared = Arc::clone(&self.shared);
        shared.looks_now();
        let lanes = shared.lanes().all.clone();
        let failing = lanes.iter().any(|lane| lane.is_failing());
        shared.counters.healthy.store(!failing, Ordering::Release);
        if failing {
            shared.waiters.fail(crate::Unavailable::Failing);
        }
        let tail = |number: u16| lanes.get(usize::from(number)).map_or(0, |lane| lane.tail());
        shared.waiters.settle(tail);
        if let Some(lane) = lanes.first() {
            lane.set_unrecorded(self.untold());
        }
    }

    /// Whether the other process has all that is in the lanes of this one. Requests that are still open are ended.
    pub(crate) fn is_settled(&self) -> bool {
        let lanes = self.shared.lanes().all.clone();
        for lane in &lanes {
            for slot in (0..lane.slots_used()).filter_map(|number| lane.slot(number)) {
                slot.end_by_shutdown(lane);
            }
        }
        lanes.iter().all(|lane| lane.done() == 0 && lane.tail() >= lane.head())
    }

    /// Goes on where the log ends, now that the process is dead that it was handed to.
    pub(crate) fn take_back(&mut self) -> Result<(), OpenError> {
        let shared = Arc::clone(&self.shared);
        let (directory, now) = (&shared.settings.directory, shared.clock.now());
        let found = recover::find(directory)?
            .ok_or_else(|| OpenError::io("take back", directory, io::ErrorKind::NotFound.into()))?;
        self.log = open::take_up(directory, &found, now)?;
        self.own_lanes_at(&found);
        let dead = found.last.runs.iter().filter(|run| run.epoch != shared.epoch);
        self.beside = dead.map(|run| Beside::new(run.epoch, Arc::new(AtomicBool::new(true)))).collect();
        self.begin_at(&found.last);
        self.accounts = Accounts::unknown();
        tell(&mut self.log, &shared.settings, found.damage.dropped_bytes, now);
        if self.commit() {
            Ok(())
        } else {
            Err(OpenError::io("write to the log in", directory, io::Error::other("it failed")))
        }
    }

    /// Forgets what was known of the own lanes, for what the log says of them.
    fn own_lanes_at(&mut self, found: &Found) {
        self.forget_cursors();
        for lane in &self.shared.lanes().all {
            let mut done = 0;
            for number in 0..lane.slots_used() {
                match lane.slot(number).map(|slot| slot.settle(found.last.sequence)) {
                    Some(Settled::Done) => done += 1,
                    Some(Settled::Freed) => {
                        lane.one_more_closed();
                        lane.give_back(number);
                    }
                    Some(Settled::Untouched) | None => {}
                }
            }
            lane.set_done(done);
            lane.set_failing(false);
        }
    }
}
