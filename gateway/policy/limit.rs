use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;
use terms::{LimitId, Place, Rate};

/// A limit as the files define it. `limit` keeps the counts.
#[derive(Clone, Debug)]
pub struct LimitRule {
    /// What the files call it.
    pub id: LimitId,
    /// How fast a bucket refills.
    pub rate: Rate,
    /// How many requests a full bucket holds.
    pub burst: NonZeroU32,
    /// Who shares a bucket: requests that are the same in all of these. Never empty, none twice.
    pub key: Vec<KeyPart>,
    /// Where it stands.
    pub place: Place,
}

/// One thing that requests must have in common to share a bucket.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum KeyPart {
    /// The address of the client.
    ClientIp,
    /// The route.
    Route,
    /// The tenant. Not on a public route.
    Tenant,
    /// The subject of the token, within its issuer. Not on a public route.
    User,
}

impl KeyPart {
    /// Whether it is known only once somebody has shown a token.
    pub(crate) fn needs_caller(self) -> bool {
        match self {
            Self::ClientIp | Self::Route => false,
            Self::Tenant | Self::User => true,
        }
    }
}
