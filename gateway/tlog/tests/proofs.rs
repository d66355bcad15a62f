use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;

use super::*;

#[test]
fn every_place_of_every_small_tree_is_proven_and_no_other() {
    let all = leaves(40);
    let log = Log::of(40);
    for size in 1..=40 {
        let root = naive(all.get(..usize::try_from(size).unwrap()).unwrap());
        for index in 0..size {
            let proof = inclusion(&log.tiles, index, size).unwrap();
            for (at, leaf) in (0..).zip(&all) {
                let shown = verify_inclusion(*leaf, index, size, &proof, root);
                assert_eq!(shown.is_ok(), at == index, "{at} for {index} of {size}");
            }
        }
        assert!(matches!(inclusion(&log.tiles, size, size), Err(ProofError::Beyond(_))));
    }
}

#[test]
fn every_small_tree_is_proven_to_be_the_beginning_of_every_larger_one() {
    let log = Log::of(40);
    let head = |size: u64| (size, root(&log.tiles, size).unwrap());
    for newer in 1..=40 {
        for older in 1..=newer {
            let proof = consistency(&log.tiles, older, newer).unwrap();
            verify_consistency(head(older), head(newer), &proof).unwrap();
            for other in 1..=40 {
                let shown = verify_consistency((older, head(other).1), head(newer), &proof);
                assert_eq!(shown.is_ok(), other == older, "{other} for {older} of {newer}");
                let shown = verify_consistency(head(older), (newer, head(other).1), &proof);
                assert_eq!(shown.is_ok(), other == newer, "{older} of {other} for {newer}");
            }
        }
        assert!(consistency(&log.tiles, 0, newer).is_err());
        assert!(consistency(&log.tiles, newer + 1, newer).is_err());
        let empty = (0, Hash::of_empty_tree());
        assert_eq!(verify_consistency(empty, head(newer), &[]), Err(Disproved::Beyond));
        assert_eq!(verify_consistency(head(newer), empty, &[]), Err(Disproved::Beyond));
    }
}

#[test]
fn what_was_pruned_is_not_proven_and_all_the_rest_is() {
    let mut log = Log::of(2_000);
    log.tiles.retain(|tile, _| !(tile.level == 0 && tile.end() <= 1_024));
    assert!(matches!(inclusion(&log.tiles, 1_023, 2_000), Err(ProofError::Missing(_))));
    let (size, root) = log.head();
    for index in [1_024, 1_500, 1_999] {
        let proof = inclusion(&log.tiles, index, size).unwrap();
        verify_inclusion(leaf_hash(&entry(index)), index, size, &proof, root).unwrap();
    }
    let older = (1_300, crate::root(&log.tiles, 1_300).unwrap());
    verify_consistency(older, (size, root), &consistency(&log.tiles, 1_300, size).unwrap()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn others_make_the_same_proofs(size in 1_u64..700, at in any::<prop::sample::Index>()) {
        let (log, mut theirs) = (Log::of(size), MemoryBackedTree::<Sha256, Vec<u8>>::new());
        (0..size).for_each(|index| theirs.push(entry(index)));
        prop_assert_eq!(log.tree.root().as_bytes().to_vec(), theirs.root().as_bytes().to_vec());

        let index = at.index(usize::try_from(size).unwrap());
        let ours = inclusion(&log.tiles, index as u64, size).unwrap();
        prop_assert_eq!(bytes(&ours), theirs.prove_inclusion(index).as_bytes().to_vec());

        let older = index as u64 + 1;
        if older < size {
            let ours = consistency(&log.tiles, older, size).unwrap();
            let theirs = theirs.prove_consistency(usize::try_from(size - older).unwrap());
            prop_assert_eq!(bytes(&ours), theirs.as_bytes());
        }
    }

    #[test]
    fn no_proof_stays_one_when_a_bit_of_it_is_changed(
        size in 2_u64..600,
        at in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let log = Log::of(size);
        let index = at.index(usize::try_from(size).unwrap()) as u64;
        let changed = |mut proof: Vec<Hash>| {
            let place = place.index(proof.len() * 32);
            let mut hash = *proof[place / 32].as_bytes();
            hash[place % 32] ^= 1 << bit;
            proof[place / 32] = Hash::from(hash);
            proof
        };
        let proof = changed(inclusion(&log.tiles, index, size).unwrap());
        prop_assert!(verify_inclusion(leaf_hash(&entry(index)), index, size, &proof, log.tree.root()).is_err());
        let older = index + 1;
        if older < size {
            let proof = changed(consistency(&log.tiles, older, size).unwrap());
            let old = (older, root(&log.tiles, older).unwrap());
            prop_assert!(verify_consistency(old, log.head(), &proof).is_err());
        }
    }
}

fn bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}
