use crate::{Hash, node_hash};

/// Why a proof shows nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Disproved {
    /// What is asked about is not in a tree of this size.
    #[error("there is no such place in a tree of this size")]
    Beyond,
    /// It has more or fewer hashes than a proof of this has.
    #[error("the proof has more or fewer hashes than it must have")]
    Length,
    /// It leads to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// Shows that an entry with this hash is at this place of the tree with this root (RFC 9162 §2.1.3.2).
///
/// # Errors
/// It is not shown.
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: Hash) -> Result<(), Disproved> {
    if index >= size {
        return Err(Disproved::Beyond);
    }
    let (mut place, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return Err(Disproved::Length);
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    match (last, hash == root) {
        (0, true) => Ok(()),
        (0, false) => Err(Disproved::Root),
        (_, _) => Err(Disproved::Length),
    }
}

/// Shows that the tree with the older root is the beginning of that with the newer (RFC 9162 §2.1.4.2). Every tree begins with
/// an empty one: that shows nothing, and is no question here.
///
/// # Errors
/// It is not shown.
pub fn verify_consistency(older: (u64, Hash), newer: (u64, Hash), proof: &[Hash]) -> Result<(), Disproved> {
    let ((first, first_root), (second, second_root)) = (older, newer);
    if first == 0 || first > second {
        return Err(Disproved::Beyond);
    }
    if first == second {
        return match (proof.is_empty(), first_root == second_root) {
            (true, true) => Ok(()),
            (true, false) => Err(Disproved::Root),
            (false, _) => Err(Disproved::Length),
        };
    }
    // The older tree as a whole is a node of the newer one if it is perfect: then the proof does not repeat its root.
    let whole = first.is_power_of_two().then_some(first_root);
    let mut hashes = whole.iter().chain(proof);
    let shift = (first - 1).trailing_ones();
    let (mut place, mut last) = ((first - 1) >> shift, (second - 1) >> shift);
    let start = *hashes.next().ok_or(Disproved::Length)?;
    let (mut old, mut new) = (start, start);
    for hash in hashes {
        if last == 0 {
            return Err(Disproved::Length);
        }
        if place & 1 == 1 || place == last {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            new = node_hash(&new, hash);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    match (last, old == first_root && new == second_root) {
        (0, true) => Ok(()),
        (0, false) => Err(Disproved::Root),
        (_, _) => Err(Disproved::Length),
    }
}
