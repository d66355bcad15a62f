use std::fs;
use std::io;
use std::path::Path;

use tlog::{Bundle, WIDTH};

use crate::Folder;

/// Removes the bundles all of whose records come before this one, which is the log's minimum index (C2SP tlog-tiles). The tiles
/// stay: with them every record that remains can be proven, and whoever holds one that is gone can still show that it was there.
/// Answers how many were removed.
///
/// # Errors
/// One cannot be removed.
pub fn prune_bundles(log: &Path, minimum: u64) -> io::Result<u64> {
    let folder = Folder::of(log);
    let mut removed = 0;
    // Newest first, so that the next time it ends where the last one began.
    for index in (0..minimum / WIDTH).rev() {
        match fs::remove_file(folder.path().join(Bundle { index, width: 256 }.to_string())) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}
