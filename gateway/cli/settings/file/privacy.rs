//! What the audit log holds of persons.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::At;

/// What the audit log holds of persons. Each member of a tenant has a name there that was made by chance, and a key of its own; both stand in the subject vault, in the state folder, until `cloister privacy` destroys them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Privacy {
    /// A reference to a secret of at least 32 bytes, of which the keys come that open the vault. Made and kept beside the vault, as `subjects.key`, if it is left out: then a copy of the state folder opens it.
    pub(crate) root: Option<At<String>>,
    /// What is personal and goes into the records of members, sealed with the key of its person: both of `client_ip` and `user_agent`, if it is left out; `[]` for nothing.
    pub(crate) fields: Option<Vec<PersonalField>>,
}

/// Something personal about a request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PersonalField {
    /// The client's address, whole. Its network stands in the record in any case.
    ClientIp,
    /// The first 256 bytes of `User-Agent`.
    UserAgent,
}
