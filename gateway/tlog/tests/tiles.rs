use proptest::prelude::*;

use super::*;

#[test]
fn paths_are_those_of_the_layout() {
    for (level, index, width, path) in [
        (0, 0, 256, "tile/0/000"),
        (0, 999, 256, "tile/0/999"),
        (0, 1_000, 256, "tile/0/x001/000"),
        (0, 1_234_067, 256, "tile/0/x001/x234/067"),
        (3, 1_234_067, 17, "tile/3/x001/x234/067.p/17"),
        (63, u64::MAX, 1, "tile/63/x018/x446/x744/x073/x709/x551/615.p/1"),
    ] {
        let tile = Tile { level, index, width };
        assert_eq!(tile.to_string(), path);
        assert_eq!(path.parse(), Ok(tile));
    }
    assert_eq!("tile/entries/x001/000.p/3".parse(), Ok(Bundle { index: 1_000, width: 3 }));
    for path in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p/1.p/1",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/+00",
        "tile/0/x1/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/../000",
        "tile/entries/000",
        "tile/0/000 ",
    ] {
        assert_eq!(path.parse::<Tile>(), Err(InvalidTile), "{path}");
    }
}

#[test]
fn a_tile_is_as_wide_as_its_tree_is_large() {
    for (level, index, size, width) in [
        (0, 0, 0, None),
        (0, 0, 1, Some(1)),
        (0, 0, 256, Some(256)),
        (0, 1, 256, None),
        (1, 0, 256, Some(1)),
        (1, 0, 255, None),
        (0, 273, 70_000, Some(112)),
        (1, 1, 70_000, Some(17)),
        (2, 0, 70_000, Some(1)),
        (3, 0, 70_000, None),
        (8, 0, u64::MAX, None),
        (0, u64::MAX, u64::MAX, None),
    ] {
        assert_eq!(Tile::in_tree(level, index, size).map(|tile| tile.width), width, "{level}/{index} of {size}");
    }
    assert_eq!(Tile { level: 0, index: 3, width: 256 }.end(), 1_024);
    assert_eq!(Tile { level: 1, index: 0, width: 256 }.end(), 65_536);
    assert_eq!(Tile { level: 7, index: 0, width: 256 }.end(), u64::MAX);
    assert_eq!(Tile { level: 63, index: 9, width: 256 }.end(), u64::MAX);
}

#[test]
fn a_bundle_gives_back_what_was_put_in_it() {
    let all: [&[u8]; 4] = [b"one", b"", &[0xff; ENTRY_MAX], b"four"];
    let mut bytes = Vec::new();
    assert!(all.iter().all(|entry| put_entry(&mut bytes, entry)));
    let before = bytes.len();
    assert!(!put_entry(&mut bytes, &[0; ENTRY_MAX + 1]));
    assert_eq!(bytes.len(), before);
    let bundle = |width| Bundle { index: 0, width };
    assert_eq!(entries(bundle(4), &bytes).unwrap(), all);
    assert_eq!(entries(bundle(5), &bytes), Err(InvalidBundle::Width { expected: 5, found: 4 }));
    assert_eq!(entries(bundle(3), &bytes), Err(InvalidBundle::Width { expected: 3, found: 4 }));
    assert_eq!(entries(bundle(4), &bytes[..before - 1]), Err(InvalidBundle::Short(before - 6)));
    assert_eq!(entries(bundle(1), b"\x00"), Err(InvalidBundle::Short(0)));
}

proptest! {
    #[test]
    fn every_path_is_the_path_of_one_tile(level in 0_u8..64, index: u64, width in 1_u16..=256) {
        let tile = Tile { level, index, width };
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
        let bundle = Bundle { index, width };
        prop_assert_eq!(bundle.to_string().parse(), Ok(bundle));
    }

    #[test]
    fn what_parses_prints_back_the_same(path in "tile/[0-9a-z]{1,7}/(x?[0-9]{2,4}/){0,3}x?[0-9]{2,4}(\\.p/[0-9]{1,3})?") {
        if let Ok(tile) = path.parse::<Tile>() {
            prop_assert_eq!(tile.to_string(), path);
        } else if let Ok(bundle) = path.parse::<Bundle>() {
            prop_assert_eq!(bundle.to_string(), path);
        }
    }
}
