//! HashiCorp Vault or OpenBao, for secrets.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use terms::Span;
use yaml::At;

/// HashiCorp Vault or OpenBao, where `${vault:MOUNT/PATH#FIELD}` is to be had: a field of a secret of the KV engine, version 2.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vault {
    /// `https://host:port`; `http://` on this machine.
    pub(crate) address: At<String>,
    /// Whose certificates are believed, in PEM. The system's roots, if it is left out.
    #[serde(default)]
    pub(crate) ca: Option<At<String>>,
    /// The namespace that everything is in.
    #[serde(default)]
    pub(crate) namespace: Option<At<String>>,
    /// How we prove who we are: one of the three.
    pub(crate) auth: At<VaultAuth>,
    /// How long an answer may take; at most `30s`.
    #[serde(default = "timeout")]
    #[schemars(with = "String")]
    pub(crate) timeout: At<Span>,
    /// After which time every value is read again: `1s` to `1h`, a tenth more or less. Also on SIGHUP.
    #[serde(default = "refresh")]
    #[schemars(with = "String")]
    pub(crate) refresh: At<Span>,
}

/// How we prove who we are to Vault.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VaultAuth {
    /// A reference to a token that somebody else looks after: it is renewed, and read again when it cannot be.
    #[serde(default)]
    pub(crate) token: Option<At<String>>,
    /// As a role of machines.
    #[serde(default)]
    pub(crate) approle: Option<AppRole>,
    /// By the account of the pod.
    #[serde(default)]
    pub(crate) kubernetes: Option<Kubernetes>,
}

/// Who we are as a role of machines.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppRole {
    /// Where the method is mounted: `approle` if it is left out.
    #[serde(default)]
    pub(crate) mount: Option<String>,
    /// Which role.
    pub(crate) role_id: String,
    /// A reference to what proves it, read anew for each login.
    pub(crate) secret_id: At<String>,
}

/// Who we are by the account of the pod.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kubernetes {
    /// Where the method is mounted: `kubernetes` if it is left out.
    #[serde(default)]
    pub(crate) mount: Option<String>,
    /// Which role.
    pub(crate) role: String,
    /// The file of the account's token, read anew for each login:
    /// `/var/run/secrets/kubernetes.io/serviceaccount/token` if it is left out.
    #[serde(default)]
    pub(crate) token: Option<String>,
}

fn timeout() -> At<Span> {
    At { spot: yaml::Spot::default(), value: Span(Duration::from_secs(5)) }
}

fn refresh() -> At<Span> {
    At { spot: yaml::Spot::default(), value: Span(Duration::from_secs(60)) }
}
