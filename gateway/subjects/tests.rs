use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::join_all;
use secrets::Secret;
use terms::{Author, IssuerId, Subject, Surrogate, SystemClock, TenantId};

use crate::key::Key;
use crate::*;

/// Bytes from hexadecimal digits.
pub(crate) fn bytes(digits: &str) -> Vec<u8> {
    let digits = digits.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// Somebody with a key of their own.
pub(crate) fn persona(fields: Fields) -> Persona {
    Persona { surrogate: Surrogate::from([7; 12]), key_id: *b"AAAAAAAA", key: Key::by_chance().unwrap(), fields }
}

mod rotation;

struct Named(TenantId, IssuerId, Subject);

impl Named {
    fn of(tenant: &str, subject: &str) -> Self {
        Self(tenant.parse().unwrap(), "main".parse().unwrap(), subject.parse().unwrap())
    }

    const fn person(&self) -> Person<'_> {
        Person { tenant: &self.0, issuer: &self.1, subject: &self.2 }
    }
}

fn open(folder: &Path, making: Making) -> Result<SubjectVault, VaultError> {
    open_with(folder, GivenRoots::default(), making)
}

fn open_with(folder: &Path, given: GivenRoots<'_>, making: Making) -> Result<SubjectVault, VaultError> {
    SubjectVault::open(folder, &Keeping::File, given, Fields::ALL, making)
}

fn vault(folder: &Path) -> SubjectVault {
    open(folder, Making::Yes).unwrap()
}

/// The log that events go to.
const LOG: LogName = [7; 16];

fn order() -> Order {
    Order { reason: "art. 17".into(), reference: Some("T-1".into()), who: Author::Command(0), done: 100 }
}

fn one(vault: &mut SubjectVault, named: &Named) -> Persona {
    vault.personas(&[named.person()], 100).unwrap().remove(0).unwrap()
}

fn said(vault: &mut SubjectVault) -> Vec<Event> {
    let mut all = Vec::new();
    assert!(
        vault
            .record(LOG, |event| {
                all.push(event.clone());
                true
            })
            .unwrap()
    );
    all
}

/// Whether a file of the folder has these bytes somewhere.
fn holds(folder: &Path, wanted: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|file| {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        bytes.windows(wanted.len()).any(|window| window == wanted)
    })
}

#[test]
fn somebody_has_one_name_in_each_tenant_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let (ada, elsewhere, bob) = (Named::of("acme", "ada"), Named::of("globex", "ada"), Named::of("acme", "bob"));
    let other = Named(ada.0.clone(), "other".parse().unwrap(), ada.2.clone());
    let all = [&ada, &elsewhere, &bob, &other, &ada];
    let persons: Vec<_> = all.iter().map(|named| named.person()).collect();
    let made = vault(folder.path()).personas(&persons, 100).unwrap();
    let made: Vec<_> = made.into_iter().map(|made| made.unwrap()).collect();
    let names: HashSet<_> = made.iter().map(Persona::surrogate).collect();
    let keys: HashSet<_> = made.iter().map(|made| *made.key.expose()).collect();
    assert_eq!((names.len(), keys.len()), (4, 4));
    let again = vault(folder.path()).personas(&persons, 200).unwrap();
    for (again, made) in again.iter().map(|again| again.as_ref().unwrap()).zip(&made) {
        assert_eq!((again.surrogate(), again.key.expose()), (made.surrogate(), made.key.expose()));
    }
    let mut found = open(folder.path(), Making::No).unwrap();
    assert_eq!(found.find(bob.person()).unwrap().unwrap().surrogate(), made[2].surrogate());
    assert!(found.find(Named::of("acme", "eve").person()).unwrap().is_none());
    assert_eq!(found.persons().unwrap(), 4);
}

#[test]
fn the_files_are_for_their_owner_alone_and_list_no_names_and_no_keys() {
    let folder = tempfile::tempdir().unwrap();
    let named = Named::of("acme", "ada.lovelace@example.com");
    let mut vault = vault(folder.path());
    let ada = one(&mut vault, &named);
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap()).collect();
    assert!(files.len() >= 4, "database, log, root and what is known of it: {files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{file:?}");
    }
    assert!(holds(folder.path(), ada.surrogate().as_str().as_bytes()), "or this test looks at nothing");
    assert!(!holds(folder.path(), b"lovelace") && !holds(folder.path(), ada.key.expose()));
}

#[test]
fn what_another_user_does_leaves_the_files_to_the_gateway() {
    use std::os::unix::fs::{MetadataExt as _, chown};

    let folder = tempfile::tempdir().unwrap();
    let (mut vault, ada) = (vault(folder.path()), Named::of("acme", "ada"));
    drop(one(&mut vault, &ada));
    // As root, for which the tests of a container run, or as ourselves.
    let ours = fs::metadata(folder.path()).unwrap().uid();
    let gateway = if ours == 0 { 65_534 } else { ours };
    chown(folder.path().join("subjects.db"), Some(gateway), None).unwrap();
    assert!(matches!(vault.erase(ada.person(), &order()).unwrap(), Destroyed::One(_)));
    vault.scrub().unwrap();
    for file in ["subjects.db", "subjects.id"] {
        assert_eq!(fs::metadata(folder.path().join(file)).unwrap().uid(), gateway, "{file}");
    }
}

#[test]
fn of_whoever_is_erased_nothing_is_left_in_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut vault = vault(folder.path());
    let mut beside = open(folder.path(), Making::No).unwrap(); // as the gateway has it open beside a command
    let all: Vec<_> = (0..400).map(|n| Named::of("acme", &format!("user-{n}"))).collect();
    for some in all.chunks(100) {
        let persons: Vec<_> = some.iter().map(|named| named.person()).collect();
        assert!(vault.personas(&persons, 100).unwrap().iter().all(Result::is_ok));
    }
    let left_of = |gone: &[SubjectRow]| {
        let files = fs::read_dir(folder.path()).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        let bytes = files.collect::<Vec<_>>().concat();
        let windows: HashSet<&[u8]> = bytes.windows(32).collect();
        let parts = gone.iter().flat_map(|row| [&row.print.0[..], &row.key[..32], &row.identity[..32]]);
        parts.filter(|part| windows.contains(part)).count()
    };
    // In an order that moves what is left from page to page.
    let mut gone = Vec::new();
    for named in all.iter().step_by(3).chain(all.iter().skip(1).step_by(3)) {
        let Destroyed::One(row) = vault.erase(named.person(), &order()).unwrap() else { panic!("nobody was there") };
        gone.push(*row);
    }
    assert!(left_of(&gone) > 0, "or there was nothing to scrub");
    vault.scrub().unwrap();
    assert_eq!(left_of(&gone), 0);
    assert!(beside.find(all[2].person()).unwrap().is_some());
}

#[test]
fn whoever_was_erased_comes_back_as_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    let (mut vault, named, tenant) = (vault(folder.path()), Named::of("acme", "ada"), "acme".parse().unwrap());
    let before = one(&mut vault, &named);
    let about = About { id: 7.into(), tenant: &tenant };
    let client = Some("203.0.113.9".parse().unwrap());
    let sealed = before.seal(Personal { client, user_agent: None, justification: None }, about).unwrap().unwrap();
    let destroyed = vault.erase(named.person(), &order()).unwrap();
    assert!(matches!(destroyed, Destroyed::One(row) if row.surrogate == before.surrogate()));
    assert_eq!(vault.erase(named.person(), &order()).unwrap(), Destroyed::Nothing);
    let after = one(&mut vault, &named);
    assert_ne!(before.surrogate(), after.surrogate());
    assert!(after.open(sealed.as_bytes(), about).is_err());
    let events = said(&mut vault);
    assert_eq!(events.len(), 1, "nothing is not on record");
    assert_eq!((events[0].kind, events[0].surrogate), (EventKind::Erased, Some(before.surrogate())));
    assert_eq!((events[0].key.as_deref(), &events[0].order), (Some(before.key_id()), &order()));
    assert_eq!(said(&mut vault), []);
}

#[test]
fn a_tenant_that_is_off_boarded_takes_all_its_persons_along() {
    let folder = tempfile::tempdir().unwrap();
    let (mut vault, mut other) = (vault(folder.path()), open(folder.path(), Making::Yes).unwrap());
    let (ada, bob, eve) = (Named::of("acme", "ada"), Named::of("acme", "bob"), Named::of("globex", "eve"));
    let persons = [ada.person(), bob.person(), eve.person()];
    let before = other.personas(&persons, 100).unwrap();
    assert_eq!(vault.off_board(&ada.0, &order()).unwrap(), Destroyed::Tenant(2));
    assert_eq!(vault.off_board(&ada.0, &order()).unwrap(), Destroyed::Nothing);
    assert!(vault.find(ada.person()).unwrap().is_none());
    // One that still has the tenant's old key makes nothing with it.
    let after = other.personas(&persons, 100).unwrap();
    let names = |all: &[Result<Persona, VaultError>]| -> Vec<_> {
        all.iter().map(|it| it.as_ref().unwrap().surrogate()).collect()
    };
    let (before, after) = (names(&before), names(&after));
    assert!(before[0] != after[0] && before[1] != after[1] && before[2] == after[2]);
    assert_eq!(names(&vault.personas(&persons, 100).unwrap()), after);
    let events = said(&mut vault);
    assert_eq!(events.iter().map(|it| (it.kind, it.count)).collect::<Vec<_>>(), [(EventKind::OffBoarded, Some(2))]);
}

#[test]
fn a_hold_forbids_what_it_is_about_and_every_attempt_is_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let (mut vault, ada, bob) = (vault(folder.path()), Named::of("acme", "ada"), Named::of("acme", "bob"));
    let (eve, unborn) = (Named::of("globex", "eve"), Named::of("acme", "unborn"));
    let name = one(&mut vault, &ada).surrogate();
    drop(one(&mut vault, &bob));
    drop(one(&mut vault, &eve));
    let hold = vault.hold(&ada.0, Some(ada.person()), &order()).unwrap();
    let later = vault.hold(&ada.0, Some(unborn.person()), &order()).unwrap();
    assert_eq!((hold.whom, later.whom), (Held::One(Some(name)), Held::One(None)));
    assert_eq!(vault.holds().unwrap(), [hold.clone(), later.clone()]);
    drop(said(&mut vault));
    drop(one(&mut vault, &unborn));

    assert_eq!(vault.erase(ada.person(), &order()).unwrap(), Destroyed::Held(hold.clone()));
    assert_eq!(vault.erase(unborn.person(), &order()).unwrap(), Destroyed::Held(later.clone()));
    assert_eq!(vault.off_board(&ada.0, &order()).unwrap(), Destroyed::Held(hold.clone()));
    assert!(matches!(vault.erase(bob.person(), &order()).unwrap(), Destroyed::One(_)));
    assert_eq!(one(&mut vault, &ada).surrogate(), name);
    let whole = vault.hold(&eve.0, None, &order()).unwrap();
    assert_eq!(vault.erase(eve.person(), &order()).unwrap(), Destroyed::Held(whole.clone()));

    for id in [hold.id, later.id, whole.id] {
        assert_eq!(vault.release(id, &order()).unwrap().map(|hold| hold.id), Some(id));
        assert_eq!(vault.release(id, &order()).unwrap(), None);
    }
    assert!(matches!(vault.erase(ada.person(), &order()).unwrap(), Destroyed::One(_)));
    assert!(matches!(vault.off_board(&eve.0, &order()).unwrap(), Destroyed::Tenant(1)));
    let words: Vec<_> = said(&mut vault).iter().map(|it| (it.kind.as_str(), it.hold)).collect();
    let (ada, unborn, eve) = (Some(hold.id), Some(later.id), Some(whole.id));
    let refused =
        [("subject.erase_refused", ada), ("subject.erase_refused", unborn), ("tenant.off_board_refused", ada)];
    let then = [("subject.erased", None), ("hold.added", eve), ("subject.erase_refused", eve)];
    let removed = [("hold.removed", ada), ("hold.removed", unborn), ("hold.removed", eve)];
    let last = [("subject.erased", None), ("tenant.off_boarded", None)];
    assert_eq!(words, [&refused[..], &then, &removed, &last].concat());
}

#[test]
fn what_could_not_be_put_on_record_waits_and_nothing_is_put_there_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (mut vault, ada) = (vault(folder.path()), Named::of("acme", "ada"));
    for _ in 0..3 {
        vault.hold(&ada.0, None, &order()).unwrap();
    }
    let mut room = 2;
    let mut put = |event: &Event| {
        room -= 1;
        (room >= 0).then_some(event.hold).is_some()
    };
    assert!(!vault.record(LOG, &mut put).unwrap());
    assert_eq!(said(&mut vault).iter().map(|event| event.hold).collect::<Vec<_>>(), [Some(3)]);
}

#[test]
fn a_vault_that_is_not_what_it_was_is_an_error_with_its_remedy_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ada) = (folder.path().join("subjects.db"), Named::of("acme", "ada"));
    let fails = |making| open(folder.path(), making).unwrap_err();
    assert!(matches!(fails(Making::No), VaultError::Missing(_)));
    drop(one(&mut vault(folder.path()), &ada));
    let backup = fs::read(&path).unwrap();

    let root = Secret::new(vec![9; 32]);
    let wrong = open_with(folder.path(), GivenRoots { root: Some(&root), next: None }, Making::Yes).unwrap_err();
    assert!(matches!(wrong, VaultError::WrongRoot(_)), "{wrong}");
    let key = folder.path().join("subjects.key");
    let held = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    assert!(matches!(fails(Making::Yes), VaultError::Root(RootError::File(_))));
    assert!(!key.exists(), "no other root is made for a vault that is there");
    fs::write(&key, &held).unwrap();
    assert!(matches!(fails(Making::Yes), VaultError::Root(RootError::File(_))), "others can read it");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    assert!(matches!(vault(folder.path()).erase(ada.person(), &order()).unwrap(), Destroyed::One(_)));
    let good = fs::read(&path).unwrap();
    fs::write(&path, &backup).unwrap();
    assert!(matches!(fails(Making::Yes), VaultError::SetBack { destroyed: 0, known: 1, .. }));
    fs::remove_file(&path).unwrap();
    assert!(matches!(fails(Making::Yes), VaultError::Gone(..)));
    assert!(!path.exists());
    let elsewhere = tempfile::tempdir().unwrap();
    fs::copy(&key, elsewhere.path().join("subjects.key")).unwrap();
    drop(vault(elsewhere.path()));
    fs::copy(elsewhere.path().join("subjects.db"), &path).unwrap();
    assert!(matches!(fails(Making::Yes), VaultError::Foreign(..)));
    fs::write(&path, "this is no database, and long enough to be taken for one".repeat(100)).unwrap();
    assert!(matches!(fails(Making::Yes), VaultError::Shelf(ShelfError::Unusable(..))));
    fs::write(&path, good).unwrap();
    assert!(vault(folder.path()).find(ada.person()).unwrap().is_none());
}

#[test]
fn a_vault_that_was_set_back_is_mended_by_what_the_log_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("subjects.db");
    let (ada, bob) = (Named::of("acme", "ada"), Named::of("acme", "bob"));
    let (eve, later) = (Named::of("globex", "eve"), Named::of("globex", "later"));
    let mut first = vault(folder.path());
    let (gone, stays, with_tenant) = (one(&mut first, &ada), one(&mut first, &bob), one(&mut first, &eve));
    first.scrub().unwrap();
    drop(first);
    let backup = fs::read(&path).unwrap();
    let mut second = vault(folder.path());
    assert!(matches!(second.erase(ada.person(), &order()).unwrap(), Destroyed::One(_)));
    assert_eq!(second.off_board(&eve.0, &order()).unwrap(), Destroyed::Tenant(1));
    drop(second);
    for file in ["subjects.db-wal", "subjects.db-shm"] {
        drop(fs::remove_file(folder.path().join(file)));
    }
    fs::write(&path, &backup).unwrap();
    assert!(matches!(open(folder.path(), Making::Yes), Err(VaultError::SetBack { .. })));

    let mut mended = open(folder.path(), Making::SetBack).unwrap();
    assert_eq!(mended.find(ada.person()).unwrap().unwrap().surrogate(), gone.surrogate(), "the backup has everybody");
    assert_eq!(mended.mend(&[gone.surrogate()], &[(eve.0.clone(), 100)], &order()).unwrap(), 2);
    mended.scrub().unwrap();
    let mut mended = vault(folder.path());
    assert!(mended.find(ada.person()).unwrap().is_none() && mended.find(eve.person()).unwrap().is_none());
    assert_eq!(mended.find(bob.person()).unwrap().unwrap().surrogate(), stays.surrogate());
    let again: Vec<_> = said(&mut mended).into_iter().map(|event| (event.kind, event.surrogate)).collect();
    assert_eq!(again, [&gone, &with_tenant].map(|it| (EventKind::Erased, Some(it.surrogate()))));
    assert!(mended.personas(&[later.person()], 200).unwrap()[0].is_ok());
}

#[test]
fn a_vault_of_which_the_file_was_taken_away_while_it_is_open_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut vault = vault(folder.path());
    assert_eq!(vault.look().unwrap(), 0);
    fs::rename(folder.path().join("subjects.db"), folder.path().join("away")).unwrap();
    assert!(matches!(vault.look(), Err(VaultError::Gone(..))));
}

/// The vault of a gateway: what asks it, while this lives.
fn asking(folder: &Path) -> Subjects {
    let (subjects, keeper) = Subjects::new(vault(folder), Duration::from_secs(3_600));
    subjects.is_destroyed(0, Instant::now());
    std::thread::spawn(move || keeper.run(&SystemClock));
    subjects
}

#[tokio::test]
async fn whoever_comes_at_once_or_again_has_one_name_and_it_is_on_disk_before_they_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let (subjects, now) = (asking(folder.path()), Instant::now());
    let all: Vec<_> = (0..300).map(|n| Named::of("acme", &format!("user-{}", n % 30))).collect();
    let asked = all.iter().map(|named| subjects.of(named.person(), now));
    let mut beside = open(folder.path(), Making::No).unwrap();
    for (named, asked) in all.iter().zip(join_all(asked).await) {
        let surrogate = asked.unwrap().surrogate();
        assert_eq!(beside.find(named.person()).unwrap().unwrap().surrogate(), surrogate);
        assert_eq!(subjects.of(named.person(), now).await.unwrap().surrogate(), surrogate);
    }
    let state = subjects.state();
    assert!(state.entries == 30 && state.failed == 0 && state.remembered >= 300, "{state:?}");
    assert!(state.batches < state.asked / 2, "they share the waits for the disk: {state:?}");
}

#[tokio::test]
async fn what_was_destroyed_is_not_remembered_and_a_vault_that_is_lost_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let (subjects, ada, now) = (asking(folder.path()), Named::of("acme", "ada"), Instant::now());
    let before = subjects.of(ada.person(), now).await.unwrap();
    let mut beside = open(folder.path(), Making::No).unwrap();
    assert!(matches!(beside.erase(ada.person(), &order()).unwrap(), Destroyed::One(_)));
    subjects.is_destroyed(beside.look().unwrap(), now);
    let after = subjects.of(ada.person(), now).await.unwrap();
    assert_ne!(before.surrogate(), after.surrogate());
    subjects.is_lost();
    assert_eq!(subjects.of(ada.person(), now).await.unwrap_err(), Unavailable);
    subjects.is_destroyed(1, now);
    assert_eq!(subjects.of(ada.person(), now).await.unwrap().surrogate(), after.surrogate());
    // Nobody has said anything: it is read again all the same.
    assert!(matches!(beside.erase(ada.person(), &order()).unwrap(), Destroyed::One(_)));
    assert_eq!(subjects.of(ada.person(), now).await.unwrap().surrogate(), after.surrogate());
    let later = now + Duration::from_secs(301);
    assert_ne!(subjects.of(ada.person(), later).await.unwrap().surrogate(), after.surrogate());
}
