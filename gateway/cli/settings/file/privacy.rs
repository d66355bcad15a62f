//! What the audit log holds of persons.

use schemars::JsonSchema;
use serde::Deserialize;
use terms::Span;
use yaml::At;

/// What the audit log holds of persons. Each member of a tenant has a name there that was made by chance, and a key of its own; both stand in the subject vault, in the state folder, until `cloister privacy` destroys them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Privacy {
    /// A reference to a secret of at least 32 bytes, of which the keys come that open the vault. Made and kept beside the vault, as `subjects.key`, if it is left out: then a copy of the state folder opens it.
    pub(crate) root: Option<At<String>>,
    /// A reference to the root that comes in the place of `root`: give both, start each gateway, and run `cloister privacy rotate-root`. Then this is `root`.
    pub(crate) next_root: Option<At<String>>,
    /// What is personal and goes into the records of members, sealed with the key of its person: both of `client_ip` and `user_agent`, if it is left out; `[]` for nothing.
    pub(crate) fields: Option<Vec<PersonalField>>,
    /// A PostgreSQL (14 or later) in which several gateways have their subject vault in common: config/postgresql/subjects.sql makes it. A file in the state folder, if it is left out.
    pub(crate) postgresql: Option<At<VaultInPostgresql>>,
}

/// Where the PostgreSQL of a subject vault is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VaultInPostgresql {
    /// Where it is: `host:port`, or the path of its socket. Of several, the first that answers and is no standby.
    pub(crate) addresses: At<Vec<At<String>>>,
    /// The database's name.
    pub(crate) database: At<String>,
    /// The role that reads and writes rows: `cloister_subjects` if it is left out.
    #[serde(default)]
    pub(crate) user: Option<At<String>>,
    /// A reference to its password.
    #[serde(default)]
    pub(crate) password: Option<At<String>>,
    /// Whose certificates are believed, in PEM. The system's roots, if it is left out.
    #[serde(default)]
    pub(crate) ca: Option<At<String>>,
    /// Connect over the network without TLS, where everybody in between can change who is on record as whom.
    #[serde(default)]
    pub(crate) insecure_plaintext: Option<At<bool>>,
    /// How long it may take until a connection stands: `2s` if it is left out, from 100ms to 10s.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) connect: Option<At<Span>>,
    /// How long one question may take: `1s` if it is left out, from 100ms to 10s.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) wait: Option<At<Span>>,
    /// How long persons who are remembered are served while it does not answer: `1s` if it is left out, from 500ms to 5m. An erasure that this gateway cannot hear of is in force after that.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) without_answer: Option<At<Span>>,
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
