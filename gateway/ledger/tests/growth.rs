use super::*;

#[test]
fn every_record_is_shown_to_be_in_the_log_by_its_receipt_alone() {
    let world = World::new();
    world.grow_to(300);
    let published = world.publish();
    assert_eq!(published.size, 300);
    let policy = world.policy();
    let records = world.records();
    for (index, record) in (0..).zip(&records) {
        let receipt = prove(&world.log(), index, leaf_hash(record)).unwrap().to_string();
        let receipt: Receipt = receipt.parse().unwrap();
        let trusted = receipt.verify(record, &policy).unwrap();
        assert_eq!(trusted.checkpoint.root, published.root);
        assert!(receipt.verify(&records[if index == 0 { 1 } else { 0 }], &policy).is_err());
    }
    assert!(matches!(prove(&world.log(), 300, leaf_hash(b"")), Err(NoProof::Later { index: 300, size: 300 })));
    assert!(matches!(prove(&world.log(), 7, leaf_hash(b"another")), Err(NoProof::Wrong(7, _))));
    world.assert_sound();
}

#[test]
fn each_checkpoint_goes_on_from_the_one_before_it_whenever_the_gateway_ended() {
    let world = World::new();
    let mut last: Option<Published> = None;
    for size in [3, 7, 250, 256, 258, 511, 513, 1_030] {
        world.grow_to(size);
        let published = world.publish();
        assert_eq!(published.size, size);
        let tiles = Folder::of(&world.log());
        if let Some(last) = last {
            let proof = consistency(&tiles, last.size, size).unwrap();
            verify_consistency((last.size, last.root), (size, published.root), &proof).unwrap();
        }
        last = Some(published);
        world.assert_sound();
        assert_eq!(world.publish(), published, "nothing new, nothing signed");
    }
    // What was partial and is full now is kept once.
    let partial = world.log().join("tlog/tile/0/000.p");
    assert!(!partial.exists() && world.log().join("tlog/tile/0/000").exists());
}

#[test]
fn a_publisher_sees_what_comes_while_it_is_open() {
    let world = World::new();
    world.grow_to(3);
    let mut publisher = world.open().unwrap();
    assert_eq!(publisher.publish(3).unwrap().size, 3);
    world.grow_to(700);
    assert_eq!(publisher.publish(700).unwrap().size, 700);
    assert!(matches!(world.open(), Err(LedgerError::Busy(_))));
    drop(publisher);
    world.assert_sound();
    world.open().unwrap();
}

#[test]
fn nothing_is_signed_for_that_is_not_on_disk_for_good() {
    let world = World::new();
    world.grow_to(600);
    let mut publisher = world.open().unwrap();
    for (durable, signed) in [(0, 0), (1, 1), (300, 300), (300, 300), (299, 300), (600, 600), (700, 600)] {
        assert_eq!(publisher.publish(durable).unwrap().size, signed);
    }
    drop(publisher);
    world.assert_sound();
}

#[test]
fn tiles_that_are_lost_are_made_again() {
    let world = World::new();
    world.grow_to(600);
    let published = world.publish();
    for lost in ["tlog", "tlog/tile", "tlog/tile/0", "tlog/tile/0/002.p", "tlog/tile/1"] {
        fs::remove_dir_all(world.log().join(lost)).unwrap();
        assert!(!world.check().differences.is_empty(), "{lost}");
        assert_eq!(world.publish(), published);
        world.assert_sound();
    }
    fs::remove_dir_all(world.log().join("tlog/tile/entries")).unwrap();
    let said = world.check().differences.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(said.len() == 3 && said.iter().all(|said| said.contains("move `tlog` away")), "{said:?}");
}

#[test]
fn a_crash_between_the_guard_and_the_checkpoint_is_made_good() {
    let world = World::new();
    world.grow_to(300);
    world.publish();
    let before = world.folder.path().join("before");
    copy(&world.log().join("tlog"), &before);
    world.grow_to(700);
    let published = world.publish();
    fs::remove_dir_all(world.log().join("tlog")).unwrap();
    copy(&before, &world.log().join("tlog"));
    assert_eq!(world.publish(), published);
    world.assert_sound();
}
