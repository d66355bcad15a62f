//! The database that says who belongs where.

use schemars::JsonSchema;
use serde::Deserialize;
use terms::Span;
use yaml::At;

/// The database that says who belongs to which tenant, in place of `members` in the policy files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Directory {
    /// A PostgreSQL (12 or later).
    pub(crate) postgresql: Postgresql,
}

/// Where a PostgreSQL is, and what it is asked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Postgresql {
    /// Where it is: `host:port`, or the path of its socket. Of several, the first that answers and is no standby.
    pub(crate) addresses: At<Vec<At<String>>>,
    /// The database's name.
    pub(crate) database: At<String>,
    /// The role that asks. It needs to read what the queries read, and nothing else.
    pub(crate) user: At<String>,
    /// A reference to its password.
    #[serde(default)]
    pub(crate) password: Option<At<String>>,
    /// Whose certificates are believed, in PEM. The system's roots, if it is left out.
    #[serde(default)]
    pub(crate) ca: Option<At<String>>,
    /// Connect over the network without TLS, where everybody in between reads and writes who may do what.
    #[serde(default)]
    pub(crate) insecure_plaintext: Option<At<bool>>,
    /// Connections that ask. Each carries many questions at a time. By default 4.
    #[serde(default)]
    pub(crate) connections: Option<At<u16>>,
    /// How long it may take until a connection stands. By default 2s.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) connect: Option<At<Span>>,
    /// How long one request waits at most; then it is answered with 503. By default 1s.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) wait: Option<At<Span>>,
    /// The channel on which it says what has changed (`NOTIFY`). By default `cloister`.
    #[serde(default)]
    pub(crate) channel: Option<At<String>>,
    /// Who belongs where, for issuers with `members: directory` or `union`.
    #[serde(default)]
    pub(crate) memberships: Option<At<Memberships>>,
    /// Which tenants there are, besides those in the policy files.
    #[serde(default)]
    pub(crate) tenants: Option<Tenants>,
}

/// Which tenants there are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tenants {
    /// Reads all of them. Its columns are `id` and `status`, and of these those that there are: `plan`, `region`, `issuers`,
    /// `clients_allow`, `clients_deny`, `session_max`, `mfa`, `mfa_amr`, `mfa_acr`.
    #[serde(default)]
    pub(crate) query: Option<At<String>>,
    /// How often they are read, besides when the database says that they have changed. By default 30s.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) refresh: Option<At<Span>>,
}

/// Who belongs where.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memberships {
    /// Asks for the roles of the subject `$2` in the tenant `$1`, and of which issuer, if it has `$3`.
    #[serde(default)]
    pub(crate) query: Option<At<String>>,
    /// How long roles are remembered, unless the database says that they have changed. By default 60s.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) remember: Option<At<Span>>,
    /// How long it is remembered that somebody does not belong. By default 10s.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) remember_unknown: Option<At<Span>>,
    /// How long either is while the database cannot say that something has changed. By default 1s.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) without_notice: Option<At<Span>>,
    /// How many memberships are remembered. By default 100000.
    #[serde(default)]
    pub(crate) entries: Option<At<u32>>,
}
