use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use terms::{Finding, Findings, Place};

use yaml::At;

/// The names of one kind, over all files, each with where it was first given.
pub(super) struct Names<T> {
    kind: &'static str,
    known: BTreeMap<String, (Place, T)>,
}

impl<T> Names<T> {
    pub(super) fn of(kind: &'static str) -> Self {
        Self { kind, known: BTreeMap::new() }
    }

    /// Gives a name to something; notes if it is taken.
    pub(super) fn give(&mut self, name: &str, place: Place, value: T, findings: &mut Findings) {
        match self.known.entry(name.to_owned()) {
            Entry::Vacant(free) => {
                free.insert((place, value));
            }
            Entry::Occupied(taken) => {
                let finding = Finding::error(place, format!("{} `{name}` is defined twice", self.kind));
                findings.push(finding.help(format!("the first stands at {}", taken.get().0)));
            }
        }
    }

    /// Looks a reference up; notes if nothing has this name.
    pub(super) fn find(&self, file: &Arc<str>, name: &At<String>, findings: &mut Findings) -> Option<&T> {
        // What has a blank in its name is told so from what can be written: nobody can name it.
        if let Some((_, value)) = self.known.get(name.as_str()).filter(|_| !name.value.contains(' ')) {
            return Some(value);
        }
        findings.push(self.unknown(file, name));
        None
    }

    pub(super) fn unknown(&self, file: &Arc<str>, name: &At<String>) -> Finding {
        let message = format!("{} `{}` is not defined", self.kind, name.value);
        Finding::error(name.spot.place(file), message)
            .did_you_mean(name.as_str(), self.known.keys().map(String::as_str).filter(|name| !name.contains(' ')))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.known.get(name).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.known.get_mut(name).map(|(_, value)| value)
    }

    /// Where a name was first given.
    pub(super) fn place(&self, name: &str) -> Option<&Place> {
        self.known.get(name).map(|(place, _)| place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Place, &T)> {
        self.known.iter().map(|(name, (place, value))| (name.as_str(), place, value))
    }
}

/// Parses text that has a place; notes if it does not parse.
pub(super) fn parse<T>(file: &Arc<str>, text: &At<String>, findings: &mut Findings) -> Option<T>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    text.value
        .parse()
        .map_err(|error| {
            let message = format!("`{}` does not parse: {error}", shown(text.as_str()));
            findings.push(Finding::error(text.spot.place(file), message));
        })
        .ok()
}

/// Text from a file, short enough for a message and without control characters.
pub(super) fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = text.chars().take(80).map(plain).collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}
