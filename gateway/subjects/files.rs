use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use secrets::{PrivateFileError, Secret, create_private, read_private};
use terms::hex;

/// The shortest root, in bytes.
const ROOT_MIN: usize = 32;

/// Whether something may be made that is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Made {
    /// It is the first start.
    Now,
    /// It must be there.
    Before,
}

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

/// The root of the vault in this folder, where the settings give none: made at the first start, and for its owner alone.
pub(crate) fn root(folder: &Path, made: Made) -> Result<Secret<Vec<u8>>, RootError> {
    let path = folder.join("subjects.key");
    if made == Made::Now {
        // One buffer that is overwritten: no copy stays behind.
        let mut bytes = vec![0; ROOT_MIN];
        rand::fill(&mut bytes).map_err(|_| RootError::Randomness)?;
        create_private(&path, &Secret::new(bytes)).map_err(RootError::File)?;
    }
    let root = read_private(&path).map_err(RootError::File)?;
    if root.expose().len() < ROOT_MIN { Err(RootError::Short(path)) } else { Ok(root) }
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
        // The gateway's, whoever runs the command: SQLite does the same with what it makes beside the database. A service is
        // not allowed to ask for it (`SystemCallFilter`), and need not.
        let (of_vault, ours) = (fs::metadata(folder.join("subjects.db"))?, file.metadata()?);
        if (ours.uid(), ours.gid()) != (of_vault.uid(), of_vault.gid()) {
            fchown(&file, Some(of_vault.uid()), Some(of_vault.gid()))?;
        }
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        fs::File::open(folder)?.sync_all()
    }
}
