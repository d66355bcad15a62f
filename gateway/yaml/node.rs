use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Location, Spanned};
use terms::{Finding, Findings, Place};

use super::Spot;

/// The longest file that is read. Ten thousand tenants take a tenth of it.
const LONGEST: usize = 16 << 20;

/// One value of a YAML file and where it stands.
#[derive(Debug)]
pub struct Node {
    /// Where it begins.
    pub spot: Spot,
    /// What it is.
    pub kind: Kind,
}

/// What a value is, as far as our files know any difference.
#[derive(Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool(bool),
    /// A list.
    List(Vec<Node>),
    /// A mapping. Keys are always [`Kind::Text`].
    Map(Vec<(Node, Node)>),
    /// Nothing.
    Null,
    /// A whole number that is not negative; any other is [`Kind::Odd`].
    Number(u64),
    /// A number that is none of ours.
    Odd,
    /// A text.
    Text(String),
}

/// Parses one file. Keys that stand twice are noted and left out; any other mistake of syntax ends the file.
pub fn parse(file: &Arc<str>, text: &str, findings: &mut Findings) -> Option<Node> {
    if text.len() > LONGEST {
        findings.push(Finding::error(Place::file(file), "a file has at most 16 MiB"));
        return None;
    }
    // Aliases may shorten a file, not multiply it; a merge key would hide from the reader what an entry says.
    let options = serde_saphyr::options! {
        with_snippet: false,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        budget: serde_saphyr::budget! { max_depth: 24, max_events: 8_000_000, max_nodes: 4_000_000, max_aliases: 1_000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000, max_replay_stack_depth: 4 },
    };
    match serde_saphyr::from_str_with_options::<Node>(text, options) {
        Ok(mut node) => {
            node.drop_repeated(file, findings);
            Some(node)
        }
        Err(error) => {
            findings.push(syntax(file, &error));
            None
        }
    }
}

/// The parser's words without its coordinates, which a finding has of its own.
fn syntax(file: &Arc<str>, error: &serde_saphyr::Error) -> Finding {
    let place = match error.location().map(Spot::from) {
        Some(spot) => Place::new(file, spot.line, spot.column),
        None => Place::file(file),
    };
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    if matches!(error.without_snippet(), serde_saphyr::Error::MultipleDocuments { .. }) {
        return Finding::error(place, "a file is one YAML document");
    }
    if matches!(error.without_snippet(), serde_saphyr::Error::NullIntoString { .. }) {
        return Finding::error(place, "a key is text").help("put it in quotes");
    }
    Finding::error(place, format!("this is not YAML: {text}"))
}

impl Node {
    /// Notes keys that stand twice in one mapping, anywhere below, and keeps the first of each.
    fn drop_repeated(&mut self, file: &Arc<str>, findings: &mut Findings) {
        match &mut self.kind {
            Kind::List(items) => items.iter_mut().for_each(|item| item.drop_repeated(file, findings)),
            Kind::Map(pairs) => {
                let mut seen: HashMap<String, Spot> = HashMap::with_capacity(pairs.len());
                pairs.retain_mut(|(key, value)| {
                    value.drop_repeated(file, findings);
                    let Kind::Text(name) = &key.kind else { return true };
                    let Some(first) = seen.get(name) else {
                        seen.insert(name.clone(), key.spot);
                        return true;
                    };
                    let (first, again) = (first.place(file), key.spot.place(file));
                    let finding = Finding::error(again, format!("key `{name}` stands here twice"));
                    findings.push(finding.help(format!("the first stands at {first}")));
                    false
                });
            }
            Kind::Bool(_) | Kind::Null | Kind::Number(_) | Kind::Odd | Kind::Text(_) => {}
        }
    }
}

impl Spot {
    /// The place that it is in this file.
    #[must_use]
    pub fn place(self, file: &Arc<str>) -> Place {
        Place::new(file, self.line, self.column)
    }
}

impl From<Location> for Spot {
    fn from(location: Location) -> Self {
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self { line: small(location.line()), column: small(location.column()) }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { spot: referenced.into(), kind: value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Kind, E> {
        Ok(Kind::Odd)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Kind, E> {
        Ok(u64::try_from(number).map_or(Kind::Odd, Kind::Number))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Kind, E> {
        Ok(Kind::Odd)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Kind, E> {
        Ok(Kind::Number(number))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Kind, E> {
        Ok(Kind::Odd)
    }

    fn visit_none<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_unit<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Node>()? {
            let key = Node { spot: key.referenced.into(), kind: Kind::Text(key.value) };
            pairs.push((key, value));
        }
        Ok(Kind::Map(pairs))
    }
}
