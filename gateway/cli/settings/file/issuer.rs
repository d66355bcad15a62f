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
    /// The `iss` of its tokens, to the letter. With `{tenant}` in it, an issuer for each tenant of the policies, which
    /// speaks for that tenant alone: `https://idp.example/realms/{tenant}`. Its keys are first fetched when its first token
    /// comes; `jwks` has `{tenant}` in it, too, or `discovery`.
    pub(crate) issuer: At<String>,
    /// Of an `issuer` with `{tenant}`: the most tenants whose issuers are loaded at once; 10000 if it is left out. Beyond
    /// that the one gives way that was not used for the longest time. While all were used within a minute, tokens of
    /// others get 503.
    #[serde(default)]
    pub(crate) max_tenants: Option<At<u32>>,
    /// The `aud` values of which a token must have at least one.
    pub(crate) audiences: Vec<String>,
    /// The signature algorithms that it uses. With `jwks`, and only then.
    #[serde(default)]
    #[schemars(with = "Vec<AlgorithmName>")]
    pub(crate) algorithms: Vec<At<Algorithm>>,
    /// Where its keys are. Left out, it is asked about each of its tokens.
    #[serde(default)]
    pub(crate) jwks: Option<Jwks>,
    /// How it is asked about tokens that are no JWTs (RFC 7662). A route accepts one such issuer at most.
    #[serde(default)]
    pub(crate) introspection: Option<Introspection>,
    /// The claim that names the tenant: `tenant_id` if it is left out. `/org/id` leads into a claim (RFC 6901).
    pub(crate) tenant_claim: Option<At<String>>,
    /// In its place, the claim that lists all tenants of a user: a list of names, or an object from names to the roles there.
    /// Host, path or header of a request say which one it is about.
    #[serde(default)]
    pub(crate) tenants_claim: Option<At<String>>,
    /// The claim that names the roles: `roles` if it is left out. A list, or a text with spaces in between;
    /// `/realm_access/roles` leads into a claim, `/orgs/*/role` to every element of a list.
    pub(crate) roles_claim: Option<At<String>>,
    /// What its tokens have to be: any JWT, or access tokens of RFC 9068.
    #[serde(default)]
    pub(crate) profile: Profile,
    /// The longest that a token may be good for, from `iat` to `exp`. As long as it says, if it is left out.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) max_lifetime: Option<At<Span>>,
    /// Who we are in what it says about sessions that have ended: back-channel logout and security events, at `/notices` of
    /// the admin listener. Nothing is taken from it, if it is left out.
    #[serde(default)]
    pub(crate) notices: Option<Notices>,
    /// Who says which tenants and roles a subject has.
    #[serde(default)]
    pub(crate) members: Members,
    /// The tenants that it may speak for. All of them, if it is left out.
    #[serde(default)]
    pub(crate) tenants: Option<At<Vec<At<String>>>>,
    /// What its tokens must be bound to: at least one of these. Whatever they say, if it is left out.
    #[serde(default)]
    pub(crate) bound_to: Option<At<Vec<At<String>>>>,
    /// Whether proofs that come with its tokens must have a nonce of ours (RFC 9449 §9).
    #[serde(default)]
    pub(crate) dpop_nonce: bool,
    /// How far its clock may differ from ours; at most 5m.
    #[serde(default = "leeway")]
    #[schemars(with = "String")]
    pub(crate) leeway: Span,
}

const fn leeway() -> Span {
    Span(Duration::from_secs(30))
}

/// What an issuer says about sessions that have ended.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notices {
    /// Who we are there: the client id, or the audience of the stream.
    pub(crate) audiences: Vec<At<String>>,
    /// The most revocations that it may have at a time; where each tenant has an issuer, each of these. What does not fit takes
    /// back all tokens that it has issued so far.
    #[serde(default = "max_revocations")]
    pub(crate) max_revocations: u32,
}

const fn max_revocations() -> u32 {
    10_000
}

/// What the tokens of an issuer have to be, besides signed.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
pub(crate) enum Profile {
    /// JWTs that do not say that they are something else.
    #[default]
    #[serde(rename = "jwt")]
    Jwt,
    /// Access tokens of RFC 9068: of the type `at+jwt`, with `client_id`, `iat` and `jti`.
    #[serde(rename = "at+jwt")]
    AtJwt,
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

/// Where an issuer's keys are: a `file`, a `url`, or where its `discovery` says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jwks {
    /// A file with a JWK Set (RFC 7517 §5); read again when it changes.
    #[serde(default)]
    pub(crate) file: Option<At<String>>,
    /// An https URL; http only on loopback.
    #[serde(default)]
    pub(crate) url: Option<At<String>>,
    /// The issuer's own document says where they are, below its `iss`.
    #[serde(default)]
    pub(crate) discovery: Option<At<Discovery>>,
    /// Whether they may be fetched from private networks.
    #[serde(default)]
    pub(crate) private_addresses: bool,
    /// How often to fetch.
    #[serde(default = "refresh")]
    #[schemars(with = "String")]
    pub(crate) refresh: Span,
    /// How old keys may grow while the issuer cannot be reached.
    #[serde(default = "max_stale")]
    #[schemars(with = "String")]
    pub(crate) max_stale: Span,
}

pub(crate) const fn refresh() -> Span {
    Span(Duration::from_secs(600))
}

pub(crate) const fn max_stale() -> Span {
    Span(Duration::from_secs(3_600))
}

/// How an issuer is asked about tokens (RFC 7662).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Introspection {
    /// An https URL; http only on loopback.
    pub(crate) url: At<String>,
    /// Our name at the issuer.
    pub(crate) client_id: String,
    /// Our secret there: `${file:/path}` or `${env:NAME}`.
    #[serde(default)]
    pub(crate) client_secret: Option<At<String>>,
    /// With `private_key_jwt`, our private key in its place, a reference as well: PEM, or a JWK of P-256 or Ed25519. It signs
    /// ES256, EdDSA or RS256, as it can.
    #[serde(default)]
    pub(crate) client_key: Option<At<String>>,
    /// What the key is called at the issuer (`kid`); as its JWK says, if it is left out.
    #[serde(default)]
    pub(crate) client_key_id: Option<At<String>>,
    /// With `private_key_jwt`, what the issuer calls itself there (`aud`): its `iss`, if it is left out. Some want the address of
    /// their token endpoint.
    #[serde(default)]
    pub(crate) audience: Option<At<String>>,
    /// How we say both.
    #[serde(default)]
    pub(crate) authentication: Option<At<Authentication>>,
    /// Whether its name may stand for addresses of private networks.
    #[serde(default)]
    pub(crate) private_addresses: bool,
    /// How long its word that a token is good is enough; at most 5m, and never beyond `exp`. `0s`: it is asked each time.
    #[serde(default = "remember")]
    #[schemars(with = "String")]
    pub(crate) remember: Span,
    /// How long an answer may take; at most 10s. Then the request gets 503.
    #[serde(default = "timeout")]
    #[schemars(with = "String")]
    pub(crate) timeout: Span,
    /// About how many tokens it is asked at once; at most 1024. Four times as many wait for a place, and others get 503.
    #[serde(default = "concurrency")]
    pub(crate) concurrency: u16,
}

const fn remember() -> Span {
    Span(Duration::from_secs(30))
}

const fn timeout() -> Span {
    Span(Duration::from_secs(2))
}

const fn concurrency() -> u16 {
    64
}

/// How we prove to an issuer who we are.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Authentication {
    /// By the secret, in the field `Authorization`.
    #[default]
    ClientSecretBasic,
    /// By the secret, in the form.
    ClientSecretPost,
    /// By what we sign with a key (RFC 7523): nothing that is secret leaves us.
    PrivateKeyJwt,
}

/// Which document says where an issuer's keys are.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Discovery {
    /// `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0).
    Oidc,
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
    /// Both: whom one of them knows is a member, with the roles of both.
    Union,
}
