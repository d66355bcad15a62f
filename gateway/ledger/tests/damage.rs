use super::*;

#[test]
fn nothing_is_signed_for_a_log_that_is_not_the_one_that_was_signed_for() {
    let shorter = |error: &LedgerError| matches!(error, LedgerError::Shorter { .. });
    let forked = |error: &LedgerError| matches!(error, LedgerError::Forked { .. });
    let checkpoint = |error: &LedgerError| matches!(error, LedgerError::Checkpoint(..));
    // What was once, and then went on in another way.
    let set_back = |world: &World, what: &str, size| {
        fs::remove_dir_all(world.log().join(what)).unwrap();
        copy(&world.folder.path().join("earlier").join(what), &world.log().join(what));
        world.grow_to(size);
    };
    let another = |world: &World| {
        fs::remove_dir_all(world.log().join("segments")).unwrap();
        world.grow_to(600);
    };
    type Break<'b> = &'b dyn Fn(&World);
    type Said<'s> = &'s dyn Fn(&LedgerError) -> bool;
    let table: [(&str, Break<'_>, Said<'_>); 8] = [
        ("other records", &|world| set_back(world, "segments", 600), &forked),
        ("other records, and more", &|world| set_back(world, "segments", 900), &forked),
        ("fewer records", &|world| set_back(world, "segments", 500), &shorter),
        ("the disk of an earlier day", &|world| set_back(world, "", 500), &shorter),
        ("the disk of an earlier day, gone on in another way", &|world| set_back(world, "", 700), &forked),
        ("another log in place of this one", &another, &checkpoint),
        (
            "a checkpoint that somebody wrote",
            &|world| edit(&world.log().join("tlog/checkpoint"), "\n600\n", "\n601\n"),
            &checkpoint,
        ),
        (
            "a guard that somebody wrote",
            &|world| {
                let path = format!("ledger/{:032x}.checkpoint", u128::from_be_bytes(world.id()));
                edit(&world.state().join(path), "\n600\n", "\n500\n");
            },
            &checkpoint,
        ),
    ];
    for (what, damage, said) in table {
        let world = World::new();
        world.grow_to(300);
        world.publish();
        copy(&world.log(), &world.folder.path().join("earlier"));
        world.grow_to(600);
        world.publish();
        damage(&world);
        let error = world.open().err().unwrap_or_else(|| panic!("signed for {what}"));
        assert!(said(&error) && error.is_of_the_log(), "{what}: {error:?}");
    }
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_segment_that_a_full_disk_has_left_unmade_says_nothing_of_the_log() {
    let world = World::new();
    world.grow_to(30);
    let mut publisher = world.open().unwrap();
    fs::write(world.log().join("segments/00000000000000000030.seg"), b"").unwrap();
    let error = publisher.publish(u64::MAX).unwrap_err();
    assert!(!error.is_of_the_log(), "{error:?}");
}

#[test]
fn the_key_of_another_log_signs_nothing() {
    let world = World::new();
    world.grow_to(3);
    world.publish();
    let error = world.key().read_or_make(&"log.example/renamed".parse().unwrap(), 1).unwrap_err();
    assert!(matches!(&error, KeyError::Other { .. }));
    let text = error.to_string();
    assert!(text.contains("log.example/edge-1") && text.contains("audit.origin"), "{text}");
}

#[test]
fn every_byte_of_what_is_published_is_compared_with_the_records() {
    let world = World::new();
    world.grow_to(3);
    world.publish();
    world.grow_to(6);
    world.publish();
    world.assert_sound();
    let files = files(&world.log().join("tlog"));
    assert_eq!(files.len(), 5, "a checkpoint, two tiles that are not full and two bundles: {files:?}");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&file, &changed).unwrap();
            let found = check(&world.log(), Some(&world.policy())).is_ok_and(|checked| checked.differences.is_empty());
            assert!(!found, "byte {at} of {}", file.display());
        }
        for cut in [0, 1, bytes.len() - 1] {
            fs::write(&file, &bytes[..cut]).unwrap();
            let found = check(&world.log(), Some(&world.policy())).is_ok_and(|checked| checked.differences.is_empty());
            assert!(!found, "{} cut to {cut}", file.display());
        }
        fs::write(&file, &bytes).unwrap();
    }
    world.assert_sound();
    fs::write(world.log().join("tlog/tile/0/000.p/6.new"), b"half of it").unwrap();
    fs::write(world.log().join("tlog/checkpoint.new"), b"half of it").unwrap();
    world.assert_sound(); // a crash may leave these
    fs::write(world.log().join("tlog/tile/0/001"), b"").unwrap();
    assert!(matches!(world.check().differences.as_slice(), [Difference::Foreign(_)]));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_checkpoint_of_a_stranger_is_not_trusted_whatever_it_says() {
    let world = World::new();
    world.grow_to(6);
    world.publish();
    let stranger = tlog::SigningKey::generate("log.example/edge-1".parse().unwrap()).unwrap();
    let policy: TrustPolicy = format!("log {}\nquorum none\n", stranger.verifier()).parse().unwrap();
    let checked = check(&world.log(), Some(&policy)).unwrap();
    assert!(matches!(checked.differences.as_slice(), [Difference::Checkpoint(_)]), "{:?}", checked.differences);
    let note = Folder::of(&world.log()).checkpoint().unwrap().unwrap();
    assert_eq!(Checkpoint::of(&note).unwrap().root, root(&Folder::of(&world.log()), 6).unwrap());
}

#[test]
fn a_new_log_has_a_name_and_a_key_of_its_own() {
    let world = World::new();
    world.grow_to(6);
    world.publish();
    let (id, before) = (world.id(), world.key().read().unwrap().signing().verifier().clone());
    fs::remove_dir_all(world.log()).unwrap();
    world.grow_to(9);
    assert_eq!(world.publish().size, 9);
    assert_ne!(world.id(), id);
    assert!(!world.key().read().unwrap().signing().verifier().is_same_key(&before));
}
