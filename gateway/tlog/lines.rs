use crate::tile::decimal;
use crate::{Hash, Note};

/// What a receipt and a witness's request have in common: lines, hashes, an empty line and a checkpoint.
pub(crate) struct Parts<'t> {
    /// The lines before the hashes.
    pub(crate) head: Vec<&'t str>,
    pub(crate) hashes: Vec<Hash>,
    pub(crate) note: &'t str,
}

/// A proof in a tree of 2^64 entries has this many hashes at most. One of consistency has 63 as a witness takes it, one of
/// inclusion 64.
const HASHES_MAX: usize = 64;

/// Splits a text whose head has this many lines. A note that is not there is an empty one, for the caller to find out.
pub(crate) fn split(text: &str, head: impl Fn(&str) -> bool) -> Option<Parts<'_>> {
    let (above, note) = text.split_once("\n\n")?;
    let mut lines = above.split('\n').peekable();
    let mut first = Vec::new();
    while let Some(line) = lines.next_if(|line| head(line)) {
        first.push(line);
    }
    let hashes = lines.take(HASHES_MAX + 1).map(|line| line.parse().ok()).collect::<Option<Vec<_>>>()?;
    (hashes.len() <= HASHES_MAX).then_some(Parts { head: first, hashes, note })
}

/// The number behind a word: `index 17`.
pub(crate) fn number(line: &str, word: &str) -> Option<u64> {
    line.strip_prefix(word).and_then(|rest| rest.strip_prefix(' ')).and_then(decimal)
}

/// Writes hashes, an empty line, and the note.
pub(crate) fn write(f: &mut std::fmt::Formatter<'_>, hashes: &[Hash], note: &Note) -> std::fmt::Result {
    hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
    write!(f, "\n{note}")
}
