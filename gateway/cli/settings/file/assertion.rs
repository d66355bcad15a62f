//! What one backend is told about who asks.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::At;

/// What one backend is told about who asks.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UpstreamAssertion {
    /// The `aud` of its assertions. By default the name of the upstream.
    pub(crate) audience: Option<At<String>>,
    /// What its assertions are signed with.
    pub(crate) algorithm: AssertionAlgorithm,
    /// What ties an assertion to one request.
    pub(crate) binding: Binding,
    /// What its requests are signed with (RFC 9421). By default `hmac-sha256` if there is a `key`, and nothing if not.
    pub(crate) signature: Option<At<SignatureAlgorithm>>,
    /// The key of `hmac-sha256`, which the backend has, too, at least 32 bytes: `${file:…}` or `${env:…}`. If it is left out,
    /// it comes of `root` under `assertion`: `cloister keys derive` prints it.
    pub(crate) key: Option<At<String>>,
    /// The name of that key, which each signature tells. By default the name of the upstream.
    pub(crate) key_id: Option<At<String>>,
    /// The key that takes its place at a time. Give it to the backend before, beside the other one.
    pub(crate) next_key: Option<At<NextKey>>,
}

/// A key that takes the place of another.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NextKey {
    /// Its name, which no other key of this backend has.
    pub(crate) id: At<String>,
    /// `${file:…}` or `${env:…}`
    pub(crate) key: At<String>,
    /// From when on it signs: `2026-12-01T00:00:00Z`.
    pub(crate) from: At<String>,
}

/// What assertions are signed with.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AssertionAlgorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA over P-256: what most libraries can verify.
    #[default]
    Es256,
    /// RSA: for those that can verify nothing else. A signature costs ten times as much.
    Rs256,
}

/// What requests are signed with, in the words of RFC 9421 §6.2.2.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(crate) enum SignatureAlgorithm {
    /// A pair of the gateway's own; its public keys are at `/.well-known/cloister/signature-keys.json`.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    /// The same with Ed25519.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// A key that the backend has, too: a twentieth of the cost.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
}

/// What ties an assertion to one request.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Binding {
    /// A fresh assertion for each request, with its method and path inside.
    #[default]
    PerRequest,
    /// An assertion that says who, used again for half of its life, and an RFC 9421 signature that says this request.
    /// Needs `key` or `signature`.
    Reuse,
    /// An assertion that says who, used again for half of its life, and nothing that says this request: whoever sees one
    /// can use it for any request of that user until it expires.
    InsecureReuse,
}
