//! Somebody asks for all of the audit log to be read again, so that a gateway that doubts it may serve again.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

/// A reason has so many bytes at most.
const WHY_MAX: usize = 400;

/// What is asked for, and by whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Recheck {
    /// The user of the system.
    pub(crate) user: u32,
    pub(crate) why: String,
}

impl Recheck {
    /// Puts it where a gateway that runs, or the next one, finds it.
    pub(crate) fn ask(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut draft = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(draft, "{}\n{}", self.user, self.why.replace('\n', " "))?;
        let (of_folder, ours) = (fs::metadata(folder)?, draft.as_file().metadata()?);
        if ours.uid() != of_folder.uid() {
            chown(draft.path(), Some(of_folder.uid()), Some(of_folder.gid()))?; // the gateway's, whoever runs the command
        }
        draft.as_file().sync_all()?;
        draft.persist(path)?;
        Ok(())
    }

    /// What is asked for, if something is. What cannot be read is asked by nobody who is known.
    pub(crate) fn asked(path: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "it does not say who asks, and why");
        let (user, why) = text.split_once('\n').ok_or_else(invalid)?;
        let user = user.parse().map_err(|_| invalid())?;
        let why: String = why.trim_end().chars().take(WHY_MAX).collect();
        if why.is_empty() { Err(invalid()) } else { Ok(Some(Self { user, why })) }
    }

    /// It was done.
    pub(crate) fn done(path: &PathBuf) {
        if let Err(error) = fs::remove_file(path) {
            tracing::error!(path = %path.display(), %error, "what was asked for stays, and is done again");
        }
    }
}
