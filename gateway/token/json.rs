use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// JSON as a token or a key set may carry it: UTF-8, no name twice in one object at any depth (RFC 8725 §2.4 shows what
/// two readers make of two), bounded in depth and in number of values.
#[derive(Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// Whole or not. What is exact beyond 2^53 is of no use to us.
    Number(f64),
    Text(String),
    List(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

/// How much JSON is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Lists and objects within each other.
    pub(crate) depth: usize,
    /// Values in all, at every depth.
    pub(crate) values: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum InvalidJson {
    Deep,
    Duplicate,
    Many,
    Syntax,
}

/// Reads one object, and nothing behind it.
pub(crate) fn parse_object(bytes: &[u8], bounds: Bounds) -> Result<BTreeMap<String, Json>, InvalidJson> {
    let text = std::str::from_utf8(bytes).map_err(|_| InvalidJson::Syntax)?;
    let state = State { left: Cell::new(bounds.values), fault: Cell::new(InvalidJson::Syntax) };
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Seed { depth: bounds.depth, state: &state }.deserialize(&mut reader).map_err(|_| state.fault.get())?;
    reader.end().map_err(|_| InvalidJson::Syntax)?;
    match value {
        Json::Object(members) => Ok(members),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => Err(InvalidJson::Syntax),
    }
}

impl Json {
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(list),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Object(_) => None,
        }
    }

    pub(crate) const fn as_object(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Object(members) => Some(members),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }
}

/// Shared by all levels: what is left of the budget, and why reading stopped if it did not stop at the syntax.
struct State {
    left: Cell<usize>,
    fault: Cell<InvalidJson>,
}

#[derive(Clone, Copy)]
struct Seed<'s> {
    depth: usize,
    state: &'s State,
}

impl Seed<'_> {
    fn stop<E: serde::de::Error>(&self, fault: InvalidJson) -> E {
        self.state.fault.set(fault);
        E::custom("refused")
    }

    fn deeper(self) -> Option<Self> {
        Some(Self { depth: self.depth.checked_sub(1)?, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Json, D::Error> {
        let Some(left) = self.state.left.get().checked_sub(1) else {
            return Err(self.stop(InvalidJson::Many));
        };
        self.state.left.set(left);
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("json")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers beyond 2^53 are refused wherever one is used")]
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers beyond 2^53 are refused wherever one is used")]
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let Some(inner) = self.deeper() else {
            return Err(self.stop(InvalidJson::Deep));
        };
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let Some(inner) = self.deeper() else {
            return Err(self.stop(InvalidJson::Deep));
        };
        let mut members = BTreeMap::new();
        while let Some(name) = entries.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(self.stop(InvalidJson::Duplicate));
            }
            let value = entries.next_value_seed(inner)?;
            members.insert(name, value);
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { depth: 3, values: 8 };

    #[test]
    fn json_is_read_once_and_only_if_it_has_one_meaning() {
        for (text, expected) in [
            (&b"{}"[..], None),
            (br#" {"a":[{"b":1}]} "#, None),
            (br#"{"a":1,"a":1}"#, Some(InvalidJson::Duplicate)),
            (br#"{"a":1,"\u0061":1}"#, Some(InvalidJson::Duplicate)),
            (br#"{"x":{"a":1,"a":2}}"#, Some(InvalidJson::Duplicate)),
            (br#"{"a":[[[]]]}"#, Some(InvalidJson::Deep)),
            (br#"{"a":[1,2,3,4,5,6,7]}"#, Some(InvalidJson::Many)),
            (b"[]", Some(InvalidJson::Syntax)),
            (b"", Some(InvalidJson::Syntax)),
            (b"{}{}", Some(InvalidJson::Syntax)),
            (b"{\"a\":\"\xff\"}", Some(InvalidJson::Syntax)),
            (b"\xef\xbb\xbf{}", Some(InvalidJson::Syntax)),
            (br#"{"a":"\ud800"}"#, Some(InvalidJson::Syntax)),
            (br#"{"a":1e999}"#, Some(InvalidJson::Syntax)),
            (br#"{"a":NaN}"#, Some(InvalidJson::Syntax)),
            (br#"{"a":1,}"#, Some(InvalidJson::Syntax)),
        ] {
            assert_eq!(parse_object(text, BOUNDS).err(), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn depth_beyond_all_measure_ends_without_overflowing_the_stack() {
        let text = format!("{{\"a\":{}", "[".repeat(1_000_000));
        assert_eq!(parse_object(text.as_bytes(), BOUNDS), Err(InvalidJson::Deep));
    }
}
