//! Files that are there whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Whether a file is on disk when it has its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Durable {
    /// It is, and so is its name.
    Now,
    /// Whoever writes it brings all of them to disk later, at once.
    Later,
}

/// What the name of a file ends with that is being written.
pub(crate) const DRAFT: &str = ".new";

pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Puts a file in place of the one that has this name.
pub(crate) fn replace(path: &Path, content: &[u8], durable: Durable) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let draft = {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(DRAFT);
        folder.join(name)
    };
    let mut file = match create(&draft) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(folder)?;
            create(&draft)?
        }
        file => file?,
    };
    file.write_all(content)?;
    if durable == Durable::Now {
        file.sync_all()?;
    }
    // ORDER: the content is there before it has the name.
    fs::rename(&draft, path)?;
    if durable == Durable::Now { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Puts a file in place of the one that has this name, in a folder that is made if it is not there. When this is back, it
/// survives a power cut; until then the one before does.
///
/// # Errors
/// It cannot be written.
pub fn replace_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, content, Durable::Now)
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Brings to disk everything that was written to the file system of this folder.
pub(crate) fn sync_all_of(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(folder)?)?)
}

/// A file, if it is there.
pub(crate) fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is in a folder; nothing, if it is not there.
pub(crate) fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    entries.map(name).collect()
}
