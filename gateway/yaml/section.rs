use std::sync::Arc;

use serde::Deserialize;
use terms::{Finding, Findings};

use crate::{At, Kind, Node, Spot, read};

/// A named entry. One that could not be read keeps its name, so that others may still refer to it.
#[derive(Debug)]
pub struct Named<T> {
    /// Its name.
    pub name: At<String>,
    /// What stands behind the name, if it could be read.
    pub entry: Option<T>,
}

/// The sections of a file: the place of each name, the name, and what stands behind it. `what` says what kind of file it
/// is, for the finding that it is none.
pub fn sections<'n>(
    what: &str,
    file: &Arc<str>,
    root: &'n Node,
    known: &[&str],
    findings: &mut Findings,
) -> Vec<(Spot, &'n str, &'n Node)> {
    let pairs = match &root.kind {
        Kind::Map(pairs) => pairs.as_slice(),
        Kind::Null => &[],
        Kind::Bool(_) | Kind::List(_) | Kind::Number(_) | Kind::Odd | Kind::Text(_) => {
            let finding = Finding::error(root.spot.place(file), format!("{what} is a mapping of sections"));
            findings.push(finding.help(format!("known here: `{}`", known.join("`, `"))));
            &[]
        }
    };
    let named = |(key, value): &'n (Node, Node)| match &key.kind {
        Kind::Text(name) => Some((key.spot, name.as_str(), value)),
        Kind::Bool(_) | Kind::List(_) | Kind::Map(_) | Kind::Null | Kind::Number(_) | Kind::Odd => None, // never a key
    };
    pairs.iter().filter_map(named).collect()
}

/// What to say of a section that there is not.
#[must_use]
pub fn unknown_section(file: &Arc<str>, spot: Spot, name: &str, known: &[&str]) -> Finding {
    let finding = Finding::error(spot.place(file), format!("unknown section `{name}`"));
    match terms::nearest(name, known.iter().copied()) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding.help(format!("known here: `{}`", known.join("`, `"))),
    }
}

/// Reads a section of names and entries, and of it every entry that can be read.
pub fn named<'de, T: Deserialize<'de>>(file: &Arc<str>, node: &'de Node, findings: &mut Findings) -> Vec<Named<T>> {
    let Kind::Map(pairs) = &node.kind else {
        findings.push(Finding::error(node.spot.place(file), "this section is a mapping of names to entries"));
        return Vec::new();
    };
    let mut entries = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        let Kind::Text(name) = &key.kind else { continue };
        let name = At { spot: key.spot, value: name.clone() };
        entries.push(Named { name, entry: read(value, file, findings) });
    }
    entries
}

/// Reads a section that is a list, and of it every entry that can be read.
pub fn listed<'de, T: Deserialize<'de>>(file: &Arc<str>, node: &'de Node, findings: &mut Findings) -> Vec<At<T>> {
    let Kind::List(items) = &node.kind else {
        findings.push(Finding::error(node.spot.place(file), "this section is a list of entries"));
        return Vec::new();
    };
    items.iter().filter_map(|item| read(item, file, findings)).collect()
}
