use std::io;
use std::path::{Path, PathBuf};

use secrets::{PrivateFileError, Secret, create_private, read_private};
use tlog::{InvalidKey, Name, SigningKey, Unsignable};

use crate::files::make_folder;
use crate::guard::place;

/// `ledger/<id of the log>.key` in the state folder: what signs the checkpoints of this gateway's log, as text
/// (`PRIVATE+KEY+name+id+key`). Whoever may read the log need not read it.
#[derive(Clone, Debug)]
pub struct KeyFile(PathBuf);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be used.
    #[error("the key that signs checkpoints cannot be used")]
    File(#[from] PrivateFileError),
    /// The folder of such keys cannot be made.
    #[error("`{}` cannot be made", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// Its content is not a key.
    #[error("`{}` does not hold a key that signs checkpoints", .0.display())]
    Invalid(PathBuf, #[source] InvalidKey),
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

    /// The key of the log of this name, made if there is none.
    ///
    /// # Errors
    /// It cannot be used, or is that of another log.
    pub fn read_or_make(&self, origin: &Name) -> Result<SigningKey, KeyError> {
        if !self.0.exists() {
            if let Some(folder) = self.0.parent() {
                make_folder(folder).map_err(|error| KeyError::Folder(folder.to_owned(), error))?;
            }
            let text = SigningKey::generate(origin.clone())?.to_text();
            match create_private(&self.0, &Secret::new(text.as_bytes().to_vec())) {
                Ok(_) => tracing::info!(path = %self.0.display(), "made the key that signs checkpoints"),
                Err(_) if self.0.exists() => {} // somebody else was quicker
                Err(error) => return Err(error.into()),
            }
        }
        let key = self.read()?;
        let found = key.verifier().name();
        if found != origin {
            return Err(KeyError::Other { path: self.0.clone(), found: found.clone(), expected: origin.clone() });
        }
        Ok(key)
    }

    /// The key, whatever log it is of.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn read(&self) -> Result<SigningKey, KeyError> {
        let text = read_private(&self.0)?;
        let invalid = |why| KeyError::Invalid(self.0.clone(), why);
        let text = str::from_utf8(text.expose()).map_err(|_| invalid(InvalidKey::Form))?;
        text.trim_end().parse().map_err(invalid)
    }
}
