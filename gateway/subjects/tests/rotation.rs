//! Another root, and what a crash leaves of that.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

struct World {
    folder: tempfile::TempDir,
    all: Vec<Named>,
    names: Vec<(Surrogate, [u8; 32])>,
}

impl World {
    /// Persons of two tenants, a hold on somebody who is there, and one on somebody who is not.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tenant = |n: usize| if n.is_multiple_of(3) { "globex" } else { "acme" };
        let all: Vec<_> = (0..30).map(|n| Named::of(tenant(n), &format!("user-{n}"))).collect();
        let mut vault = vault(folder.path());
        let names = names(&mut vault, &all);
        drop(vault.hold(&all[1].0, Some(all[1].person()), &order()).unwrap());
        let unborn = Named::of("acme", "unborn");
        drop(vault.hold(&unborn.0, Some(unborn.person()), &order()).unwrap());
        drop(said(&mut vault));
        drop(vault);
        Self { folder, all, names }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.file(name), bytes).unwrap();
        fs::set_permissions(self.file(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn key(&self) -> Vec<u8> {
        fs::read(self.file("subjects.key")).unwrap()
    }

    /// Everybody is who they were, whoever is new can come, and whoever is held stays so.
    fn is_whole(&self, made: &mut SubjectVault) {
        assert_eq!(names(made, &self.all), self.names);
        let (new, unborn) = (Named::of("acme", "new"), Named::of("acme", "unborn"));
        let name = one(made, &new).surrogate();
        assert_eq!(vault(self.folder.path()).find(new.person()).unwrap().unwrap().surrogate(), name);
        drop(one(made, &unborn));
        for held in [&self.all[1], &unborn] {
            assert!(matches!(made.erase(held.person(), &order()).unwrap(), Destroyed::Held(_)));
        }
        for (gone, back) in [(&new, true), (&unborn, false)] {
            assert_eq!(matches!(made.erase(gone.person(), &order()).unwrap(), Destroyed::One(_)), back);
        }
    }
}

fn names(vault: &mut SubjectVault, all: &[Named]) -> Vec<(Surrogate, [u8; 32])> {
    let persons: Vec<_> = all.iter().map(|named| named.person()).collect();
    let found = vault.personas(&persons, 100).unwrap().into_iter().map(Result::unwrap);
    found.map(|persona| (persona.surrogate(), *persona.key.expose())).collect()
}

/// All that a database file says of keys and where persons are found.
fn wrapped(world: &World) -> HashSet<Vec<u8>> {
    let database = rusqlite::Connection::open(world.file("subjects.db")).unwrap();
    let mut all = HashSet::new();
    for sql in
        ["SELECT key FROM tenants", "SELECT key FROM subjects", "SELECT print FROM subjects", "SELECT mark FROM vault"]
    {
        let mut statement = database.prepare(sql).unwrap();
        all.extend(statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap().map(Result::unwrap));
    }
    all
}

#[test]
fn another_root_changes_no_name_and_no_key_of_a_person_and_whoever_runs_goes_on_with_it() {
    let world = World::new();
    let mut beside = open(world.folder.path(), Making::Yes).unwrap(); // as a gateway has it open
    drop(names(&mut beside, &world.all));
    let (old, before) = (world.key(), wrapped(&world));
    let mut vault = vault(world.folder.path());
    assert_eq!(vault.rotate(&order()).unwrap(), 30);
    assert!(wrapped(&world).is_disjoint(&before), "everything is wrapped anew, and found otherwise");
    assert!(world.key() != old && !world.file("subjects.key.next").exists());
    // One that has not looked yet makes nothing that the new root does not open.
    let new = Named::of("initech", "first-of-its-tenant");
    let name = one(&mut beside, &new).surrogate();
    assert_eq!(vault.find(new.person()).unwrap().unwrap().surrogate(), name);
    let known = Named::of("acme", "another-of-its-tenant");
    let name = one(&mut beside, &known).surrogate();
    assert_eq!(vault.find(known.person()).unwrap().unwrap().surrogate(), name);
    for vault in [&mut beside, &mut vault] {
        world.is_whole(vault);
        assert!(vault.look().unwrap() > 0);
    }
    let events = said(&mut vault);
    assert!(events.iter().any(|event| event.kind == EventKind::RootRotated && event.count == Some(30)), "{events:?}");
    // The old root opens nothing, and the new one nothing of before.
    let old = Secret::new(old);
    let wrong = open_with(world.folder.path(), GivenRoots { root: Some(&old), next: None }, Making::Yes).unwrap_err();
    assert!(matches!(wrong, VaultError::WrongRoot(_)), "{wrong}");
}

#[test]
fn wherever_it_is_broken_off_one_root_is_in_force_and_the_next_try_comes_to_an_end() {
    let world = World::new();
    let (old, backup) = (world.key(), fs::read(world.file("subjects.db")).unwrap());
    // Before the rows were written: another root lies there, which has never been in force.
    world.put("subjects.key.next", &[9; 32]);
    world.is_whole(&mut vault(world.folder.path()));
    assert_eq!(world.key(), old);
    for file in ["subjects.db-wal", "subjects.db-shm"] {
        drop(fs::remove_file(world.file(file)));
    }
    world.put("subjects.db", &backup);
    fs::remove_file(world.file("subjects.id")).unwrap();
    assert_eq!(vault(world.folder.path()).rotate(&order()).unwrap(), 30);
    let new = world.key();
    assert!(new != old && new != [9; 32]);
    // After that: what was the root still lies there, or is half overwritten, and the other beside it.
    for left in [old.clone(), vec![0; 32]] {
        world.put("subjects.key", &left);
        world.put("subjects.key.next", &new);
        let mut found = open(world.folder.path(), Making::No).unwrap();
        assert_eq!(names(&mut found, &world.all), world.names);
        assert!(world.key() == new && !world.file("subjects.key.next").exists(), "it was brought to its end");
    }
    world.is_whole(&mut vault(world.folder.path()));
}

#[test]
fn what_cannot_be_renewed_leaves_everything_as_it_was() {
    let world = World::new();
    let before = wrapped(&world);
    let fails = |why: fn(&VaultError) -> bool| {
        let error = vault(world.folder.path()).rotate(&order()).unwrap_err();
        assert!(why(&error), "{error}");
        assert_eq!(names(&mut vault(world.folder.path()), &world.all), world.names);
    };
    let database = rusqlite::Connection::open(world.file("subjects.db")).unwrap();
    let saved: Vec<u8> = database.query_row("SELECT identity FROM holds WHERE id = 2", [], |row| row.get(0)).unwrap();
    // As an earlier version left it.
    database.execute("UPDATE holds SET identity = NULL WHERE id = 2", []).unwrap();
    fails(|error| matches!(error, VaultError::Shelf(ShelfError::Unnamed(_, 2))));
    database.execute("UPDATE holds SET identity = ?1 WHERE id = 2", [saved]).unwrap();
    let broken = "UPDATE subjects SET identity = zeroblob(60) WHERE number = 30";
    let (print, identity): (Vec<u8>, Vec<u8>) = database
        .query_row("SELECT print, identity FROM subjects WHERE number = 30", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    database.execute(broken, []).unwrap();
    let error = vault(world.folder.path()).rotate(&order()).unwrap_err();
    assert!(matches!(error, VaultError::Shelf(ShelfError::Damaged(..))), "{error}");
    database.execute("UPDATE subjects SET identity = ?1 WHERE print = ?2", [identity, print]).unwrap();
    assert_eq!(wrapped(&world), before);
    assert_eq!(vault(world.folder.path()).rotate(&order()).unwrap(), 30);
}

#[test]
fn roots_of_the_settings_are_taken_whichever_is_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let [one_root, two] = [1, 2].map(|byte| Secret::new(vec![byte; 32]));
    let (both, ada) = (GivenRoots { root: Some(&one_root), next: Some(&two) }, Named::of("acme", "ada"));
    let mut beside = open_with(folder.path(), both, Making::Yes).unwrap();
    let name = one(&mut beside, &ada).surrogate();
    let alone = GivenRoots { root: Some(&one_root), next: None };
    let mut vault = open_with(folder.path(), alone, Making::No).unwrap();
    assert!(matches!(vault.rotate(&order()), Err(VaultError::NoNext)));
    assert_eq!(open_with(folder.path(), both, Making::No).unwrap().rotate(&order()).unwrap(), 1);
    assert_eq!(one(&mut beside, &ada).surrogate(), name);
    assert!(matches!(vault.look(), Err(VaultError::WrongRoot(_))));
    let later = GivenRoots { root: Some(&two), next: None };
    assert_eq!(
        open_with(folder.path(), later, Making::Yes).unwrap().find(ada.person()).unwrap().unwrap().surrogate(),
        name
    );
}

#[test]
fn a_row_that_was_put_in_the_place_of_another_opens_for_nobody() {
    let world = World::new();
    let database = rusqlite::Connection::open(world.file("subjects.db")).unwrap();
    let print = |n: i64| -> Vec<u8> {
        database.query_row("SELECT print FROM subjects WHERE number = ?1", [n], |row| row.get(0)).unwrap()
    };
    let (second, third) = (print(2), print(3));
    database.execute("UPDATE subjects SET print = zeroblob(32) WHERE number = 3", []).unwrap();
    database.execute("UPDATE subjects SET print = ?1 WHERE number = 2", [&third]).unwrap();
    let _kept = second;
    let mut vault = vault(world.folder.path());
    let found = vault.personas(&[world.all[2].person(), world.all[4].person()], 100).unwrap();
    assert!(matches!(found[0], Err(VaultError::Damaged(..))) && found[1].is_ok(), "{found:?}");
}

#[test]
fn a_vault_of_the_first_format_is_taken_over() {
    let world = World::new();
    let database = rusqlite::Connection::open(world.file("subjects.db")).unwrap();
    database.execute_batch("ALTER TABLE holds DROP COLUMN identity; PRAGMA user_version = 1").unwrap();
    drop(database);
    let mut vault = vault(world.folder.path());
    assert_eq!(names(&mut vault, &world.all), world.names);
    assert_eq!(vault.holds().unwrap().len(), 2);
}

#[test]
fn opening_it_once_more_leaves_the_locks_of_those_who_have_it_open() {
    let world = World::new();
    let mut first = vault(world.folder.path());
    assert_eq!(first.look().unwrap(), 0);
    drop(open(world.folder.path(), Making::Yes).unwrap());
    let second = open(world.folder.path(), Making::Yes).unwrap();
    use std::os::unix::fs::MetadataExt as _;
    let file = format!(":{} ", fs::metadata(world.file("subjects.db")).unwrap().ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let ours = format!(" {} ", std::process::id());
    // Otherwise the next process that closes it would delete the log of writes beneath those who use it.
    assert!(locks.lines().any(|line| line.contains(&file) && line.contains(&ours)), "{locks}");
    drop(second);
}
