use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use secrets::{PrivateFileError, Secret, create_private, read_private};
use terms::hex;

/// The shortest root, in bytes.
const ROOT_MIN: usize = 32;

/// The root, and the one that is to come in its place.
const ROOT: &str = "subjects.key";
const NEXT: &str = "subjects.key.next";

/// Why there is no root.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Its file is gone, or cannot be read or made.
    #[error("the root of the subject vault is not to be had: what it wraps is lost without it")]
    File(#[source] PrivateFileError),
    /// There is no randomness.
    #[error("the root of the subject vault cannot be made: there is no randomness")]
    Randomness,
    /// It is too short to be one.
    #[error("`{}` is shorter than the 32 bytes of a root", .0.display())]
    Short(PathBuf),
}

/// The root of the vault in this folder, where the settings give none, and the one that may be in force in its place: a rotation
/// may have been broken off after it had all rows written anew.
pub(crate) fn roots(folder: &Path) -> Result<Lying, RootError> {
    let next = folder.join(NEXT);
    // ORDER: the next one first. It may come in the place of the other meanwhile, and then it is read as that.
    let next = if next.try_exists().unwrap_or(true) { read(&next).ok() } else { None };
    Ok(Lying { root: read(&folder.join(ROOT))?, next })
}

/// Roots that lie in a folder.
#[derive(Debug)]
pub(crate) struct Lying {
    pub(crate) root: Secret<Vec<u8>>,
    pub(crate) next: Option<Secret<Vec<u8>>>,
}

fn read(path: &Path) -> Result<Secret<Vec<u8>>, RootError> {
    let root = read_private(path).map_err(RootError::File)?;
    if root.expose().len() < ROOT_MIN { Err(RootError::Short(path.to_owned())) } else { Ok(root) }
}

/// Makes the root, if there is none: at the first start, and for its owner alone.
pub(crate) fn make_root(folder: &Path) -> Result<(), RootError> {
    create_private(&folder.join(ROOT), &by_chance()?).map(drop).map_err(RootError::File)
}

/// Makes another root, which is in force as soon as the rows say so. One that never was is overwritten.
pub(crate) fn make_next_root(folder: &Path, _alone: &Alone) -> Result<Secret<Vec<u8>>, RootError> {
    let (path, root) = (folder.join(NEXT), by_chance()?);
    let broken = |source| RootError::File(PrivateFileError::Create { path: path.clone(), source });
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(broken(error)),
        _ => {}
    }
    if !create_private(&path, &root).map_err(RootError::File)? {
        return Err(broken(io::ErrorKind::AlreadyExists.into()));
    }
    let file = fs::File::open(&path).and_then(|file| belongs(&file, folder));
    file.map_err(broken)?;
    Ok(root)
}

/// Puts the next root in the place of the other, which is in force no more.
pub(crate) fn settle(folder: &Path, _alone: &Alone) -> io::Result<()> {
    let path = folder.join(ROOT);
    // As far as a disk forgets what is written over: the old one opens what is in backups.
    let length = usize::try_from(fs::metadata(&path)?.len()).unwrap_or(ROOT_MIN);
    let mut old = fs::OpenOptions::new().write(true).open(&path)?;
    old.write_all(&vec![0; length])?;
    old.sync_all()?;
    fs::rename(folder.join(NEXT), &path)?;
    fs::File::open(folder)?.sync_all()
}

/// Shows that nobody else rotates the root of this folder. It ends with the process, too.
#[derive(Debug)]
pub(crate) struct Alone(#[expect(dead_code, reason = "it is held")] fs::File);

impl Alone {
    /// `None`: somebody else does.
    pub(crate) fn of(folder: &Path) -> io::Result<Option<Self>> {
        let folder = fs::File::open(folder)?;
        match folder.try_lock() {
            Ok(()) => Ok(Some(Self(folder))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

fn by_chance() -> Result<Secret<Vec<u8>>, RootError> {
    // One buffer that is overwritten: no copy stays behind.
    let mut bytes = vec![0; ROOT_MIN];
    rand::fill(&mut bytes).map_err(|_| RootError::Randomness)?;
    Ok(Secret::new(bytes))
}

/// Gives a file to the gateway, whoever runs the command: SQLite does the same with what it makes beside the database; where that
/// is elsewhere, the folder says whose it is. A service is not allowed to ask for it (`SystemCallFilter`), and need not.
fn belongs(file: &fs::File, folder: &Path) -> io::Result<()> {
    let of_vault = match fs::metadata(folder.join("subjects.db")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::metadata(folder)?,
        found => found?,
    };
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (of_vault.uid(), of_vault.gid()) {
        fchown(file, Some(of_vault.uid()), Some(of_vault.gid()))?;
    }
    Ok(())
}

/// What the state folder knows of its vault, outside of it: which one it is, and how often something was destroyed in it. A
/// vault that was taken away, or set back to when somebody was still in it, is found by that.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) id: [u8; 16],
    pub(crate) destroyed: u64,
}

impl Seen {
    pub(crate) fn path(folder: &Path) -> PathBuf {
        folder.join("subjects.id")
    }

    /// `None`: there was none yet.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read_to_string(Self::path(folder)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let parsed = text.trim_end().split_once(' ').and_then(|(id, destroyed)| {
            let id = u128::from_str_radix(id, 16).ok()?.to_be_bytes();
            Some(Self { id, destroyed: destroyed.parse().ok()? })
        });
        parsed.map(Some).ok_or_else(|| io::Error::other("it is not as it was written"))
    }

    /// Whole or not at all, and on disk.
    pub(crate) fn write(self, folder: &Path) -> io::Result<()> {
        let path = Self::path(folder);
        let draft = folder.join(format!("subjects.id.{}.new", std::process::id()));
        let id = hex(u128::from_be_bytes(self.id));
        let text = format!("{} {}\n", String::from_utf8_lossy(&id), self.destroyed);
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        belongs(&file, folder)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        fs::File::open(folder)?.sync_all()
    }
}
