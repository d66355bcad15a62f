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
    let path = |index| folder.path().join(Bundle { index, width: 256 }.to_string());
    // Those that are there are in a row, which ends where what is to stay begins.
    let (end, mut start) = (minimum / WIDTH, minimum / WIDTH);
    while let Some(before) = start.checked_sub(1)
        && path(before).try_exists()?
    {
        start = before;
    }
    // ORDER: the oldest first, so that they are in a row wherever this is broken off.
    for index in start..end {
        match fs::remove_file(path(index)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(end - start)
}
