use std::collections::HashMap;
use std::convert::Infallible;

use crate::growth::perfect;
use crate::tile::{WIDTH, at_level};
use crate::{Hash, Tile, node_hash};

/// Where tiles are kept.
pub trait Tiles {
    /// Why one cannot be read.
    type Error: std::error::Error + 'static;

    /// The hashes of this tile, if it is kept. One that is wider may stand for it: tiles only grow.
    ///
    /// # Errors
    /// It cannot be read.
    fn tile(&self, tile: Tile) -> Result<Option<Vec<Hash>>, Self::Error>;
}

/// In memory.
impl<S: std::hash::BuildHasher> Tiles for HashMap<Tile, Vec<Hash>, S> {
    type Error = Infallible;

    fn tile(&self, tile: Tile) -> Result<Option<Vec<Hash>>, Infallible> {
        Ok((tile.width..=256).find_map(|width| self.get(&Tile { width, ..tile })).cloned())
    }
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError<E: std::error::Error + 'static> {
    /// The tree of this size does not have what is asked for.
    #[error("there is no such place in a tree of {0} entries")]
    Beyond(u64),
    /// A tile is not kept: it was pruned, or lost.
    #[error("`{0}` is missing")]
    Missing(Tile),
    /// A tile has fewer hashes than it must have.
    #[error("`{0}` is not as wide as it must be")]
    Narrow(Tile),
    /// A tile cannot be read.
    #[error("`{tile}` cannot be read")]
    Read {
        /// Which.
        tile: Tile,
        /// Why.
        source: E,
    },
}

/// The root of the tree of this size.
///
/// # Errors
/// A tile that it needs cannot be read.
pub fn root<T: Tiles>(tiles: &T, size: u64) -> Result<Hash, ProofError<T::Error>> {
    if size == 0 { Ok(Hash::of_empty_tree()) } else { Tree { tiles, size }.hash(0, size) }
}

/// The proof that an entry is in the tree of this size (RFC 6962 §2.1.1), from its sibling up. Tiles are believed: verify it
/// against the root before you give it to somebody.
///
/// # Errors
/// There is no such entry, or a tile cannot be read.
pub fn inclusion<T: Tiles>(tiles: &T, index: u64, size: u64) -> Result<Vec<Hash>, ProofError<T::Error>> {
    if index >= size {
        return Err(ProofError::Beyond(size));
    }
    let tree = Tree { tiles, size };
    let mut path = Vec::new();
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(tree.hash(middle, high)?);
            high = middle;
        } else {
            path.push(tree.hash(low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of the older size is the beginning of that of the newer (RFC 6962 §2.1.2). Tiles are believed.
///
/// # Errors
/// The older is empty or larger than the newer, or a tile cannot be read.
pub fn consistency<T: Tiles>(tiles: &T, older: u64, newer: u64) -> Result<Vec<Hash>, ProofError<T::Error>> {
    if older == 0 || older > newer {
        return Err(ProofError::Beyond(newer));
    }
    let tree = Tree { tiles, size: newer };
    let mut path = Vec::new();
    let (mut low, mut high, mut is_known) = (0, newer, true);
    while high > older {
        let middle = low + split(high - low);
        if older <= middle {
            path.push(tree.hash(middle, high)?);
            high = middle;
        } else {
            path.push(tree.hash(low, middle)?);
            (low, is_known) = (middle, false);
        }
    }
    if !is_known {
        path.push(tree.hash(low, high)?); // the verifier has the root of the older tree, but not of this part of it
    }
    path.reverse();
    Ok(path)
}

/// The largest power of two below a number of two or more: where RFC 6962 §2.1 splits a tree.
fn split(entries: u64) -> u64 {
    1 << (u64::BITS - 1 - (entries - 1).leading_zeros())
}

pub(crate) fn read<T: Tiles>(tiles: &T, tile: Tile) -> Result<Vec<Hash>, ProofError<T::Error>> {
    let read = tiles.tile(tile).map_err(|source| ProofError::Read { tile, source })?;
    let mut hashes = read.ok_or(ProofError::Missing(tile))?;
    if hashes.len() < usize::from(tile.width) {
        return Err(ProofError::Narrow(tile));
    }
    hashes.truncate(usize::from(tile.width)); // what a wider one has more is of a later tree
    Ok(hashes)
}

struct Tree<'t, T> {
    tiles: &'t T,
    size: u64,
}

impl<T: Tiles> Tree<'_, T> {
    /// The hash over the entries from one to before another.
    fn hash(&self, low: u64, high: u64) -> Result<Hash, ProofError<T::Error>> {
        let entries = high - low;
        if entries.is_power_of_two() && low.is_multiple_of(entries) {
            return self.perfect(low, entries.trailing_zeros());
        }
        let middle = low + split(entries);
        Ok(node_hash(&self.hash(low, middle)?, &self.hash(middle, high)?))
    }

    /// The hash over 2^height entries: over some that follow each other in one tile.
    fn perfect(&self, low: u64, height: u32) -> Result<Hash, ProofError<T::Error>> {
        let beyond = || ProofError::Beyond(self.size);
        let level = u8::try_from(height / 8).map_err(|_| beyond())?;
        let first = at_level(low, level);
        let tile = Tile::in_tree(level, first / WIDTH, self.size).ok_or_else(beyond)?;
        let hashes = read(self.tiles, tile)?;
        let from = usize::try_from(first % WIDTH).map_err(|_| beyond())?;
        let part = hashes.get(from..from + (1 << (height % 8))).ok_or_else(beyond)?;
        Ok(perfect(part))
    }
}
