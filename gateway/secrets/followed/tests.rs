use std::collections::BTreeMap;

use super::*;

/// What stands where, and who follows it.
struct World {
    values: BTreeMap<&'static str, Result<&'static str, &'static str>>,
    followed: Followed,
}

fn reference(name: &str) -> Reference {
    format!("${{file:/run/secrets/{name}}}").parse().unwrap()
}

fn text(secret: &Secret<Vec<u8>>) -> String {
    String::from_utf8(secret.expose().clone()).unwrap()
}

impl World {
    fn new() -> Self {
        Self { values: BTreeMap::new(), followed: Followed::new() }
    }

    /// A key with the value that stands first; those of less than three letters do not do.
    fn key(&mut self, name: &'static str, value: &'static str) -> Kept<String> {
        self.values.insert(name, Ok(value));
        let make = |secret: Secret<Vec<u8>>, _: Option<&String>| {
            let text = text(&secret);
            if text.len() < 3 { Err("this is too short".to_owned()) } else { Ok(text) }
        };
        let secret = Secret::new(value.as_bytes().to_vec());
        self.followed.keep(name, reference(name), Use::Alone, secret, make).unwrap()
    }

    fn look(&self) -> Vec<(String, Outcome)> {
        let read = |asked: &Reference| {
            let (_, value) = self.values.iter().find(|(name, _)| reference(name) == *asked)?;
            Some(value.map(|text| Secret::new(text.as_bytes().to_vec())).map_err(str::to_owned))
        };
        self.followed.look(read).into_iter().map(|turn| (turn.name.to_string(), turn.outcome)).collect()
    }

    fn faulty(&self) -> Vec<String> {
        self.followed.conditions().filter(|it| it.fault.is_some()).map(|it| it.name.to_string()).collect()
    }
}

fn replaced(name: &str) -> (String, Outcome) {
    (name.into(), Outcome::Replaced)
}

fn refused(name: &str, why: &str) -> (String, Outcome) {
    (name.into(), Outcome::Refused(why.into()))
}

#[test]
fn a_new_value_is_in_force_at_once_and_said_once() {
    let mut world = World::new();
    let (one, two) = (world.key("one", "first"), world.key("two", "other"));
    assert_eq!(world.look(), []);
    world.values.insert("one", Ok("second"));
    assert_eq!(world.look(), [replaced("one")]);
    assert_eq!((one.glance().as_str(), two.glance().as_str()), ("second", "other"));
    assert_eq!(world.look(), []);
}

#[test]
fn what_cannot_be_had_or_used_leaves_the_last_good_one_in_force() {
    let mut world = World::new();
    let one = world.key("one", "first");
    for (value, why) in
        [(Ok("x"), "this is too short"), (Err("it is not set"), "is not set"), (Ok("yy"), "this is too short")]
    {
        world.values.insert("one", value);
        let turns = world.look();
        let [(_, Outcome::Refused(said))] = turns.as_slice() else { panic!("{turns:?}") };
        assert!(said.contains(why), "{said}");
        assert_eq!(world.look(), [], "said once");
        assert_eq!((one.glance().as_str(), world.faulty()), ("first", vec!["one".to_owned()]));
    }
    world.values.insert("one", Ok("first"));
    assert_eq!(world.look(), [("one".into(), Outcome::Recovered)]);
    assert!(world.faulty().is_empty());
    world.values.insert("one", Ok("x"));
    world.look();
    world.values.insert("one", Ok("second"));
    assert_eq!(world.look(), [replaced("one")]);
    assert!(world.faulty().is_empty());
}

#[test]
fn no_key_comes_to_serve_two_purposes() {
    let mut world = World::new();
    let (one, two) = (world.key("one", "first"), world.key("two", "other"));
    world.values.insert("one", Ok("other"));
    assert_eq!(world.look(), [refused("one", "this is the key of `two` as well; make another one")]);
    assert_eq!(one.glance().as_str(), "first");
    // Both at once, to the same.
    world.values.extend([("one", Ok("third")), ("two", Ok("third"))]);
    assert_eq!(world.look(), [replaced("two")], "and why the other is refused was said");
    assert_eq!((one.glance().as_str(), two.glance().as_str()), ("first", "third"));
    // One moves on to what was the other's, as those do that take turns.
    world.values.extend([("one", Ok("fourth")), ("two", Ok("fifth"))]);
    world.look();
    world.values.extend([("one", Ok("fifth")), ("two", Ok("sixth"))]);
    assert_eq!(world.look(), [replaced("one"), replaced("two")]);
}

#[test]
fn what_takes_effect_at_the_start_alone_says_that_it_has_changed() {
    let mut world = World::new();
    let root = Secret::new(b"root".to_vec());
    world.followed.pin("root", reference("root"), &root, "a restart takes it");
    world.values.insert("root", Ok("root"));
    assert_eq!(world.look(), []);
    world.values.insert("root", Ok("another"));
    assert_eq!(world.look(), [refused("root", "a restart takes it")]);
    world.values.insert("root", Ok("root"));
    assert_eq!(world.look(), [("root".into(), Outcome::Recovered)]);
}

#[test]
fn nothing_shows_a_value() {
    let mut world = World::new();
    let one = world.key("one", "hunter2");
    let shown = format!("{one:?} {:?}", world.followed);
    assert!(!shown.contains("hunter2") && shown.contains("one"), "{shown}");
}

#[test]
fn only_folders_of_files_are_watched() {
    let mut followed = Followed::new();
    for reference in ["${file:/run/secrets/a}", "${file:/run/secrets/b}", "${env:KEY}", "${file:/c}"] {
        let secret = Secret::new(reference.as_bytes().to_vec());
        followed.keep("x", reference.parse().unwrap(), Use::Any, secret, |_, _| Ok(())).unwrap();
    }
    assert_eq!(followed.folders(), BTreeSet::from(["/".into(), "/run/secrets".into()]));
}
