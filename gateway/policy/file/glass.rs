//! What may be done beyond a role by whoever says why.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::{At, Tried};

use super::GrantEntry;

/// What people with the role may do when they must and say why, though no role allows it. A deny wins over it, too. Each use is on
/// record before the request is forwarded.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct BreakGlassEntry {
    /// What they may do: as in `allow` of the role.
    pub(crate) allow: Vec<At<Tried<GrantEntry>>>,
    /// How they say why.
    pub(crate) justification: JustificationEntry,
}

/// How somebody says why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct JustificationEntry {
    /// The header field that says it: `X-Justification`.
    pub(crate) header: At<String>,
    /// How many characters it has at least, white space not counted: from 1 to 200; 20, if it is left out.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub(crate) min_length: Option<At<u16>>,
}
