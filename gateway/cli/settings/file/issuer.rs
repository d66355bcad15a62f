//! Who issues tokens.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use terms::Span;
use token::Algorithm;
use yaml::At;

/// Who issues tokens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Issuer {
    /// The `iss` of its tokens, to the letter.
    pub(crate) issuer: At<String>,
    /// The `aud` values of which a token must have at least one.
    pub(crate) audiences: Vec<String>,
    /// The signature algorithms that it uses.
    #[schemars(with = "Vec<AlgorithmName>")]
    pub(crate) algorithms: Vec<At<Algorithm>>,
    /// Where its keys are.
    pub(crate) jwks: Jwks,
    /// The claim that names the tenant.
    #[serde(default = "tenant_claim")]
    pub(crate) tenant_claim: String,
    /// The claim that names the roles.
    #[serde(default = "roles_claim")]
    pub(crate) roles_claim: String,
    /// Who says which tenants and roles a subject has.
    #[serde(default)]
    pub(crate) members: Members,
    /// How far its clock may differ from ours; at most 5m.
    #[serde(default = "leeway")]
    #[schemars(with = "String")]
    pub(crate) leeway: Span,
}

fn tenant_claim() -> String {
    "tenant_id".into()
}

fn roles_claim() -> String {
    "roles".into()
}

const fn leeway() -> Span {
    Span(Duration::from_secs(30))
}

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). There is no `none` and nothing with a shared secret.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "these are the registered names, for the schema")]
pub(crate) enum AlgorithmName {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// Where an issuer's keys are: a `file` or a `url`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jwks {
    /// A file with a JWK Set (RFC 7517 §5); read again when it changes.
    #[serde(default)]
    pub(crate) file: Option<At<String>>,
    /// An https URL; http only on loopback.
    #[serde(default)]
    pub(crate) url: Option<At<String>>,
    /// How often to fetch.
    #[serde(default = "refresh")]
    #[schemars(with = "String")]
    pub(crate) refresh: Span,
    /// How old keys may grow while the issuer cannot be reached.
    #[serde(default = "max_stale")]
    #[schemars(with = "String")]
    pub(crate) max_stale: Span,
}

const fn refresh() -> Span {
    Span(Duration::from_secs(600))
}

const fn max_stale() -> Span {
    Span(Duration::from_secs(3_600))
}

/// Who says which tenants and roles a subject has.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Members {
    /// The claims of the token.
    #[default]
    Claims,
    /// The `members:` of the policy files; roles in the token count for nothing.
    Directory,
}
