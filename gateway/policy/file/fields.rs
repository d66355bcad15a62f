//! What a route does to header fields.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::{At, Pairs};

/// What is done to the fields of a message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with `set` and `remove`")]
pub(crate) struct FieldsEntry {
    /// Fields that are written, in place of what came under the same name.
    #[serde(default)]
    #[schemars(with = "Option<Pairs<At<String>>>")]
    pub(crate) set: Pairs<At<String>>,
    /// Fields that are taken out.
    #[serde(default)]
    pub(crate) remove: Vec<At<String>>,
}

impl FieldsEntry {
    /// Every field that is named, to be written or taken out.
    pub(crate) fn names(&self) -> impl Iterator<Item = &At<String>> {
        self.set.0.iter().map(|(name, _)| name).chain(&self.remove)
    }
}
