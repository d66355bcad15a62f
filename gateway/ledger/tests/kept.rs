//! A checkpoint that somebody has kept is where a look begins, and what another one is compared with.

use tlog::Note;

use super::*;

impl World {
    fn note(&self) -> Note {
        Folder::of(&self.log()).checkpoint().unwrap().unwrap()
    }

    fn seen_from(&self, kept: &Note) -> Checked {
        check_against(&self.log(), Against { policy: Some(&self.policy()), kept: Some(kept), guard: None }).unwrap()
    }

    fn guard(&self) -> Note {
        guarded(&self.state(), self.id()).unwrap().unwrap()
    }

    fn seen_with_guard(&self) -> Checked {
        let guard = self.guard();
        check_against(&self.log(), Against { policy: Some(&self.policy()), kept: None, guard: Some(&guard) }).unwrap()
    }
}

/// A log of 900 records, the checkpoint of its first 600, and that of all.
fn grown() -> (World, Note) {
    let world = World::new();
    world.grow_to(600);
    world.publish();
    let kept = world.note();
    world.grow_to(900);
    world.publish();
    (world, kept)
}

#[test]
fn only_what_comes_after_it_is_read_and_the_tiles_show_the_rest() {
    let (world, kept) = grown();
    let checked = world.seen_from(&kept);
    assert!(checked.differences.is_empty(), "{:#?}", checked.differences);
    assert_eq!((checked.records, checked.read_from), (900, Some(512)));
    assert_eq!(world.seen_from(&world.note()).read_from, Some(768), "of the newest one, the last tile alone");
    for size in [2, 255, 256, 257, 511, 512, 513, 898] {
        let world = World::new();
        world.grow_to(size);
        world.publish();
        let kept = world.note();
        world.grow_to(900);
        world.publish();
        let checked = world.seen_from(&kept);
        assert!(checked.differences.is_empty(), "{size}: {:#?}", checked.differences);
        assert_eq!(checked.read_from, Some(size / 256 * 256));
    }
}

#[test]
fn a_log_that_does_not_go_on_from_what_was_kept_is_found() {
    type Break<'b> = &'b dyn Fn(&World);
    let (other, _) = grown();
    let forked =
        |found: &Checked| found.differences.iter().any(|it| matches!(it, Difference::Forked { size: 600, .. }));
    // The same name and key, and another history: the thief of a key, or a disk that was set back.
    let (world, kept) = grown();
    let key = fs::read(world.state().join(format!("ledger/{:032x}.key", u128::from_be_bytes(world.id())))).unwrap();
    let path = other.state().join(format!("ledger/{:032x}.key", u128::from_be_bytes(other.id())));
    fs::write(&path, key).unwrap();
    fs::remove_dir_all(other.log().join("tlog")).unwrap();
    fs::remove_file(path.with_extension("checkpoint")).unwrap();
    other.publish();
    other.assert_sound();
    assert!(forked(&other.seen_from(&kept)), "{:#?}", other.seen_from(&kept).differences);

    let short = World::new();
    short.grow_to(300);
    fs::create_dir_all(short.state().join("ledger")).unwrap();
    fs::write(
        short.state().join(format!("ledger/{:032x}.key", u128::from_be_bytes(short.id()))),
        fs::read(&path).unwrap(),
    )
    .unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(short.state().join(format!("ledger/{:032x}.key", u128::from_be_bytes(short.id()))), mode)
        .unwrap();
    short.publish();
    let found = short.seen_from(&kept).differences;
    assert!(found.iter().any(|it| matches!(it, Difference::Shorter { records: 300, size: 600 })), "{found:#?}");

    let stranger = tlog::SigningKey::generate("log.example/edge-1".parse().unwrap()).unwrap().sign(kept.text());
    let found = world.seen_from(&stranger).differences;
    assert!(matches!(found[..], [Difference::Stranger { .. }]), "{found:#?}");

    let breaks: [(&str, Break<'_>); 3] = [
        ("a tile before it", &|world| flip(&world.log().join("tlog/tile/1/000.p/3"), 40)),
        ("a tile at its edge", &|world| flip(&world.log().join("tlog/tile/0/002"), 40)),
        ("a record after it", &|world| flip(&world.log().join("tlog/tile/entries/003.p/132"), 40)),
    ];
    for (what, damage) in breaks {
        let (world, kept) = grown();
        damage(&world);
        assert!(!world.seen_from(&kept).differences.is_empty(), "{what}");
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_log_is_compared_with_what_lies_in_the_state_folder() {
    let (world, _) = grown();
    assert!(world.seen_with_guard().differences.is_empty());
    // The folder of an earlier day, beside the guard of today.
    copy(&world.log(), &world.folder.path().join("today"));
    let (guard, path) =
        (world.guard(), world.state().join(format!("ledger/{:032x}.checkpoint", u128::from_be_bytes(world.id()))));
    let early = World::new();
    early.grow_to(300);
    early.publish();
    let key = early.key().read().unwrap();
    let forged = Checkpoint { size: 300, ..Checkpoint::of(&guard).unwrap() };
    fs::write(&path, key.signing().sign(&forged.to_string()).to_string()).unwrap();
    assert!(matches!(world.seen_with_guard().differences[..], [Difference::Forked { size: 300, .. }]));
    let larger = Checkpoint { size: 1_000, ..forged };
    fs::write(&path, key.signing().sign(&larger.to_string()).to_string()).unwrap();
    assert!(matches!(world.seen_with_guard().differences[..], [Difference::Shorter { records: 900, size: 1_000 }]));
    fs::write(&path, guard.to_string()).unwrap();
    assert!(world.seen_with_guard().differences.is_empty());
}
