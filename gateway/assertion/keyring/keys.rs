use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::Guard;
use secrets::{PrivateFileError, Secret, SecretError, UpdateError, create_private, read_private, update_private};
use terms::{Clock, Live};

use super::{Algorithm, Change, Key, Keyring, KeyringError, Schedule, State, Turn, file};

/// A keyring that keeps up with time and with what others do to its file. Whoever signs takes a glance at it for each
/// signature.
#[derive(Debug)]
pub struct Keys {
    ring: Live<Keyring>,
    source: Source,
    used: Box<[Algorithm]>,
    schedule: Schedule,
    clock: Arc<dyn Clock>,
    /// One that tends at a time: what is older must not replace what is newer.
    tending: Mutex<()>,
    faulty: AtomicBool,
    rotations: AtomicU64,
}

/// Where the keys are.
pub enum Source {
    /// In a file of ours, which several gateways may share. It is made if there is none, and keys take turns in it.
    File(PathBuf),
    /// In a secret that somebody else looks after. Read again and again.
    Given {
        /// Where, for messages.
        place: PathBuf,
        /// Fetches it.
        fetch: Box<dyn Fn() -> Result<Secret<Vec<u8>>, SecretError> + Send + Sync>,
    },
    /// Nowhere: they end with the process. For benches and tests.
    Memory,
}

/// What has become of keys, and by whom.
#[derive(Debug)]
pub struct Tended {
    /// What is new.
    pub changes: Vec<Change>,
    /// Whose doing it was.
    pub by: Hand,
}

/// Whose doing it was that keys took their turns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hand {
    /// Somebody else's: they were found so.
    Others,
    /// Ours, as it was time.
    Ours,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Given { place, .. } => f.debug_tuple("Given").field(place).finish(),
            Self::Memory => f.write_str("Memory"),
        }
    }
}

impl Keys {
    /// Opens the keyring, and makes what is missing. A file is private to its owner and appears whole or not at all; of two
    /// instances that start at once, one makes it and both use it.
    ///
    /// # Errors
    /// The file is broken or open to others, or cannot be read or written; what is given lacks an algorithm that is used. A
    /// broken file is never replaced.
    pub fn open(
        source: Source,
        used: &[Algorithm],
        schedule: Schedule,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyringError> {
        let now = clock.unix_seconds();
        let ring = match &source {
            Source::File(path) => {
                let missing = read_private(path).err().is_some_and(|error| is_missing(&error));
                if missing {
                    let (fresh, _) = schedule.advance(Vec::new(), used, now, Turn::Due)?;
                    create_private(path, &file::render(&fresh)?)?;
                }
                turn_file(path, used, &schedule, now, Turn::Due)?.0
            }
            Source::Given { place, fetch } => given(place, &fetch()?, used)?,
            Source::Memory => {
                let (fresh, _) = schedule.advance(Vec::new(), used, now, Turn::Due)?;
                whole(Path::new("memory"), fresh)?
            }
        };
        let ring = Live::new(ring);
        let (tending, faulty, rotations) = (Mutex::new(()), AtomicBool::new(false), AtomicU64::new(0));
        Ok(Self { ring, source, used: used.into(), schedule, clock, tending, faulty, rotations })
    }

    /// The keys as they are now, for a moment.
    pub fn glance(&self) -> Guard<Arc<Keyring>> {
        self.ring.glance()
    }

    /// When they take turns.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// How many are in this state, and for how many seconds the oldest of them has been.
    #[must_use]
    pub fn in_state(&self, state: State) -> (usize, Option<u64>) {
        let ring = self.glance();
        let since = ring.keys().iter().filter(|key| key.state() == state).map(Key::since);
        let oldest = since.clone().min();
        (since.count(), oldest.map(|oldest| self.clock.unix_seconds().saturating_sub(oldest)))
    }

    /// Whether the last attempt to look after them failed. The last good ones are in use.
    #[must_use]
    pub fn is_faulty(&self) -> bool {
        self.faulty.load(Ordering::Relaxed)
    }

    /// How often another key has begun to sign, whoever saw to it.
    #[must_use]
    pub fn rotations(&self) -> u64 {
        self.rotations.load(Ordering::Relaxed)
    }

    /// Reads them again, and lets them take the turns that are due. Gives what is new. Waits for the disk.
    ///
    /// # Errors
    /// They cannot be read, or not be written. The last good ones stay in use.
    pub fn tend(&self) -> Result<Tended, KeyringError> {
        let _alone = self.tending.lock().unwrap_or_else(PoisonError::into_inner);
        let tended = self.read_again();
        self.faulty.store(tended.is_err(), Ordering::Relaxed);
        let Some((ring, by)) = tended? else { return Ok(Tended { changes: Vec::new(), by: Hand::Others }) };
        let changes = differences(&self.ring.glance(), &ring);
        let signing = changes.iter().filter(|change| change.state == Some(State::Active)).count();
        self.rotations.fetch_add(signing as u64, Ordering::Relaxed);
        self.ring.replace(ring);
        Ok(Tended { changes, by })
    }

    /// `None`: nothing has changed.
    fn read_again(&self) -> Result<Option<(Keyring, Hand)>, KeyringError> {
        let now = self.clock.unix_seconds();
        let (ring, by) = match &self.source {
            Source::File(path) => {
                let read = file::parse(path, &read_private(path)?)?;
                // The lock is for those who write, which is once in weeks.
                if self.schedule.has_nothing_due(&read, &self.used, now) {
                    (read, Hand::Others)
                } else {
                    let (turned, changes) = turn_file(path, &self.used, &self.schedule, now, Turn::Due)?;
                    (turned, if changes.is_empty() { Hand::Others } else { Hand::Ours })
                }
            }
            Source::Given { place, fetch } => (given(place, &fetch()?, &self.used)?, Hand::Others),
            Source::Memory => return Ok(None),
        };
        Ok((!ring.same(&self.ring.glance())).then_some((ring, by)))
    }

    /// Lets the keys in a file take a turn; a gateway that uses them notices by itself. Gives what has changed.
    ///
    /// # Errors
    /// The file cannot be changed, or backends cannot know the next key yet.
    pub fn turn(
        path: &Path,
        used: &[Algorithm],
        schedule: &Schedule,
        now: u64,
        turn: Turn,
    ) -> Result<Vec<Change>, KeyringError> {
        turn_file(path, used, schedule, now, turn).map(|(_, changes)| changes)
    }

    /// Reads the keys in a file, and changes nothing.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn read(path: &Path) -> Result<Keyring, KeyringError> {
        file::parse(path, &read_private(path)?)
    }
}

fn is_missing(error: &PrivateFileError) -> bool {
    matches!(error, PrivateFileError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

fn turn_file(
    path: &Path,
    used: &[Algorithm],
    schedule: &Schedule,
    now: u64,
    turn: Turn,
) -> Result<(Keyring, Vec<Change>), KeyringError> {
    let turned = update_private(path, |content| {
        let (keys, changes) = schedule.advance(file::parse(path, content)?.keys, used, now, turn)?;
        let next = if changes.is_empty() { None } else { Some(file::render(&keys)?) };
        Ok::<_, KeyringError>((next, (whole(path, keys)?, changes)))
    });
    turned.map_err(|error| match error {
        UpdateError::Busy(path) => KeyringError::Busy(path),
        UpdateError::File(error) => KeyringError::File(error),
        UpdateError::Inside(error) => error,
    })
}

fn given(place: &Path, content: &Secret<Vec<u8>>, used: &[Algorithm]) -> Result<Keyring, KeyringError> {
    let ring = file::parse(place, content)?;
    match used.iter().find(|algorithm| ring.active(**algorithm).is_none()) {
        Some(missing) => Err(KeyringError::Active { path: place.to_owned(), algorithm: *missing, count: 0 }),
        None => Ok(ring),
    }
}

fn whole(path: &Path, keys: Vec<Key>) -> Result<Keyring, KeyringError> {
    Keyring::of(keys).map_err(|(algorithm, count)| KeyringError::Active { path: path.to_owned(), algorithm, count })
}

fn differences(old: &Keyring, new: &Keyring) -> Vec<Change> {
    let state = |ring: &Keyring, kid: &str| ring.keys().iter().find(|key| **key.kid() == *kid).map(Key::state);
    let told = |key: &Key, state| Change { kid: key.kid().clone(), algorithm: key.algorithm(), state };
    let now = new.keys().iter().filter(|key| state(old, key.kid()) != Some(key.state()));
    let gone = old.keys().iter().filter(|key| state(new, key.kid()).is_none());
    now.map(|key| told(key, Some(key.state()))).chain(gone.map(|key| told(key, None))).collect()
}
