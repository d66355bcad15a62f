//! Proofs of possession.

use schemars::JsonSchema;
use serde::Deserialize;
use terms::Span;
use token::Algorithm;
use yaml::At;

use super::issuer::AlgorithmName;

/// How proofs are judged that clients send with tokens which are bound to a key of theirs (RFC 9449).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dpop {
    /// How they may be signed: ES256, ES384 and EdDSA if it is left out.
    #[schemars(with = "Option<Vec<AlgorithmName>>")]
    pub(crate) algorithms: Option<At<Vec<At<Algorithm>>>>,
    /// How old one may be: 60s if it is left out, 5m at most.
    #[schemars(with = "Option<String>")]
    pub(crate) max_age: Option<At<Span>>,
    /// How far ahead of ours the clock of a client may be: 5s if it is left out, 5m at most.
    #[schemars(with = "Option<String>")]
    pub(crate) leeway: Option<At<Span>>,
    /// How many are remembered, so that none is taken twice: 1000000 if it is left out.
    #[schemars(with = "Option<u32>")]
    pub(crate) remembered: Option<At<u32>>,
    /// How many of them may be of one key: 10000 if it is left out.
    #[schemars(with = "Option<u32>")]
    pub(crate) remembered_per_key: Option<At<u32>>,
    /// How long a nonce is given out: 60s if it is left out. It is taken for as long again.
    #[schemars(with = "Option<String>")]
    pub(crate) nonce_period: Option<At<Span>>,
    /// A secret that gateways share, so that each knows the nonces of the others: `${file:…}` or `${env:…}`.
    pub(crate) nonce_secret: Option<At<String>>,
}
