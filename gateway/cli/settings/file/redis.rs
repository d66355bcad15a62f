//! Redis or Valkey, for several gateways.

use schemars::JsonSchema;
use serde::Deserialize;
use terms::Span;
use yaml::At;

/// Redis or Valkey (6.0 or later), through which several gateways tell each other which tokens were taken back, and in which they
/// count together what limits are about. One gateway needs none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redis {
    /// `rediss://host:port/database`; `redis://` on this machine.
    #[serde(default)]
    pub(crate) url: Option<At<String>>,
    /// In place of `url`: who knows where it is.
    #[serde(default)]
    pub(crate) sentinels: Option<Sentinels>,
    /// In place of `url`: some nodes of a cluster, which know the others.
    #[serde(default)]
    pub(crate) cluster: Option<At<Vec<At<String>>>>,
    /// Who we are there (ACL). The default user, if it is left out.
    #[serde(default)]
    pub(crate) user: Option<At<String>>,
    /// A reference to the password.
    #[serde(default)]
    pub(crate) password: Option<At<String>>,
    /// Whose certificates are believed, in PEM. The system's roots, if it is left out.
    #[serde(default)]
    pub(crate) ca: Option<At<String>>,
    /// Our own certificate, then those between it and its root, in PEM.
    #[serde(default)]
    pub(crate) certificate: Option<At<String>>,
    /// Its private key, in PEM; readable for its owner alone.
    #[serde(default)]
    pub(crate) key: Option<At<String>>,
    /// What every key of ours begins with. Gateways with the same prefix belong together.
    #[serde(default)]
    pub(crate) prefix: Option<At<String>>,
    /// Use `redis://` over the network, too, where everybody in between reads and writes what is said.
    #[serde(default)]
    pub(crate) insecure_plaintext: bool,
    /// Limits are counted there, by all gateways together. Left out, each gateway counts for itself.
    #[serde(default)]
    pub(crate) limits: Option<SharedLimits>,
}

/// Sentinels, which know where the master is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sentinels {
    /// What they call it.
    pub(crate) master: At<String>,
    /// Where they are: `rediss://host:26379`. The master is reached as they are, over TLS or not.
    pub(crate) urls: At<Vec<At<String>>>,
}

/// How gateways count together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SharedLimits {
    /// How many gateways there are. While the store cannot be asked, each gives this part of what a limit has.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) gateways: At<u16>,
    /// How long one request waits for the store at most. By default 10ms.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) timeout: Option<At<Span>>,
}
