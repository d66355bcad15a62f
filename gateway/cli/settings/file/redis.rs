//! Redis or Valkey, for several gateways.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::At;

/// Redis or Valkey (5.0 or later), through which several gateways tell each other which tokens were taken back. One gateway needs none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redis {
    /// `rediss://host:port/database`; `redis://` on this machine.
    pub(crate) url: At<String>,
    /// Who we are there (ACL). The default user, if it is left out.
    #[serde(default)]
    pub(crate) user: Option<At<String>>,
    /// A reference to the password.
    #[serde(default)]
    pub(crate) password: Option<At<String>>,
    /// Whose certificates are believed, in PEM. The system's roots, if it is left out.
    #[serde(default)]
    pub(crate) ca: Option<At<String>>,
    /// What every key of ours begins with. Gateways with the same prefix belong together.
    #[serde(default)]
    pub(crate) prefix: Option<At<String>>,
    /// Use `redis://` over the network, too, where everybody in between reads and writes what is said.
    #[serde(default)]
    pub(crate) insecure_plaintext: bool,
}
