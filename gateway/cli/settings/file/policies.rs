//! Who may say what is allowed.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::At;

/// Who may say what is allowed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Policies {
    /// Public keys as `cloister bundle key` prints them. Where some are given, the folder of the policies must be signed by one of
    /// them (`cloister bundle sign`), and no version is taken that is older than the last. Nobody is asked for, if it is left out.
    pub(crate) signed_by: Vec<At<String>>,
}
