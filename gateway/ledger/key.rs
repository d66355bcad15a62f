use std::io;
use std::path::{Path, PathBuf};

use secrets::{PrivateFileError, Secret, UpdateError, create_private, read_private, update_private};
use tlog::{InvalidKey, Name, SigningKey, Unsignable, VerifierKey};

use crate::files::make_folder;
use crate::guard::place;
use crate::keys::{Keys, State};

/// `ledger/<id of the log>.key` in the state folder: what signs the checkpoints of this gateway's log. Whoever may read the
/// log need not read it.
///
/// A key a line: `PRIVATE+KEY+name+id+key`, its state, and since when, in seconds since the Unix epoch. A file of one line with
/// the key alone, as it was written once, has signed since the file was made.
#[derive(Clone, Debug)]
pub struct KeyFile(PathBuf);

/// What is asked of the keys of a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// Another key signs beside this one for a while, and then in its place.
    Now,
    /// Another key signs in place of this one as soon as that is on record: somebody else has this one.
    Withdraw,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key is on its way already.
    #[error("the key `{0}` is just taking over: wait until it has (`cloister keys list`)")]
    Busy(VerifierKey),
    /// The file cannot be used.
    #[error("the key that signs checkpoints cannot be used")]
    File(#[from] PrivateFileError),
    /// The folder of such keys cannot be made.
    #[error("`{}` cannot be made", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// Its content is not a key.
    #[error("`{}` does not hold a key that signs checkpoints", .0.display())]
    Invalid(PathBuf, #[source] InvalidKey),
    /// Another process holds it.
    #[error("another process keeps `{}` locked", .0.display())]
    Locked(PathBuf),
    /// None can be made.
    #[error("no key can be made that signs checkpoints")]
    Made(#[from] Unsignable),
    /// It is the key of another log.
    #[error(
        "`{}` is the key of the log `{found}`, and the log is to be `{expected}`: a log keeps its name (`audit.origin`) for \
         good",
        path.display()
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// Whose key it is.
        found: Name,
        /// Whose it should be.
        expected: Name,
    },
    /// Its lines are not those of the keys of a log.
    #[error("`{}` has not one key that signs, or one of its lines is not as it must be", .0.display())]
    States(PathBuf),
}

impl KeyFile {
    /// For the log of this id, in this state folder.
    #[must_use]
    pub fn of(state: &Path, log: [u8; 16]) -> Self {
        Self(place(state, log, "key"))
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.0.exists()
    }

    /// The keys of the log of this name; one is made if there is none.
    ///
    /// # Errors
    /// They cannot be used, or are those of another log.
    pub fn read_or_make(&self, origin: &Name, now: u64) -> Result<Keys, KeyError> {
        if !self.0.exists() {
            if let Some(folder) = self.0.parent() {
                make_folder(folder).map_err(|error| KeyError::Folder(folder.to_owned(), error))?;
            }
            let keys = Keys::first(SigningKey::generate(origin.clone())?, now);
            match create_private(&self.0, &keys.to_text()) {
                Ok(_) => tracing::info!(path = %self.0.display(), "made the key that signs checkpoints"),
                Err(_) if self.0.exists() => {} // somebody else was quicker
                Err(error) => return Err(error.into()),
            }
        }
        let keys = self.read()?;
        let found = keys.signing().verifier().name();
        if found != origin {
            return Err(KeyError::Other { path: self.0.clone(), found: found.clone(), expected: origin.clone() });
        }
        Ok(keys)
    }

    /// The keys, whatever log they are of.
    ///
    /// # Errors
    /// There are none, or they cannot be used.
    pub fn read(&self) -> Result<Keys, KeyError> {
        self.parse(&read_private(&self.0)?)
    }

    /// Has another key sign. A gateway that writes the log puts that on record and does it, at once or at its next start.
    ///
    /// # Errors
    /// A key is just taking over, or the file cannot be changed.
    pub fn turn(&self, turn: Turn, asked: Option<u32>, now: u64) -> Result<VerifierKey, KeyError> {
        self.change(|keys| keys.turn(turn, asked, now))
    }

    /// The key that was next signs, as its record is in a checkpoint that it has signed.
    ///
    /// # Errors
    /// The file cannot be changed.
    pub fn take_over(&self, next: &VerifierKey, now: u64) -> Result<(), KeyError> {
        self.change(|keys| {
            keys.take_over(next, now);
            Ok(())
        })
    }

    /// The key that was retired is destroyed, as that is on record.
    ///
    /// # Errors
    /// The file cannot be changed.
    pub fn forget(&self, retired: &VerifierKey) -> Result<(), KeyError> {
        self.change(|keys| {
            keys.forget(retired);
            Ok(())
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Keys) -> Result<T, KeyError>) -> Result<T, KeyError> {
        let changed = update_private(&self.0, |content| {
            let mut keys = self.parse(content)?;
            let told = change(&mut keys)?;
            Ok::<_, KeyError>((Some(keys.to_text()), told))
        });
        changed.map_err(|error| match error {
            UpdateError::Busy(path) => KeyError::Locked(path),
            UpdateError::File(error) => KeyError::File(error),
            UpdateError::Inside(error) => error,
        })
    }

    fn parse(&self, content: &Secret<Vec<u8>>) -> Result<Keys, KeyError> {
        let invalid = |why| KeyError::Invalid(self.0.clone(), why);
        let text = str::from_utf8(content.expose()).map_err(|_| invalid(InvalidKey::Form))?;
        let since = || {
            let made = std::fs::metadata(&self.0).and_then(|file| file.modified()).ok();
            made.and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs())
        };
        let mut held = Vec::new();
        for line in text.trim_end().split('\n') {
            let mut words = line.split_ascii_whitespace();
            let key = words.next().unwrap_or_default().parse().map_err(invalid)?;
            let states = || KeyError::States(self.0.clone());
            let state = words.next().map_or(Ok(State::Signs), |word| State::read(word).ok_or_else(states))?;
            let since = words.next().map_or_else(|| Ok(since()), |word| word.parse().map_err(|_| states()))?;
            let asked = words.next().map(|word| word.parse().map_err(|_| states())).transpose()?;
            if words.next().is_some() {
                return Err(states());
            }
            held.push(crate::keys::Held { key, state, since, asked });
        }
        Keys::of(held).ok_or_else(|| KeyError::States(self.0.clone()))
    }
}
