//! Tables of who may do what.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use yaml::{At, Pairs};

use super::AsEntry;

/// Several who ask, and what must become of each of their requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct MatrixEntry {
    /// What it shows.
    pub(crate) name: Option<At<String>>,
    /// Who asks, by a name that the rows use: what their token says, or `none` for somebody without one.
    pub(crate) r#as: Pairs<At<WhoEntry>>,
    /// The address of all of them.
    pub(crate) from: Option<At<String>>,
    /// Header fields of all of it.
    #[serde(default)]
    pub(crate) headers: Pairs<At<String>>,
    /// When all of it comes.
    pub(crate) now: Option<At<String>>,
    /// A row for each request (`GET https://acme.example.com/api/orders`): who gets what, `allow`, `break_glass` or a reason. A row speaks of
    /// everybody; `"*"` stands for those that it does not name.
    pub(crate) expect: Pairs<At<Pairs<At<String>>>>,
}

/// One who asks.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum WhoEntry {
    /// Somebody without a token.
    Nobody(NoneWord),
    /// Somebody with one.
    Token(Box<AsEntry>),
}

/// The word for no token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NoneWord {
    /// There is none.
    None,
}

impl<'de> Deserialize<'de> for WhoEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = WhoEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`none`, or what a token says: `{ tenant: acme, roles: [viewer] }`")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<WhoEntry, E> {
                match word {
                    "none" => Ok(WhoEntry::Nobody(NoneWord::None)),
                    other => Err(E::unknown_variant(other, &["none"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WhoEntry, A::Error> {
                AsEntry::deserialize(MapAccessDeserializer::new(map)).map(|entry| WhoEntry::Token(Box::new(entry)))
            }
        }

        deserializer.deserialize_any(Either)
    }
}
