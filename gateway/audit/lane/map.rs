//! The only unsafe code of the part: a file in memory, seen as atomic words.
//!
//! Nothing outside ever gets a byte slice into the mapping, only `&[AtomicU64]`. So a race between threads, or another
//! process that writes into the file, can garble a record (which its checksum shows) but is never undefined behaviour.
#![expect(unsafe_code, reason = "memory cannot be mapped without it")]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::MmapRaw;
use rustix::fs::{FallocateFlags, fallocate};

/// A mapped file. What is stored here outlives the process (it is in the page cache), though not a power cut.
#[derive(Debug)]
pub(crate) struct Map(MmapRaw);

impl Map {
    /// Makes a file of so many words, all zero, with its space on the disk taken: a store into it can not meet a full
    /// disk, which would be a SIGBUS.
    pub(crate) fn create(path: &Path, words: usize) -> io::Result<Self> {
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let mapped = reserve(&file, words).and_then(|()| MmapRaw::map_raw(&file));
        if mapped.is_err() {
            fs::remove_file(path)?; // what could not be made whole is not left behind
        }
        Ok(Self(mapped?))
    }

    /// Maps a file that an earlier process left.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self(MmapRaw::map_raw(&file)?))
    }

    /// The file as words.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is readable and writable (`map_raw`), lives as long as `self`, starts on a page (so it is
        // aligned for `AtomicU64`) and has `len()` bytes, of which only whole words are taken. All access in this
        // process is through these atomics, as no other reference into the mapping exists, so there is no data race.
        // The file is never made shorter while it is mapped: the directory is locked against other writers, and ours
        // only ever unlink it.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast::<AtomicU64>(), self.0.len() / 8) }
    }
}

fn reserve(file: &File, words: usize) -> io::Result<()> {
    let bytes = u64::try_from(words * 8).map_err(io::Error::other)?;
    fallocate(file, FallocateFlags::empty(), 0, bytes)?;
    Ok(())
}

/// Copies bytes into words; the last word is filled up with zeros. What does not fit is left out.
pub(crate) fn store(cells: &[AtomicU64], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<8>();
    for (cell, word) in cells.iter().zip(whole) {
        cell.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
    }
    if let (Some(cell), false) = (cells.get(whole.len()), rest.is_empty()) {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(rest) {
            *to = *from;
        }
        cell.store(u64::from_ne_bytes(word), Ordering::Relaxed);
    }
}

/// Appends `length` bytes out of words, or as many as there are.
pub(crate) fn load(cells: &[AtomicU64], length: usize, into: &mut Vec<u8>) {
    let start = into.len();
    let length = length.min(cells.len() * 8);
    into.resize(start + length.next_multiple_of(8), 0);
    let (words, _) = into.get_mut(start..).unwrap_or_default().as_chunks_mut::<8>();
    for (word, cell) in words.iter_mut().zip(cells) {
        *word = cell.load(Ordering::Relaxed).to_ne_bytes();
    }
    into.truncate(start + length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_went_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map");
        let map = Map::create(&path, 1024).unwrap();
        for length in [0, 1, 7, 8, 9, 600] {
            let bytes: Vec<u8> = (0..length).map(|n: usize| u8::try_from(n % 251).unwrap()).collect();
            store(map.words(), &bytes);
            let mut back = Vec::new();
            load(Map::open(&path).unwrap().words(), length, &mut back);
            assert_eq!(back, bytes);
        }
        assert!(Map::create(&path, 1).is_err(), "an existing file is not taken over");
    }
}
