use crate::tile::{WIDTH, at_level};
use crate::{Hash, ProofError, Tile, Tiles, node_hash};

/// A tree that grows. It keeps what the next entry can still change: of each level the tile that is not full.
#[derive(Clone, Debug, Default)]
pub struct Growth {
    size: u64,
    /// INVARIANT: level `l` has `(size / 256^l) mod 256` hashes.
    tips: Vec<Vec<Hash>>,
}

/// Why a tree cannot be taken up where it was left.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError<E: std::error::Error + 'static> {
    /// A tile at its edge is not there, or is not as wide as it must be.
    #[error("the edge of the tree cannot be read")]
    Edge(#[from] ProofError<E>),
}

impl Growth {
    /// The tree of this size whose tiles were kept.
    ///
    /// # Errors
    /// A tile at its edge cannot be read. Whether the tiles are those of the tree is another question: its
    /// [`Growth::root`] answers it, beside a checkpoint.
    pub fn resume<T: Tiles>(tiles: &T, size: u64) -> Result<Self, ResumeError<T::Error>> {
        let mut tips = Vec::new();
        for level in 0.. {
            let hashes = at_level(size, level);
            if hashes == 0 {
                break;
            }
            let tip = Tile::in_tree(level, hashes / WIDTH, size);
            tips.push(tip.map_or_else(|| Ok(Vec::new()), |tile| crate::stored::read(tiles, tile))?);
        }
        Ok(Self { size, tips })
    }

    /// How many entries it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds the hash of an entry ([`crate::leaf_hash`]). `full` is given each tile that it fills, from the lowest level up.
    pub fn push(&mut self, leaf: Hash, mut full: impl FnMut(Tile, &[Hash])) {
        self.size += 1;
        let (mut hash, mut level) = (leaf, 0_u8);
        loop {
            let at = usize::from(level);
            if self.tips.len() <= at {
                self.tips.push(Vec::new());
            }
            let Some(tip) = self.tips.get_mut(at) else { return };
            tip.push(hash);
            if (tip.len() as u64) < WIDTH {
                return;
            }
            let index = at_level(self.size, level) / WIDTH - 1;
            full(Tile { level, index, width: 256 }, tip);
            hash = perfect(tip);
            tip.clear();
            level += 1;
        }
    }

    /// The tiles at its edge that are not full, from the lowest level up. With those that were full before they are all
    /// that a checkpoint of this size needs.
    pub fn tips(&self) -> impl Iterator<Item = (Tile, &[Hash])> {
        (0_u8..).zip(&self.tips).filter_map(|(level, tip)| {
            let width = u16::try_from(tip.len()).ok().filter(|width| *width > 0)?;
            Some((Tile { level, index: at_level(self.size, level) / WIDTH, width }, tip.as_slice()))
        })
    }

    /// The root of all of it (RFC 6962 §2.1). It costs up to 255 hashes for each level, so ask for it once in a while.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut right: Option<Hash> = None;
        for tip in &self.tips {
            let mut rest = tip.as_slice();
            // A level's hashes are the roots of perfect trees, larger ones to the left: as many as its count has bits set.
            while let Some(last) = 1_usize.checked_shl(rest.len().trailing_zeros()).filter(|_| !rest.is_empty()) {
                let (left, part) = rest.split_at(rest.len() - last);
                let part = perfect(part);
                right = Some(right.map_or(part, |right| node_hash(&part, &right)));
                rest = left;
            }
        }
        right.unwrap_or_else(Hash::of_empty_tree)
    }
}

/// The root over a power of two of hashes.
pub(crate) fn perfect(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.first().copied().unwrap_or_else(Hash::of_empty_tree)
}
