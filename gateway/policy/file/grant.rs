//! What a role may do and may not do.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use yaml::At;

/// A grant or a deny: `resource:verb`, with `*` for a whole half, and `@own` at its end if it is about what is the caller's
/// own; or one that counts on a condition.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum GrantEntry {
    /// It counts always.
    Plain(String),
    /// It counts when something is true.
    When(WhenEntry),
}

/// A grant or a deny that counts when something is true.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct WhenEntry {
    /// `resource:verb`, with `*` for a whole half, and `@own` at its end if it is about what is the caller's own.
    pub(crate) permission: At<String>,
    /// The condition, in CEL: `tenant.plan == "gold"`. One that cannot be worked out lets nothing through.
    pub(crate) when: At<String>,
}

impl<'de> Deserialize<'de> for GrantEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = GrantEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<GrantEntry, E> {
                Ok(GrantEntry::Plain(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<GrantEntry, A::Error> {
                WhenEntry::deserialize(MapAccessDeserializer::new(map)).map(GrantEntry::When)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
