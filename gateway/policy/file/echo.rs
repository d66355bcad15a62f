//! Where responses name their tenant.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::At;

use crate::echo::{EchoMode, Missing};
use yaml::Tried;

/// Where the backend's responses name the tenant that they are about: in a header or in JSON. A response that names another
/// tenant than the one that asks does not reach the client.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with `header` or `json`")]
pub(crate) struct EchoEntry {
    /// The header that names it.
    pub(crate) header: Option<At<String>>,
    /// Where in the JSON it stands (RFC 6901): `/tenant/id`; `*` for every element of a list: `/items/*/tenant`.
    pub(crate) json: Option<At<String>>,
    /// `block` what is of another tenant, or only report it (`shadow`). `block` if it is left out.
    pub(crate) mode: Option<Tried<EchoMode>>,
    /// What becomes of a successful response that names no tenant: `allow` or `block`. `block` if it is left out.
    pub(crate) missing: Option<Tried<Missing>>,
    /// The longest JSON that is looked at: 1MiB if it is left out, 16MiB at most. It is held until it is there to its end, and
    /// what is longer is blocked.
    #[schemars(extend("pattern" = "^[0-9]+(B|KiB|MiB|GiB)$"))]
    pub(crate) max_body: Option<At<String>>,
}
