//! Another key signs, and whoever has only the first one, or only the last one, finds everything as it was signed for.

use audit::{Cause, KeyOf, Note};
use tlog::{Distrust, SigningKey, VerifierKey};

use super::*;

/// How long a key that is replaced signs on, in seconds, and when everything here happens.
const OVERLAP: u64 = 1_000;
const NOW: u64 = 1_790_000_000;

impl World {
    /// Puts these on record, and a few requests.
    fn say(&self, notes: &[Note<'_>]) {
        let settings =
            audit::Settings { segment_bytes: 256 << 20, ..audit::Settings::new(self.log(), "edge-1".into()) };
        let (journal, committer) = Journal::open(settings, Arc::new(ManualClock::at(NOW))).unwrap();
        let committer = std::thread::spawn(|| committer.run());
        notes.iter().for_each(|note| journal.note(note).unwrap());
        for _ in 0..3 {
            let id = RequestId::new(1_790_000_000_123, fastrand::u128(..));
            let at = std::time::UNIX_EPOCH + Duration::from_secs(NOW);
            let entry = Entry { method: Some("GET"), ..Entry::new(id, at, Decision::Deny, Reason::AuthMissing) };
            journal.whole(&entry, &Outcome { status: Some(401), ..Outcome::default() }).unwrap();
        }
        journal.flush_and_close(Duration::from_secs(20)).unwrap();
        committer.join().unwrap().unwrap();
    }

    /// What a gateway does about what is due. Answers whether something was.
    fn tend(&self, now: u64) -> bool {
        let mut publisher = self.open().unwrap();
        publisher.publish(u64::MAX).unwrap();
        let due = publisher.due(now, OVERLAP);
        drop(publisher);
        match due {
            None => return false,
            Some(Due::Announce { old, new, asked }) => {
                let (old, new) = (old.to_string(), new.to_string());
                let by = asked.map_or(Cause::Schedule, Cause::Command);
                self.say(&[Note::KeyRotated { of: KeyOf::Log, old: Some(&old), new: &new, by }]);
            }
            Some(Due::Retire { old, new, checkpoint }) => {
                let (old, new, checkpoint) = (old.to_string(), new.to_string(), checkpoint.to_string());
                self.say(&[Note::KeyRetired { old: &old, new: &new, checkpoint: &checkpoint }]);
            }
            Some(Due::TakeOver(new)) => self.key().take_over(&new, now).unwrap(),
            Some(Due::Forget(old)) => self.key().forget(&old).unwrap(),
        }
        true
    }

    fn settle(&self, now: u64) {
        while self.tend(now) {}
        self.publish();
    }

    fn signing(&self) -> VerifierKey {
        self.key().read().unwrap().signing().verifier().clone()
    }

    fn signed_by(&self, key: &VerifierKey) -> bool {
        Folder::of(&self.log()).checkpoint().unwrap().unwrap().names(key)
    }

    /// What somebody finds who has these keys.
    fn seen_with(&self, keys: &[&VerifierKey]) -> Checked {
        check(&self.log(), Some(&trusting(keys))).unwrap()
    }

    /// A log that was begun with a first key, and has had two more since. Also: a copy of the first one.
    fn rotated_twice() -> (Self, SigningKey, [VerifierKey; 3]) {
        let world = Self::new();
        world.grow_to(300);
        world.publish();
        let stolen = world.key().read().unwrap().signing().to_text().parse().unwrap();
        let first = world.signing();
        let mut keys = vec![first];
        for _ in 0..2 {
            world.key().turn(Turn::Now, Some(1_000), NOW).unwrap();
            world.settle(NOW);
            world.settle(NOW + OVERLAP);
            keys.push(world.signing());
        }
        let keys: [VerifierKey; 3] = keys.try_into().unwrap();
        (world, stolen, keys)
    }
}

fn trusting(keys: &[&VerifierKey]) -> TrustPolicy {
    let logs: String = keys.iter().map(|key| format!("log {key}\n")).collect();
    (logs + "quorum none\n").parse().unwrap()
}

#[test]
fn a_key_signs_beside_the_one_that_it_replaces_and_then_alone() {
    let world = World::new();
    world.grow_to(300);
    world.publish();
    let first = world.signing();
    let second = world.key().turn(Turn::Now, Some(1_000), NOW).unwrap();
    assert!(matches!(world.key().turn(Turn::Now, None, NOW), Err(KeyError::Busy(key)) if key == second));
    world.publish();
    assert!(!world.signed_by(&second), "it signs nothing before the log names it");
    world.settle(NOW);
    assert_eq!(world.signing(), second);
    assert!(world.signed_by(&first) && world.signed_by(&second));
    for keys in [&[&first][..], &[&second], &[&first, &second]] {
        let checked = world.seen_with(keys);
        assert!(checked.differences.is_empty(), "{:#?}", checked.differences);
        assert_eq!(checked.signed_by, ["log.example/edge-1"]);
    }
    world.settle(NOW + OVERLAP - 1);
    assert!(world.signed_by(&first));
    world.settle(NOW + OVERLAP);
    assert!(!world.signed_by(&first) && world.signed_by(&second));
    assert_eq!(world.key().read().unwrap().all().len(), 1, "the old one is destroyed");
    world.assert_sound();
}

#[test]
fn whoever_has_only_the_first_key_or_only_the_last_verifies_a_log_that_has_changed_it_twice() {
    let (world, _, [first, second, third]) = World::rotated_twice();
    for (keys, followed) in [(vec![&first], 2), (vec![&second], 1), (vec![&third], 0), (vec![&first, &third], 1)] {
        let checked = world.seen_with(&keys);
        assert!(checked.differences.is_empty(), "{:#?}", checked.differences);
        assert_eq!(checked.keys_followed, followed);
    }
    let stranger = SigningKey::generate("log.example/edge-1".parse().unwrap()).unwrap();
    assert!(!world.seen_with(&[stranger.verifier()]).differences.is_empty());
    // Receipts, too: with what shows how the key has changed.
    let records = world.records();
    let receipt = prove(&world.log(), 7, leaf_hash(&records[7])).unwrap();
    receipt.verify(&records[7], &trusting(&[&first])).unwrap_err();
    let changes = KeyChanges::of(&world.log()).unwrap();
    receipt.verify(&records[7], &changes.follow(trusting(&[&first]))).unwrap();
    let carried = world.folder.path().join("carried");
    changes.copy_to(&carried).unwrap();
    receipt.verify(&records[7], &KeyChanges::read(&carried).unwrap().follow(trusting(&[&first]))).unwrap();
}

#[test]
fn what_a_retired_key_signs_later_is_not_believed() {
    let (world, stolen, [first, second, third]) = World::rotated_twice();
    let note = Folder::of(&world.log()).checkpoint().unwrap().unwrap();
    let path = Folder::of(&world.log()).checkpoint_path();
    let mut both = stolen.sign(note.text());
    note.signatures().iter().for_each(|line| both.add(line.clone()));
    fs::write(&path, both.to_string()).unwrap();
    assert!(world.seen_with(&[&first]).differences.is_empty(), "the third has signed it, too");
    fs::write(&path, stolen.sign(note.text()).to_string()).unwrap();
    for keys in [&[&first][..], &[&first, &second], &[&first, &second, &third]] {
        let checked = world.seen_with(keys);
        let is_refused =
            checked.differences.iter().any(|it| matches!(it, Difference::Checkpoint(Distrust::Retired { .. })));
        assert!(is_refused, "{:#?}", checked.differences);
    }
    assert!(!world.seen_with(&[&third]).differences.is_empty());
    // Nor does it help to take away what says that it was retired, or to write it anew.
    let keys = Folder::of(&world.log()).keys_path();
    for file in fs::read_dir(&keys).unwrap().map(|file| file.unwrap().path()) {
        let good = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert!(!world.seen_with(&[&first]).differences.is_empty());
        fs::write(&file, good).unwrap();
    }
    // A key that was retired vouches for no other.
    let evil = SigningKey::generate("log.example/edge-1".parse().unwrap()).unwrap();
    fs::write(&path, note.to_string()).unwrap();
    let record = format!(
        r#"{{"v":1,"kind":"key.rotated","time":"2026-09-21T14:13:20.123Z","instance":"e","of":"log","old_key":"{first}","new_key":"{}","by":"schedule"}}"#,
        evil.verifier()
    );
    let mut tree = tlog::Growth::default();
    let size = Checkpoint::of(&note).unwrap().size;
    let mut tiles = std::collections::HashMap::new();
    for index in 0..=size {
        let leaf = if index < size {
            leaf_hash(&world.records()[usize::try_from(index).unwrap()])
        } else {
            leaf_hash(record.as_bytes())
        };
        tree.push(leaf, |tile, hashes| drop(tiles.insert(tile, hashes.to_vec())));
    }
    tree.tips().for_each(|(tile, hashes)| drop(tiles.insert(tile, hashes.to_vec())));
    let forged = Checkpoint { origin: first.name().clone(), size: size + 1, root: tree.root() };
    let receipt = Receipt {
        extra: Some(record.clone().into_bytes()),
        index: size,
        proof: tlog::inclusion(&tiles, size, size + 1).unwrap(),
        checkpoint: stolen.sign(&forged.to_string()),
    };
    fs::write(keys.join(format!("{size}.tlog-proof")), receipt.to_string()).unwrap();
    let followed = KeyChanges::of(&world.log()).unwrap().follow(trusting(&[&first]));
    assert!(!followed.logs().contains(evil.verifier()));
    assert!(!world.seen_with(&[&first]).differences.is_empty());
}

#[test]
fn every_byte_of_what_shows_how_the_key_changed_is_compared() {
    let (world, _, [first, _, third]) = World::rotated_twice();
    let files: Vec<_> =
        fs::read_dir(Folder::of(&world.log()).keys_path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        let good = fs::read(&file).unwrap();
        for at in (0..good.len()).step_by(3) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&file, &bad).unwrap();
            for key in [&first, &third] {
                assert!(!world.seen_with(&[key]).differences.is_empty(), "byte {at} of {}", file.display());
            }
        }
        fs::write(&file, &good).unwrap();
    }
    world.assert_sound();
}

#[test]
fn what_shows_how_the_key_changed_is_made_again_of_the_records() {
    let (world, _, [first, ..]) = World::rotated_twice();
    let before = texts(&world);
    fs::remove_dir_all(world.log().join("tlog")).unwrap();
    world.publish();
    world.assert_sound();
    let checked = world.seen_with(&[&first]);
    assert!(checked.differences.is_empty(), "{:#?}", checked.differences);
    assert_eq!(texts(&world).len(), before.len());
}

fn texts(world: &World) -> Vec<String> {
    KeyChanges::of(&world.log()).unwrap().texts().map(|(_, text)| text.to_owned()).collect()
}

#[test]
fn a_key_that_leaked_signs_one_more_checkpoint_and_no_other() {
    let world = World::new();
    world.grow_to(300);
    world.publish();
    let first = world.signing();
    world.key().turn(Turn::Withdraw, Some(1_000), NOW).unwrap();
    world.settle(NOW);
    assert!(!world.signed_by(&first));
    assert_eq!(world.key().read().unwrap().all().len(), 1);
    assert!(world.seen_with(&[&first]).differences.is_empty());
}

#[test]
fn a_withdrawal_overtakes_what_is_under_way() {
    let world = World::new();
    world.grow_to(300);
    world.publish();
    let first = world.signing();
    world.key().turn(Turn::Now, None, NOW).unwrap();
    world.settle(NOW);
    let second = world.signing();
    world.key().turn(Turn::Withdraw, None, NOW).unwrap();
    world.settle(NOW);
    let third = world.signing();
    assert!(!world.signed_by(&first) && !world.signed_by(&second) && world.signed_by(&third));
    for key in [&first, &second, &third] {
        let checked = world.seen_with(&[key]);
        assert!(checked.differences.is_empty(), "{:#?}", checked.differences);
    }
}

#[test]
fn a_file_with_a_key_alone_is_read_as_it_was_written_once() {
    let world = World::new();
    world.grow_to(3);
    world.publish();
    let path = world.state().join(format!("ledger/{:032x}.key", u128::from_be_bytes(world.id())));
    let key = world.key().read().unwrap().signing().to_text();
    fs::write(&path, &*key).unwrap();
    let keys = world.key().read().unwrap();
    assert!(keys.since() > NOW - 400 * 86_400, "since the file was made");
    world.settle(NOW);
    world.key().turn(Turn::Now, None, NOW).unwrap();
    world.settle(NOW);
    world.assert_sound();
    for bad in [
        "",
        "x",
        " signs 1",
        &format!("{} sings 1", &*key),
        &format!("{} signs x", &*key),
        &format!("{} next 1", &*key),
    ] {
        fs::write(&path, bad).unwrap();
        assert!(world.key().read().is_err(), "{bad:?}");
    }
}

#[test]
fn whatever_step_a_crash_falls_on_the_key_gets_to_where_it_was_going() {
    let world = World::new();
    world.grow_to(300);
    world.publish();
    let first = world.signing();
    world.key().turn(Turn::Now, None, NOW).unwrap();
    // The disk as it was when each file had been written, put back: what was written after it is lost, as by a crash.
    for now in [NOW, NOW + OVERLAP] {
        for _ in 0..8 {
            let (state, tlog) = (world.folder.path().join("state-before"), world.folder.path().join("tlog-before"));
            copy(&world.state(), &state);
            copy(&world.log().join("tlog"), &tlog);
            let went_on = world.tend(now);
            world.publish();
            // The guard and the checkpoint may each be the one before; the records may not.
            fs::remove_dir_all(world.log().join("tlog")).unwrap();
            copy(&tlog, &world.log().join("tlog"));
            world.publish();
            let checked = world.seen_with(&[&first]);
            assert!(checked.differences.is_empty(), "{:#?}", checked.differences);
            fs::remove_dir_all(&state).unwrap();
            fs::remove_dir_all(&tlog).unwrap();
            if !went_on {
                break;
            }
        }
    }
    assert!(!world.signed_by(&first));
    assert_eq!(world.key().read().unwrap().all().len(), 1);
}
