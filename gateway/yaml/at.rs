use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A line and a column of one file, both from 1.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Spot {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// A value and where it stands. Read only off a [`super::Node`], which knows this name and tells the spot.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// Where it stands.
    pub spot: Spot,
    /// What stands there.
    pub value: T,
}

/// How [`At`] asks its deserializer for the spot.
pub(crate) const AT: &str = "At";

impl At<String> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Triple<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Triple<T> {
            type Value = At<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value whose place is known")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<At<T>, A::Error> {
                let lost = || A::Error::custom("this value has lost its place");
                Ok(At {
                    spot: Spot {
                        line: parts.next_element()?.ok_or_else(lost)?,
                        column: parts.next_element()?.ok_or_else(lost)?,
                    },
                    value: parts.next_element()?.ok_or_else(lost)?,
                })
            }
        }

        deserializer.deserialize_newtype_struct(AT, Triple(PhantomData))
    }
}

/// To the schema a value with its place is the value.
impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A value whose mistakes are noted without ending the reading of what it stands in. Without a value there is a finding.
#[derive(Clone, Debug)]
pub struct Tried<T>(pub Option<T>);

/// How [`Tried`] tells its deserializer to note a mistake and go on.
pub(super) const TRIED: &str = "Tried";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Tried<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Maybe<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Maybe<T> {
            type Value = Tried<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value, or nothing")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut attempt: A) -> Result<Tried<T>, A::Error> {
                attempt.next_element().map(Tried)
            }
        }

        deserializer.deserialize_newtype_struct(TRIED, Maybe(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Tried<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A mapping in the order in which it is written.
#[derive(Clone, Debug)]
pub struct Pairs<T>(pub Vec<(At<String>, T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Pairs<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        std::collections::BTreeMap::<String, T>::json_schema(generator)
    }
}
