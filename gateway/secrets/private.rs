use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::{MAX, Secret};

/// Why a file is not read as a secret, or not written as one.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// It could not be written.
    #[error("`{}` cannot be written; see that the folder exists, is writable and has room", path.display())]
    Create {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may put another file in its place.
    #[error("others can replace what is in `{}` (mode {mode:04o}); run `chmod go-w {}`", path.display(), path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A folder, a pipe, a socket or a device.
    #[error("`{}` is not a regular file", .0.display())]
    Kind(PathBuf),
    /// More than [`MAX`] bytes and a line end.
    #[error("`{}` is larger than 64 KiB", .0.display())]
    Large(PathBuf),
    /// Group or others have a permission.
    #[error("`{}` is open to others (mode {mode:04o}); run `chmod 600 {}`", path.display(), path.display())]
    Mode {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to another user, who can change it.
    #[error("`{}` belongs to user {owner}, who is neither root nor the user that runs this; run `chown` on it", path.display())]
    Owner {
        /// Which file.
        path: PathBuf,
        /// The user's number.
        owner: u32,
    },
    /// It could not be opened or read.
    #[error("`{}` cannot be read; see that it exists and that this user may read it", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads a file that nobody but its owner may read or write, in a folder in which others can replace nothing.
///
/// Symbolic links are followed, since orchestrators mount secrets through them; what they lead to is judged, through
/// the opened file, so that it cannot be swapped in between. A folder with the sticky bit (`/tmp`, a mounted secret) may
/// be writable for all: there nobody can replace what is not theirs.
///
/// # Errors
/// The file is not there, not regular, open to others, of another user, or larger than [`MAX`].
pub fn read_private(path: &Path) -> Result<Secret<Vec<u8>>, PrivateFileError> {
    let unreadable = |source: io::Error| PrivateFileError::Read { path: path.to_owned(), source };
    // NONBLOCK: a pipe in place of the file is found by its kind instead of being waited for.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|e| unreadable(e.into()))?);
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.mode() & 0o7777;
    if !metadata.is_file() {
        return Err(PrivateFileError::Kind(path.to_owned()));
    }
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Mode { path: path.to_owned(), mode });
    }
    if ![0, rustix::process::geteuid().as_raw()].contains(&metadata.uid()) {
        return Err(PrivateFileError::Owner { path: path.to_owned(), owner: metadata.uid() });
    }
    closed_folder(&path.canonicalize().map_err(unreadable)?)?;

    // One buffer of the final size: one that grows would leave copies behind in memory.
    let most = MAX + "\r\n".len();
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(most + 1));
    let limit = u64::try_from(most + 1).unwrap_or(u64::MAX);
    (&file).take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > most {
        return Err(PrivateFileError::Large(path.to_owned()));
    }
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

fn closed_folder(file: &Path) -> Result<(), PrivateFileError> {
    const STICKY: u32 = 0o1000;
    let Some(folder) = file.parent() else { return Ok(()) };
    let mode =
        fs::metadata(folder).map_err(|source| PrivateFileError::Read { path: folder.to_owned(), source })?.mode()
            & 0o7777;
    if mode & 0o022 != 0 && mode & STICKY == 0 {
        return Err(PrivateFileError::Folder { path: folder.to_owned(), mode });
    }
    Ok(())
}

/// Writes a new file that only its owner may read: whole or not at all, and never over one that is there.
///
/// Answers `false` where a file of that name was there already, which then is as it was. After `true` it survives a
/// power loss.
///
/// # Errors
/// The folder cannot be written to.
pub fn create_private(path: &Path, content: &Secret<Vec<u8>>) -> Result<bool, PrivateFileError> {
    let create = || -> io::Result<bool> {
        let draft = draft(path, content)?;
        let written = match fs::hard_link(&draft, path) {
            // ORDER: the content is on disk before the name is. A link, since a rename would replace what is there.
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        };
        let removed = fs::remove_file(&draft);
        let written = written?;
        removed?;
        File::open(folder_of(path))?.sync_all()?;
        Ok(written)
    };
    create().map_err(|source| PrivateFileError::Create { path: path.to_owned(), source })
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// Writes the content to a file beside, which has a name of its own: two instances that start at once, both as process 1 of a
/// container, do not meet. What could not be written is removed.
pub(crate) fn draft(path: &Path, content: &Secret<Vec<u8>>) -> io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.new", RandomState::new().hash_one(path)));
    let draft = folder_of(path).join(name);
    match write_synced(&draft, content) {
        Ok(()) => Ok(draft),
        Err(error) => {
            drop(fs::remove_file(&draft));
            Err(error)
        }
    }
}

fn write_synced(path: &Path, content: &Secret<Vec<u8>>) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.expose())?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
