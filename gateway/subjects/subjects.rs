use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::keeper::{Keeper, Message, Question};
use crate::memory::Memory;
use crate::{Person, Persona, SubjectVault};

/// What the log has of whoever comes. Cloned, it is still the same one.
#[derive(Clone)]
pub struct Subjects(Arc<Shared>);

/// What it has could not be found out, or not be kept. It says nothing about anybody.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the subject vault cannot be asked")]
pub struct Unavailable;

pub(crate) struct Shared {
    pub(crate) memory: Memory,
    messages: mpsc::Sender<Message>,
    looks: Looks,
    pub(crate) counts: Counts,
}

/// When the vault was looked at last, and was as it should be.
#[derive(Debug)]
struct Looks {
    origin: Instant,
    /// In milliseconds since then, and one more; 0: it is not as it should be, or was never looked at.
    last: AtomicU64,
    /// For how long that counts.
    believed: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    remembered: AtomicU64,
    asked: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// How long the vault was busy with questions, in microseconds.
    pub(crate) micros: AtomicU64,
    /// How many times it was.
    pub(crate) batches: AtomicU64,
}

/// How it does, for metrics and readiness.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct State {
    /// Requests of persons who are remembered.
    pub remembered: u64,
    /// Requests for which the vault was asked.
    pub asked: u64,
    /// Requests that are refused since it could not be.
    pub failed: u64,
    /// Persons who are remembered now.
    pub entries: usize,
    /// How long the vault was busy with questions.
    pub busy: Duration,
    /// How many times it was: questions that come at the same time are asked at once.
    pub batches: u64,
    /// Whether the vault was as it should be lately.
    pub is_there: bool,
}

/// Persons who are remembered, at most.
const REMEMBERED: usize = 100_000;

/// Questions that wait, at most. Whoever comes then is refused.
const WAITING: usize = 4_096;

/// How long a request waits for the vault.
const PATIENCE: Duration = Duration::from_secs(2);

impl Subjects {
    /// What asks this vault. It answers while the keeper runs, and while the vault was looked at within `believed`.
    #[must_use]
    pub fn new(vault: SubjectVault, believed: Duration) -> (Self, Keeper) {
        let (messages, received) = mpsc::channel(WAITING);
        let (memory, counts) = (Memory::new(REMEMBERED), Counts::default());
        let looks = Looks { origin: Instant::now(), last: AtomicU64::new(0), believed };
        let shared = Arc::new(Shared { memory, messages, looks, counts });
        let keeper = Keeper::new(vault, received, Arc::downgrade(&shared));
        (Self(shared), keeper)
    }

    /// What the log has of somebody, which is on disk: no record names anybody whom the vault could forget by itself. Who came
    /// lately costs a look-up, and no allocation.
    ///
    /// # Errors
    /// The vault cannot be asked.
    pub async fn of(&self, person: Person<'_>, now: Instant) -> Result<Arc<Persona>, Unavailable> {
        let shared = &self.0;
        if !shared.looks.are_of(now) {
            return shared.fail(); // FAIL CLOSED: what is remembered may have been destroyed
        }
        if let Some(persona) = shared.memory.recall(person, now) {
            shared.counts.remembered.fetch_add(1, Ordering::Relaxed);
            return Ok(persona);
        }
        shared.counts.asked.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        if shared.messages.try_send(Message::Who(Question { person: person.into(), reply })).is_err() {
            return shared.fail(); // FAIL CLOSED: it does not keep up, or is not there any more
        }
        match timeout(PATIENCE, answer).await {
            Ok(Ok(Ok(persona))) => Ok(persona),
            // FAIL CLOSED: nobody is served whom the log cannot speak of.
            Ok(Ok(Err(Unavailable)) | Err(_)) | Err(_) => shared.fail(),
        }
    }

    /// So often something was destroyed in the vault, which was asked at this time: whoever is remembered is forgotten, if that
    /// is new.
    pub fn is_destroyed(&self, count: u64, asked: Instant) {
        // ORDER: it is forgotten before it is believed again.
        let is_new = self.0.memory.is_destroyed(count);
        self.0.looks.succeeded(asked);
        if is_new {
            // What does not fit waits for the questions before it, each of which has the same effect.
            drop(self.0.messages.try_send(Message::Forget));
        }
    }

    /// The vault cannot be read any more: nobody can say who was erased.
    pub fn is_lost(&self) {
        self.0.looks.last.store(0, Ordering::Release);
    }

    /// How it does.
    #[must_use]
    pub fn state(&self) -> State {
        let Counts { remembered, asked, failed, micros, batches } = &self.0.counts;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        State {
            remembered: count(remembered),
            asked: count(asked),
            failed: count(failed),
            entries: self.0.memory.len(),
            busy: Duration::from_micros(count(micros)),
            batches: count(batches),
            is_there: self.0.looks.are_of(Instant::now()),
        }
    }
}

impl Looks {
    fn succeeded(&self, at: Instant) {
        let millis = at.saturating_duration_since(self.origin).as_millis();
        self.last.store(u64::try_from(millis).unwrap_or(u64::MAX - 1) + 1, Ordering::Release);
    }

    fn are_of(&self, now: Instant) -> bool {
        let Some(last) = self.last.load(Ordering::Acquire).checked_sub(1) else { return false };
        now.saturating_duration_since(self.origin).saturating_sub(Duration::from_millis(last)) <= self.believed
    }
}

impl Shared {
    fn fail(&self) -> Result<Arc<Persona>, Unavailable> {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        Err(Unavailable)
    }
}

impl fmt::Debug for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subjects").field(&self.state()).finish()
    }
}
