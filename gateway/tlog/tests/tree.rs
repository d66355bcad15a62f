use proptest::prelude::*;

use super::*;

fn hex(hash: Hash) -> String {
    hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_roots_are_those_of_certificate_transparency() {
    let entries: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Growth::default();
    assert_eq!(hex(tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (entry, root) in entries.iter().zip(roots) {
        tree.push(leaf_hash(entry), |_, _| panic!("no tile is full"));
        assert_eq!(hex(tree.root()), root);
    }
}

#[test]
fn a_tree_has_the_tiles_that_the_layout_says() {
    let mut full = Vec::new();
    let mut tree = Growth::default();
    for leaf in leaves(70_000) {
        tree.push(leaf, |tile, hashes| {
            assert_eq!(hashes.len(), 256);
            full.push((tile.level, tile.index));
        });
    }
    let expected = (0..273).map(|index| (0, index)).chain([(1, 0)]);
    full.sort_unstable();
    assert_eq!(full, expected.collect::<Vec<_>>());
    let tips: Vec<_> = tree.tips().map(|(tile, hashes)| (tile.to_string(), hashes.len())).collect();
    let expected = [("tile/0/273.p/112", 112), ("tile/1/001.p/17", 17), ("tile/2/000.p/1", 1)];
    assert_eq!(tips, expected.map(|(path, width)| (path.to_owned(), width)));
}

#[test]
fn a_tree_is_taken_up_where_it_was_left() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537] {
        let log = Log::of(size);
        let mut again = Growth::resume(&log.tiles, size).unwrap();
        assert_eq!((again.size(), again.root()), log.head());
        assert_eq!(again.root(), naive(&leaves(size)));
        again.push(leaf_hash(b"next"), |_, _| {});
        assert_eq!(again.root(), naive(&[leaves(size), vec![leaf_hash(b"next")]].concat()));
    }
}

#[test]
fn a_tree_whose_edge_is_lost_is_not_taken_up() {
    let mut log = Log::of(70_000);
    let lost = Tile { level: 1, index: 1, width: 17 };
    log.tiles.remove(&lost);
    assert!(matches!(
        Growth::resume(&log.tiles, 70_000),
        Err(ResumeError::Edge(ProofError::Missing(tile))) if tile == lost
    ));
    log.tiles.insert(lost, vec![Hash::of_empty_tree(); 16]);
    assert!(matches!(
        Growth::resume(&log.tiles, 70_000),
        Err(ResumeError::Edge(ProofError::Narrow(tile))) if tile == lost
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn however_it_grew_the_root_is_that_of_its_entries(sizes in proptest::collection::vec(0_u64..1_200, 1..6)) {
        let mut sizes = sizes;
        sizes.sort_unstable();
        let mut log = Log::default();
        for size in sizes {
            log.grow_to(size);
            prop_assert_eq!(log.tree.root(), naive(&leaves(size)));
            prop_assert_eq!(root(&log.tiles, size).unwrap(), naive(&leaves(size)));
        }
    }
}
