//! Promises of the tree, its proofs and its texts, against a naive tree, the tree of other people, and their vectors.

use std::collections::HashMap;

use crate::*;

mod notes;
mod others;
mod proofs;
mod tiles;
mod tree;
mod trust;
mod witness;

/// A tree and its tiles.
#[derive(Default)]
struct Log {
    tiles: HashMap<Tile, Vec<Hash>>,
    tree: Growth,
}

impl Log {
    fn of(size: u64) -> Self {
        let mut log = Self::default();
        log.grow_to(size);
        log
    }

    fn grow_to(&mut self, size: u64) {
        while self.tree.size() < size {
            let tiles = &mut self.tiles;
            let leaf = leaf_hash(&entry(self.tree.size()));
            self.tree.push(leaf, |tile, hashes| drop(tiles.insert(tile, hashes.to_vec())));
        }
        self.tiles.extend(self.tree.tips().map(|(tile, hashes)| (tile, hashes.to_vec())));
    }

    fn head(&self) -> (u64, Hash) {
        (self.tree.size(), self.tree.root())
    }
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

/// RFC 6962 §2.1, as it stands there.
fn naive(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of_empty_tree(),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            node_hash(&naive(left), &naive(right))
        }
    }
}

fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|index| leaf_hash(&entry(index))).collect()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}
