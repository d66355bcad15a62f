use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use terms::ManualClock;

use super::*;

static NOW: ManualClock = ManualClock::at(1_790_000_000);

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn the_first_start_makes_a_key_that_only_its_owner_can_read_and_later_starts_use_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assertion-keys.json");
    let first = Keyring::open(&path, &NOW).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let second = Keyring::open(&path, &ManualClock::at(1_800_000_000)).unwrap();
    assert_eq!(first.jwks(), second.jwks());
    assert_eq!(second.active().created(), 1_790_000_000);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_keyring_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    Keyring::open(&path, &NOW).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Keyring::open(&path, &NOW), Err(KeyringError::File(PrivateFileError::Mode { .. }))));
}

#[test]
fn many_that_start_at_once_end_up_with_one_keyring() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let sets: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> =
            (0..8).map(|_| scope.spawn(|| Keyring::open(&path, &NOW).unwrap().jwks().to_owned())).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(sets.iter().all(|set| *set == sets[0]));
}

#[test]
fn a_broken_keyring_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    Keyring::open(&path, &NOW).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let (one, other) = (
        good.clone(),
        String::from_utf8(file::render(&[Key::generate(1).unwrap()]).unwrap().expose().clone()).unwrap(),
    );
    let key = |text: &str| text.trim().strip_prefix("{\"keys\":[").unwrap().strip_suffix("]}").unwrap().to_owned();
    let member = |text: &str, name: &str| {
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        json["keys"][0][name].as_str().unwrap().to_owned()
    };
    let two = format!("{{\"keys\":[{},{}]}}", key(&one), key(&other));
    for (text, what) in [
        ("{}".to_owned(), "syntax"),
        (String::new(), "syntax"),
        (good.replace("\"crv\"", "\"curve\""), "syntax"),
        (good.replace("active", "asleep"), "syntax"),
        ("{\"keys\":[]}".to_owned(), "active"),
        (good.replace("active", "next"), "active"),
        (two.clone(), "active"),
        (good.replace("P-256", "P-384"), "key"),
        (good.replace(&member(&one, "d"), &member(&other, "d")), "key"),
        (good.replace(&member(&one, "kid"), &member(&other, "kid")), "key"),
        (good.replace(&member(&one, "x"), "AAAA"), "key"),
    ] {
        write(&path, &text);
        let error = Keyring::open(&path, &NOW).unwrap_err();
        let found = match &error {
            KeyringError::Active { .. } => "active",
            KeyringError::File(_) => "file",
            KeyringError::Generate => "generate",
            KeyringError::Key { .. } => "key",
            KeyringError::Syntax { .. } => "syntax",
        };
        assert_eq!(found, what, "{error} {text}");
        assert!(!format!("{error:?} {error}").contains(&member(&one, "d")));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    write(&path, &two.replacen("active", "retiring", 1));
    let ring = Keyring::open(&path, &NOW).unwrap();
    assert_eq!((ring.active().kid(), ring.keys()[1].state()), (member(&other, "kid").as_str(), State::Retiring));
}

#[test]
fn the_published_set_has_every_key_and_nothing_private() {
    let ring = Keyring::of(vec![Key::generate(1).unwrap()]);
    let set: serde_json::Value = serde_json::from_str(ring.jwks()).unwrap();
    let members: Vec<_> = set["keys"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    assert!(!format!("{ring:?}").contains(ring.active().private_text().unwrap().expose()));
}

/// The names of keys agree with an implementation that is not ours.
#[test]
fn a_key_is_named_by_its_thumbprint() {
    let ring = Keyring::generate(&NOW).unwrap();
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(ring.jwks()).unwrap();
    let thumbprint = set.keys[0].thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256);
    assert_eq!(ring.active().kid(), thumbprint.unwrap());
}
