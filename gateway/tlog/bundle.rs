use crate::Bundle;

/// The longest entry that a bundle can hold.
pub const ENTRY_MAX: usize = u16::MAX as usize;

/// Why bytes are not those of a bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidBundle {
    /// They end within an entry, at this byte.
    #[error("the bundle ends within the entry at byte {0}")]
    Short(usize),
    /// There are more or fewer entries than it must have.
    #[error("the bundle has {found} entries instead of {expected}")]
    Width {
        /// As many as its path says.
        expected: u16,
        /// As many as there are.
        found: usize,
    },
}

/// Appends an entry to a bundle: its length in two bytes, the larger first, and then it.
///
/// Answers `false`, and appends nothing, if it is longer than [`ENTRY_MAX`].
#[must_use]
pub fn put_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(length) = u16::try_from(entry.len()) else { return false };
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    true
}

/// The entries of a bundle, in order.
///
/// # Errors
/// The bytes are not a bundle with as many entries as it must have.
pub fn entries(bundle: Bundle, bytes: &[u8]) -> Result<Vec<&[u8]>, InvalidBundle> {
    let mut entries = Vec::with_capacity(usize::from(bundle.width));
    let mut rest = bytes;
    while !rest.is_empty() {
        let short = InvalidBundle::Short(bytes.len() - rest.len());
        let (length, after) = rest.split_first_chunk::<2>().ok_or(short)?;
        let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(short)?;
        entries.push(entry);
        rest = after;
    }
    if entries.len() == usize::from(bundle.width) {
        Ok(entries)
    } else {
        Err(InvalidBundle::Width { expected: bundle.width, found: entries.len() })
    }
}
