use std::cell::RefCell;
use std::fmt;
use std::slice::Iter;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use terms::{Finding, Findings};

use super::at::{AT, TRIED};
use super::{Kind, Node, Spot};

/// Reads one value off the tree. Keys that are not known, and values that are [`super::Tried`], are noted and do not end
/// the reading; so there may be a value and findings about it.
pub fn read<'de, T: Deserialize<'de>>(node: &'de Node, file: &Arc<str>, findings: &mut Findings) -> Option<T> {
    let noted = RefCell::default();
    let reader = Reader { node, noted: &noted };
    let value = T::deserialize(reader).map_err(|wrong| reader.note(wrong)).ok();
    noted.take().into_iter().for_each(|wrong| findings.push(wrong.finding(file)));
    value
}

/// Why a value is not what it should be.
#[derive(Debug)]
struct Wrong {
    spot: Option<Spot>,
    message: String,
    help: Option<String>,
}

impl Wrong {
    /// Names the place, unless a value further in has named a closer one.
    fn at(self, spot: Spot) -> Self {
        Self { spot: self.spot.or(Some(spot)), ..self }
    }

    fn new(message: String) -> Self {
        Self { spot: None, message, help: None }
    }

    fn listing(message: String, written: &str, known: &'static [&'static str]) -> Self {
        let help = match terms::nearest(written, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known here: `{}`", known.join("`, `")),
        };
        Self { help: Some(help), ..Self::new(message) }
    }

    fn finding(self, file: &Arc<str>) -> Finding {
        let Self { spot, message, help } = self;
        Finding { help, ..Finding::error(spot.unwrap_or_default().place(file), message) }
    }
}

impl std::error::Error for Wrong {}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl serde::de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = match expected.to_string().as_str() {
            "a sequence" => "a list".to_owned(),
            "a string" => "text".to_owned(),
            "u16" | "u32" | "u64" => "a whole number".to_owned(),
            other => other.to_owned(),
        };
        let wants_text = expected == "text";
        let (found, help) = match found {
            Unexpected::Bool(_) => ("`true` or `false`", wants_text.then(|| "put it in quotes".to_owned())),
            Unexpected::Float(_) | Unexpected::Signed(_) | Unexpected::Unsigned(_) => {
                ("a number", wants_text.then(|| "put it in quotes".to_owned()))
            }
            Unexpected::Unit => ("nothing", Some("give it a value or take the key away".to_owned())),
            Unexpected::Seq => ("a list", None),
            Unexpected::Map => ("a mapping", None),
            Unexpected::Str(_)
            | Unexpected::Bytes(_)
            | Unexpected::Char(_)
            | Unexpected::Enum
            | Unexpected::NewtypeStruct
            | Unexpected::NewtypeVariant
            | Unexpected::Option
            | Unexpected::Other(_)
            | Unexpected::StructVariant
            | Unexpected::TupleVariant
            | Unexpected::UnitVariant => ("text", None),
        };
        Self { help, ..Self::new(format!("expected {expected}, found {found}")) }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {expected}, found {found}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("key `{field}` is missing"))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::listing(format!("unknown key `{field}`"), field, known)
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::listing(format!("`{variant}` is not known here"), variant, known)
    }
}

/// One value of the tree, and where mistakes are noted that do not end the reading.
#[derive(Clone, Copy)]
struct Reader<'de, 'n> {
    node: &'de Node,
    noted: &'n RefCell<Vec<Wrong>>,
}

impl<'de, 'n> Reader<'de, 'n> {
    fn at(self, node: &'de Node) -> Self {
        Self { node, ..self }
    }

    fn note(self, wrong: Wrong) {
        self.noted.borrow_mut().push(wrong.at(self.node.spot));
    }

    fn entries(self, pairs: &'de [(Node, Node)], fields: Option<&'static [&'static str]>) -> Entries<'de, 'n> {
        Entries { reader: self, pairs: pairs.iter(), fields, value: None }
    }
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.kind {
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::List(items) => visitor.visit_seq(Items { reader: self, nodes: items.iter() }),
            Kind::Map(pairs) => visitor.visit_map(self.entries(pairs, None)),
            Kind::Null => visitor.visit_unit(),
            Kind::Number(number) => visitor.visit_u64(*number),
            Kind::Odd => visitor.visit_f64(0.0),
            Kind::Text(text) => visitor.visit_borrowed_str(text),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match &self.node.kind {
            Kind::Map(pairs) => visitor.visit_map(self.entries(pairs, Some(fields))),
            Kind::Bool(_) | Kind::List(_) | Kind::Null | Kind::Number(_) | Kind::Odd | Kind::Text(_) => {
                self.deserialize_any(visitor)
            }
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        match name {
            AT => visitor.visit_seq(Located { reader: self, part: 0 }),
            TRIED => visitor.visit_seq(Attempt { reader: self, tried: false }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    /// A key without a value is not the same as no key: nothing is accepted and ignored.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let text: &str = Deserialize::deserialize(self)?;
        let text: StrDeserializer<'_, Wrong> = text.into_deserializer();
        visitor.visit_enum(text)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// What [`super::At`] asks for: line, column, value.
struct Located<'de, 'n> {
    reader: Reader<'de, 'n>,
    part: u8,
}

impl<'de> SeqAccess<'de> for Located<'de, '_> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        let spot = self.reader.node.spot;
        self.part = self.part.saturating_add(1);
        let value = match self.part {
            1 => seed.deserialize(spot.line.into_deserializer()),
            2 => seed.deserialize(spot.column.into_deserializer()),
            3 => seed.deserialize(self.reader),
            _ => return Ok(None),
        };
        value.map(Some).map_err(|wrong| wrong.at(spot))
    }
}

/// What [`super::Tried`] asks for: the value, or nothing once what is wrong with it is noted.
struct Attempt<'de, 'n> {
    reader: Reader<'de, 'n>,
    tried: bool,
}

impl<'de> SeqAccess<'de> for Attempt<'de, '_> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        if std::mem::replace(&mut self.tried, true) {
            return Ok(None);
        }
        Ok(seed.deserialize(self.reader).map_err(|wrong| self.reader.note(wrong)).ok())
    }
}

struct Items<'de, 'n> {
    reader: Reader<'de, 'n>,
    nodes: Iter<'de, Node>,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        let Some(node) = self.nodes.next() else {
            return Ok(None);
        };
        seed.deserialize(self.reader.at(node)).map(Some).map_err(|wrong| wrong.at(node.spot))
    }
}

struct Entries<'de, 'n> {
    reader: Reader<'de, 'n>,
    pairs: Iter<'de, (Node, Node)>,
    /// The keys that are known, if not all are.
    fields: Option<&'static [&'static str]>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = Wrong;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        for (key, value) in self.pairs.by_ref() {
            match (&key.kind, self.fields) {
                (Kind::Text(name), Some(fields)) if !fields.contains(&name.as_str()) => {
                    self.reader.at(key).note(serde::de::Error::unknown_field(name, fields));
                }
                _ => {
                    self.value = Some(value);
                    return seed.deserialize(self.reader.at(key)).map(Some).map_err(|wrong| wrong.at(key.spot));
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        let node = self.value.take().ok_or_else(|| Wrong::new("a value without a key".to_owned()))?;
        seed.deserialize(self.reader.at(node)).map_err(|wrong| wrong.at(node.spot))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use terms::Findings;

    #[test]
    fn what_is_false_is_not_true() {
        let file: Arc<str> = "file.yaml".into();
        for (text, expected) in [("true", true), ("false", false)] {
            let mut findings = Findings::default();
            let node = crate::parse(&file, text, &mut findings).unwrap();
            assert_eq!(crate::read::<bool>(&node, &file, &mut findings), Some(expected));
            assert!(!findings.reject());
        }
    }
}
