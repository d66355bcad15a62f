use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{Advice, fadvise};

/// Has the system forget what it holds in memory of the files of a log, so that who reads them reads the disk. What is not
/// written there yet stays.
///
/// # Errors
/// The folder or a file cannot be opened. A file system that knows nothing of this is no error.
pub fn forget_cached(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            forget_cached(&path)?;
        } else if path.is_file() {
            match File::open(&path) {
                Ok(file) => drop(fadvise(&file, 0, None, Advice::DontNeed)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {} // it was replaced meanwhile
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
