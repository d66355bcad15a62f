//! Whose a resource is.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use yaml::At;

/// Which parameter of the path names whose the resource is.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum OwnerEntry {
    /// The parameter. The route has one issuer, whose subject it is.
    Parameter(String),
    /// The parameter, and whose subjects it names.
    Of(OwnerOfEntry),
}

/// Which parameter of the path names whose the resource is, on a route with several issuers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct OwnerOfEntry {
    /// `user` of `/users/{user}`.
    pub(crate) parameter: At<String>,
    /// Whose subjects it names: others with the same name are other people.
    pub(crate) issuer: At<String>,
}

impl<'de> Deserialize<'de> for OwnerEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = OwnerEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a parameter, or a mapping with `parameter` and `issuer`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OwnerEntry, E> {
                Ok(OwnerEntry::Parameter(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OwnerEntry, A::Error> {
                OwnerOfEntry::deserialize(MapAccessDeserializer::new(map)).map(OwnerEntry::Of)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
