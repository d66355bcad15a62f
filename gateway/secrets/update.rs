use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::Secret;
use crate::private::{PrivateFileError, draft, folder_of, read_private};

/// How often, and with which pauses, somebody else's lock is waited for: whoever holds it writes one small file.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Why a private file was not changed. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError<E: std::error::Error + 'static> {
    /// Another process is at it, and does not come to an end.
    #[error("another process keeps `{}` locked", .0.display())]
    Busy(PathBuf),
    /// It cannot be read or written.
    #[error("the file cannot be changed")]
    File(#[from] PrivateFileError),
    /// What was to be done with it failed.
    #[error(transparent)]
    Inside(E),
}

/// Reads a private file, and puts another content in its place if `change` gives one: whole or not at all, and no two
/// processes at the same time. Answers whether it was changed, and with that what is in it now.
///
/// The lock is a file of its own beside it (`NAME.lock`, empty, never removed), since the file itself is replaced. It is
/// taken with `flock`, which Linux also keeps over NFS.
///
/// # Errors
/// The file is not fit to hold a secret, the folder cannot be written to, or `change` failed.
pub fn update_private<T, E: std::error::Error + 'static>(
    path: &Path,
    change: impl FnOnce(&Secret<Vec<u8>>) -> Result<(Option<Secret<Vec<u8>>>, T), E>,
) -> Result<T, UpdateError<E>> {
    let failed = |source: io::Error| PrivateFileError::Create { path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let beside = folder_of(path).join(name);
    let lock = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&beside)
        .map_err(failed)?;
    belongs_as(path, &beside).map_err(failed)?;
    hold(&lock).map_err(failed)?.ok_or_else(|| UpdateError::Busy(path.to_owned()))?;

    let (next, told) = change(&read_private(path)?).map_err(UpdateError::Inside)?;
    if let Some(next) = next {
        let replace = || -> io::Result<()> {
            let draft = draft(path, &next)?;
            if let Err(error) = belongs_as(path, &draft) {
                drop(fs::remove_file(&draft));
                return Err(error);
            }
            // ORDER: the content is on disk before it has the name; then the name is, too.
            if let Err(error) = fs::rename(&draft, path) {
                drop(fs::remove_file(&draft));
                return Err(error);
            }
            File::open(folder_of(path))?.sync_all()
        };
        replace().map_err(failed)?;
    }
    Ok(told)
}

/// Gives a file to whom the other one belongs, whoever runs the command: a gateway could not use what belongs to another user.
fn belongs_as(file: &Path, to_give: &Path) -> io::Result<()> {
    let (known, ours) = (fs::metadata(file)?, fs::metadata(to_give)?);
    let is_so = (ours.uid(), ours.gid()) == (known.uid(), known.gid());
    // A service is not allowed to ask for it (`SystemCallFilter`), and need not.
    if is_so || ours.uid() != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    chown(to_give, Some(known.uid()), Some(known.gid()))
}

/// `None`: somebody else has it, for too long. It is let go with the file.
fn hold(lock: &File) -> io::Result<Option<()>> {
    for _ in 0..TRIES {
        match rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(())),
            Err(Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::create_private;

    fn number(secret: &Secret<Vec<u8>>) -> u32 {
        std::str::from_utf8(secret.expose()).unwrap().parse().unwrap()
    }

    #[test]
    fn no_change_is_lost_of_many_that_change_it_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("count");
        create_private(&path, &Secret::new(b"0".to_vec())).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        update_private(&path, |old| {
                            let next = (number(old) + 1).to_string().into_bytes();
                            Ok::<_, Infallible>((Some(Secret::new(next)), ()))
                        })
                        .unwrap();
                    }
                });
            }
        });
        assert_eq!(number(&read_private(&path).unwrap()), 20);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["count", "count.lock"]);
    }

    #[test]
    fn what_fails_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_private(&path, &Secret::new(b"old".to_vec())).unwrap();
        let failed = update_private(&path, |_| Err::<(Option<Secret<Vec<u8>>>, ()), _>(io::Error::other("no")));
        assert!(matches!(failed, Err(UpdateError::Inside(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let open = update_private(&path, |_| Ok::<_, Infallible>((Some(Secret::new(b"new".to_vec())), ())));
        assert!(matches!(open, Err(UpdateError::File(PrivateFileError::Mode { .. }))));
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}
