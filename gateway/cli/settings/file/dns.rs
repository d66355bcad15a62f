//! How the names of backends are looked up.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use terms::Span;
use yaml::At;

/// How the names of backends are looked up: first in `/etc/hosts`, then at name servers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dns {
    /// Name servers, address and port. Those of `/etc/resolv.conf` if it is left out.
    pub(crate) servers: Vec<At<String>>,
    /// The shortest time that an answer is used, whatever its TTL says.
    #[schemars(with = "String")]
    pub(crate) min_ttl: Span,
    /// The longest.
    #[schemars(with = "String")]
    pub(crate) max_ttl: Span,
    /// How long to wait for a server.
    #[schemars(with = "String")]
    pub(crate) timeout: Span,
    /// Believe answers that name this machine, its link (169.254.0.0/16 and fe80::/10) or the metadata of a cloud.
    pub(crate) insecure_special_answers: bool,
}

impl Default for Dns {
    fn default() -> Self {
        let seconds = |count| Span(Duration::from_secs(count));
        Self {
            servers: Vec::new(),
            min_ttl: seconds(5),
            max_ttl: seconds(300),
            timeout: seconds(2),
            insecure_special_answers: false,
        }
    }
}
