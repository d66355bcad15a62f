use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrets::Secret;
use tempfile::TempDir;
use terms::{Clock, ManualClock};

use super::*;
use crate::Lifetime;

const NOW: u64 = 1_790_000_000;
const ES256: &[Algorithm] = &[Algorithm::Es256];
const ALL: &[Algorithm] = &[Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256];

/// Keys sign for an hour; backends may keep them for five minutes.
fn schedule() -> Schedule {
    let lifetime = Lifetime::try_from(Duration::from_secs(60)).unwrap();
    Schedule::new(Duration::from_secs(3_600), Duration::from_secs(300), lifetime).unwrap()
}

fn open(path: &Path, used: &[Algorithm], clock: &Arc<ManualClock>) -> Result<Keys, KeyringError> {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Keys::open(Source::File(path.to_owned()), used, schedule(), clock)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

fn path() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    (folder, path)
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn kid(keys: &Keys, state: State) -> Option<String> {
    let ring = keys.glance();
    let mut of = ring.keys().iter().filter(|key| key.state() == state).map(|key| key.kid().to_string());
    let found = of.next();
    assert_eq!(of.next(), None);
    found
}

#[test]
fn the_first_start_makes_keys_that_only_their_owner_can_read_and_later_starts_use_them() {
    let (folder, path) = path();
    let first = open(&path, ES256, &clock()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let clock = clock();
    clock.advance(Duration::from_secs(60));
    let second = open(&path, ES256, &clock).unwrap();
    assert_eq!(first.glance().jwks(), second.glance().jwks());
    assert_eq!(second.glance().active(Algorithm::Es256).unwrap().created(), NOW);
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the file and its lock: {names:?}");
}

#[test]
fn keys_that_others_can_read_are_refused() {
    let (_folder, path) = path();
    open(&path, ES256, &clock()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(open(&path, ES256, &clock()), Err(KeyringError::File(PrivateFileError::Mode { .. }))));
}

#[test]
fn many_that_start_at_once_end_up_with_the_same_keys() {
    let (_folder, path) = path();
    let sets: Vec<String> = std::thread::scope(|scope| {
        let start = || open(&path, ALL, &clock()).unwrap().glance().jwks().to_owned();
        let starts: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(sets.iter().all(|set| *set == sets[0]));
}

#[test]
fn a_key_is_published_before_it_signs_and_until_nobody_can_hold_an_assertion_of_it() {
    let (_folder, path) = path();
    let clock = clock();
    let keys = open(&path, ES256, &clock).unwrap();
    let (first, second) = (kid(&keys, State::Active), kid(&keys, State::Next));
    let tend = |seconds: u64| {
        clock.advance(Duration::from_secs(seconds));
        keys.tend().unwrap().changes.len()
    };
    assert_eq!(tend(3_599), 0, "it signs for an hour");
    assert_eq!(tend(1), 3);
    assert_eq!((kid(&keys, State::Active), kid(&keys, State::Retiring)), (second.clone(), first));
    let third = kid(&keys, State::Next);
    assert_eq!(tend(300 + 60 + 30), 0, "cached keys, an assertion's life and a slow clock");
    assert_eq!(tend(1), 1);
    assert_eq!((kid(&keys, State::Active), kid(&keys, State::Retiring)), (second, None));
    assert_eq!(tend(3_600), 3);
    assert_eq!(kid(&keys, State::Active), third);
    assert_eq!((keys.rotations(), keys.is_faulty()), (2, false));
}

#[test]
fn no_key_signs_that_backends_may_not_know() {
    let (_folder, path) = path();
    let clock = clock();
    let keys = open(&path, ES256, &clock).unwrap();
    let next = kid(&keys, State::Next);
    let turn = |turn| Keys::turn(&path, ES256, &schedule(), clock.unix_seconds(), turn);
    let error = turn(Turn::Now).unwrap_err();
    assert!(matches!(error, KeyringError::Unready { until } if until == NOW + 601), "{error}");
    clock.advance(Duration::from_secs(600));
    assert!(turn(Turn::Now).is_err());
    clock.advance(Duration::from_secs(1));
    assert_eq!(turn(Turn::Now).unwrap().len(), 3);
    assert_ne!(kid(&keys, State::Active), next, "nobody has looked at the file yet");
    keys.tend().unwrap();
    assert_eq!(kid(&keys, State::Active), next);
    assert!(turn(Turn::Now).is_err(), "its successor is as new as that");
}

#[test]
fn a_key_that_leaked_is_gone_at_once() {
    let (_folder, path) = path();
    let clock = clock();
    let keys = open(&path, ES256, &clock).unwrap();
    let (leaked, next) = (kid(&keys, State::Active).unwrap(), kid(&keys, State::Next));
    Keys::turn(&path, ES256, &schedule(), NOW, Turn::Withdraw).unwrap();
    keys.tend().unwrap();
    assert_eq!(kid(&keys, State::Active), next);
    assert!(!keys.glance().jwks().contains(&leaked) && !fs::read_to_string(&path).unwrap().contains(&leaked));
}

#[test]
fn gateways_that_share_a_file_take_turns_together_and_only_once() {
    let (_folder, path) = path();
    let clock = clock();
    let gateways: Vec<_> = (0..4).map(|_| open(&path, ALL, &clock).unwrap()).collect();
    for hour in 0..3 {
        clock.advance(Duration::from_secs(3_601));
        std::thread::scope(|scope| {
            for keys in &gateways {
                scope.spawn(|| keys.tend().unwrap());
            }
        });
        gateways.iter().for_each(|keys| drop(keys.tend().unwrap()));
        let first = gateways[0].glance();
        assert!(gateways.iter().all(|keys| keys.glance().etag() == first.etag()), "{hour}");
        let active = first.keys().iter().filter(|key| key.state() == State::Active);
        assert!(active.clone().all(|key| key.since() == clock.unix_seconds()) && active.count() == 3);
    }
    assert!(gateways.iter().all(|keys| keys.rotations() == 9));
}

#[test]
fn what_is_broken_later_leaves_the_last_good_keys_in_use_and_says_so() {
    let (_folder, path) = path();
    let keys = open(&path, ES256, &clock()).unwrap();
    let (good, set) = (fs::read_to_string(&path).unwrap(), keys.glance().jwks().to_owned());
    write(&path, "{");
    assert!(keys.tend().is_err() && keys.is_faulty());
    assert_eq!(keys.glance().jwks(), set);
    write(&path, &good);
    assert!(keys.tend().unwrap().changes.is_empty() && !keys.is_faulty());
}

#[test]
fn keys_that_are_given_change_when_whoever_gives_them_changes_them() {
    let (_folder, path) = path();
    let given = |path: &Path, used: &[Algorithm]| {
        let (file, place) = (path.to_owned(), path.to_owned());
        let fetch = Box::new(move || Ok(Secret::new(fs::read(&file).unwrap())));
        Keys::open(Source::Given { place, fetch }, used, schedule(), clock())
    };
    open(&path, ES256, &clock()).unwrap();
    assert!(matches!(given(&path, ALL), Err(KeyringError::Active { algorithm: Algorithm::EdDsa, count: 0, .. })));
    let keys = given(&path, ES256).unwrap();
    let before = fs::read(&path).unwrap();
    Keys::turn(&path, ES256, &schedule(), NOW + 4_000, Turn::Due).unwrap();
    assert_eq!(keys.tend().unwrap().changes.len(), 3);
    assert_ne!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_broken_keyring_is_refused_and_left_as_it_is() {
    let (_folder, path) = path();
    let one = |algorithm| {
        let keys = file::render(&[Key::generate(algorithm, State::Active, NOW).unwrap()]).unwrap();
        String::from_utf8(keys.expose().clone()).unwrap()
    };
    let (good, other) = (one(Algorithm::Es256), one(Algorithm::Es256));
    let (ed, rsa, other_rsa) = (one(Algorithm::EdDsa), one(Algorithm::Rs256), one(Algorithm::Rs256));
    let key = |text: &str| text.trim().strip_prefix("{\"keys\":[").unwrap().strip_suffix("]}").unwrap().to_owned();
    let member = |text: &str, name: &str| {
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        json["keys"][0][name].as_str().unwrap().to_owned()
    };
    let two = format!("{{\"keys\":[{},{}]}}", key(&good), key(&other));
    for (text, what) in [
        ("{}".to_owned(), "syntax"),
        (String::new(), "syntax"),
        (good.replace("\"crv\"", "\"curve\""), "syntax"),
        (good.replace("active", "asleep"), "syntax"),
        (good.replace("ES256", "ES512"), "syntax"),
        ("{\"keys\":[]}".to_owned(), "active"),
        (good.replace("active", "next"), "active"),
        (two.clone(), "active"),
        (good.replace("P-256", "P-384"), "key"),
        (good.replace("\"d\"", "\"pkcs8\""), "key"),
        (good.replace("ES256", "EdDSA"), "key"),
        (good.replace(&member(&good, "d"), &member(&other, "d")), "key"),
        (good.replace(&member(&good, "kid"), &member(&other, "kid")), "key"),
        (good.replace(&member(&good, "x"), "AAAA"), "key"),
        (ed.replace("Ed25519", "Ed448"), "key"),
        (ed.replace(&member(&ed, "x"), &member(&good, "x")), "key"),
        (rsa.replace(&member(&rsa, "n"), &member(&other_rsa, "n")), "key"),
        (rsa.replace(&member(&rsa, "pkcs8"), &member(&other_rsa, "pkcs8")), "key"),
    ] {
        write(&path, &text);
        let error = open(&path, ES256, &clock()).unwrap_err();
        let found = match &error {
            KeyringError::Active { .. } => "active",
            KeyringError::Key { .. } => "key",
            KeyringError::Syntax { .. } => "syntax",
            KeyringError::Busy(_)
            | KeyringError::File(_)
            | KeyringError::Generate
            | KeyringError::Given
            | KeyringError::Secret(_)
            | KeyringError::Unready { .. } => "other",
        };
        assert_eq!(found, what, "{error} {text}");
        assert!(!format!("{error:?} {error}").contains(&member(&good, "d")));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    for good in [&good, &ed, &rsa, &two.replacen("active", "retiring", 1)] {
        write(&path, good);
        Keys::read(&path).unwrap();
    }
}

#[test]
fn the_published_set_has_every_key_and_nothing_private() {
    let (_folder, path) = path();
    let keys = open(&path, ALL, &clock()).unwrap();
    let ring = keys.glance();
    let set: serde_json::Value = serde_json::from_str(ring.jwks()).unwrap();
    let set = set["keys"].as_array().unwrap();
    assert_eq!(set.len(), 6);
    for key in set {
        let members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        let expected: &[&str] = match key["kty"].as_str().unwrap() {
            "EC" => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            "OKP" => &["alg", "crv", "kid", "kty", "use", "x"],
            _ => &["alg", "e", "kid", "kty", "n", "use"],
        };
        assert_eq!(members, expected);
    }
    assert!(!format!("{ring:?}").contains(ring.keys()[0].private_text().unwrap().expose()));
}

/// The names of keys agree with an implementation that is not ours.
#[test]
fn a_key_is_named_by_its_thumbprint() {
    let (_folder, path) = path();
    let keys = open(&path, ALL, &clock()).unwrap();
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(keys.glance().jwks()).unwrap();
    for key in set.keys {
        let thumbprint = key.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap();
        assert_eq!(key.common.key_id, Some(thumbprint));
    }
}

#[test]
fn a_schedule_leaves_backends_time_to_learn_of_a_key() {
    let lifetime = Lifetime::try_from(Duration::from_secs(60)).unwrap();
    for (rotate_after, max_age, fit) in [
        (1_200_000, 300_000, true),
        (1_199_000, 300_000, false),
        (1_000, 0, false),
        (4_000, 1_500, false),
        (4_000, 1_000, true),
    ] {
        let schedule = Schedule::new(Duration::from_millis(rotate_after), Duration::from_millis(max_age), lifetime);
        assert_eq!(schedule.is_ok(), fit, "{rotate_after} {max_age}");
    }
}
