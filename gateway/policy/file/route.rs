//! Routes: which requests, who may make them, where they go.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use yaml::{At, Pairs, Tried};

use super::cors::CorsEntry;
use super::echo::EchoEntry;
use super::fields::FieldsEntry;
use super::owner::OwnerEntry;
use crate::route::{Mode, OnFailure, Repeat};

/// A route: which requests, who may make them, where they go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct RouteEntry {
    /// Its name in records and metrics.
    pub(crate) id: At<String>,
    /// Which requests. Of several routes that match one request, the most specific counts.
    pub(crate) r#match: Tried<MatchEntry>,
    /// Where they go: a name under `upstreams` in cloister.yaml, or one for each tenant.
    pub(crate) upstream: At<Tried<UpstreamEntry>>,
    /// Who may make them: `none` for everybody, or issuers of tokens and the places that must name the tenant.
    #[schemars(required)]
    pub(crate) auth: Option<At<Tried<AuthEntry>>>,
    /// Which permission each method asks for; `"*"` for every other. A method without one is denied.
    pub(crate) allow: Option<At<Pairs<At<String>>>>,
    /// What must be true besides, in CEL: `now.getHours("Europe/Berlin") < 18`. What cannot be worked out lets nothing through.
    pub(crate) when: Option<At<String>>,
    /// Which parameter of the path names whose the resource is, for grants and denies `@own`.
    pub(crate) owner: Option<At<OwnerEntry>>,
    /// What becomes of requests that authorisation denies: `enforce`, they are refused; `shadow`, they pass, and the record says
    /// what would have been. As the file says, if it is left out.
    pub(crate) mode: Option<At<Tried<Mode>>>,
    /// How a client is told that it may not: 403, or 404 for routes of which it is not to learn what there is.
    #[schemars(with = "Option<DenyAsWord>")]
    pub(crate) deny_as: Option<At<u64>>,
    /// Limits, all of which must have room.
    #[serde(default)]
    pub(crate) limits: Vec<At<String>>,
    /// What one of its requests costs in limits with a `rate`. 1 if it is left out.
    #[schemars(range(min = 1))]
    pub(crate) cost: Option<At<u32>>,
    /// What is promised about the record of each request. `standard` if it is left out.
    pub(crate) audit: Option<Tried<AuditWord>>,
    /// What becomes of its requests while the audit log cannot be written. `deny` if it is left out.
    pub(crate) on_audit_failure: Option<At<Tried<OnFailure>>>,
    /// A protocol that a connection may change to. None if it is left out.
    pub(crate) upgrade: Option<Tried<UpgradeWord>>,
    /// How long its requests may take. As its upstream says, if it is left out.
    pub(crate) timeouts: Option<Tried<TimeoutsEntry>>,
    /// Which requests may be sent to the backend again if it failed: `never`, or `idempotent`, which it is if it is left out.
    pub(crate) retry: Option<Tried<Repeat>>,
    /// The longest body: `64KiB`, `10MiB`. 10MiB if it is left out.
    #[schemars(extend("pattern" = "^[0-9]+(B|KiB|MiB|GiB)$"))]
    pub(crate) max_body: Option<At<String>>,
    /// The longest body that is read whole before any backend is asked, and covered by the signature of its request with its
    /// digest (RFC 9530): `16KiB`, 64KiB at most. A longer one is refused. No body is covered if it is left out.
    #[schemars(extend("pattern" = "^[0-9]+(B|KiB)$"))]
    pub(crate) body_digest: Option<At<String>>,
    /// What is done to the fields of requests on their way to the backend. What Cloister writes stays as it is.
    pub(crate) request_headers: Option<Tried<FieldsEntry>>,
    /// What is done to the fields of responses on their way to clients. It wins over `response` in cloister.yaml.
    pub(crate) response_headers: Option<Tried<FieldsEntry>>,
    /// Which pages of other origins in browsers may ask. None if it is left out.
    pub(crate) cors: Option<Tried<CorsEntry>>,
    /// Where responses name their tenant. Not looked at if it is left out.
    pub(crate) echo: Option<At<Tried<EchoEntry>>>,
}

/// How long requests may take.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct TimeoutsEntry {
    /// Until a connection stands, without TLS. `5s`, `250ms`.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub(crate) connect: Option<At<String>>,
    /// Until TLS to the backend stands, from there on.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub(crate) tls: Option<At<String>>,
    /// Until the head of the response is there, from the end of the request on. At most `read`.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub(crate) first_byte: Option<At<String>>,
    /// Until the next bytes of the response: the first ones, and those after each silence.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub(crate) read: Option<At<String>>,
    /// Until the end of the response, from the arrival of the request on, over all attempts. Streams have no such time.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub(crate) request: Option<At<String>>,
}

/// Which requests a route is for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct MatchEntry {
    /// `api.example.com`, `{tenant}.example.com` (the first label is the tenant) or `*`.
    pub(crate) host: At<String>,
    /// `/api/orders/{id}` (one segment), `/files/**` (everything below, and `/files` itself).
    pub(crate) path: At<String>,
    /// Methods. All of them if it is left out.
    pub(crate) methods: Option<At<Vec<At<String>>>>,
}

/// Where the requests of a route go.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum UpstreamEntry {
    /// All to one.
    One(String),
    /// Each tenant's to its own.
    ByTenant(ByTenantEntry),
}

/// Each tenant's to its own: the tenant that was verified decides.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct ByTenantEntry {
    /// Tenant → a name under `upstreams` in cloister.yaml.
    pub(crate) by_tenant: At<Pairs<At<String>>>,
    /// Where tenants go that are not named. If it is left out, they are refused with `tenant.unplaced`.
    pub(crate) otherwise: Option<At<String>>,
}

/// Who may use a route.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum AuthEntry {
    /// Everybody.
    Nobody(NoneWord),
    /// Callers with a token.
    Guarded(Box<GuardEntry>),
}

/// The word for a public route.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NoneWord {
    /// No token is asked for, and none is looked at.
    None,
}

/// Callers with a token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct GuardEntry {
    /// Whose tokens: names under `issuers` in cloister.yaml.
    pub(crate) issuers: Option<At<Vec<At<String>>>>,
    /// Whether API keys are taken as well: in the field `X-Api-Key`. No, if it is left out.
    pub(crate) api_keys: Option<At<bool>>,
    /// In place of tokens: who must vouch for the certificates of services. Names under `authorities` in cloister.yaml.
    pub(crate) authorities: Option<At<Vec<At<String>>>>,
    /// What tokens must be bound to: at least one of these. Whatever they say, if it is left out.
    pub(crate) bound_to: Option<At<Vec<At<String>>>>,
    /// Whether proofs that come with tokens must have a nonce of ours (RFC 9449 §9). No, if it is left out.
    pub(crate) dpop_nonce: Option<At<bool>>,
    /// How sure the issuer must be of the user: one of these for `acr` (RFC 9470). However sure, if it is left out.
    pub(crate) acr: Option<At<Vec<At<String>>>>,
    /// By what means the user must have proven itself (`amr`, RFC 8176). By any, if it is left out.
    pub(crate) amr: Option<At<MeansEntry>>,
    /// How long ago at most (`auth_time`): `10m`. However long, if it is left out.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub(crate) max_age: Option<At<String>>,
    /// What must name the tenant, and the same one: `token`, `certificate`, `host`, `path`, `header:X-Org`.
    pub(crate) tenant_from: At<Vec<At<String>>>,
}

/// Means by which a user proves itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct MeansEntry {
    /// One of these at least.
    #[serde(default)]
    pub(crate) any: Vec<At<String>>,
    /// All of these.
    #[serde(default)]
    pub(crate) all: Vec<At<String>>,
}

/// What is promised about the record of a request.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuditWord {
    /// Once a client has seen the first byte of the answer, the record survives the end of the process.
    #[default]
    Standard,
    /// The decision is on disk before the request is forwarded.
    Strict,
}

/// How a client is told that it may not.
#[derive(Debug, JsonSchema)]
#[schemars(extend("type" = "integer", "enum" = [403, 404]))]
pub(crate) struct DenyAsWord;

/// A protocol that a connection may change to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UpgradeWord {
    /// RFC 6455.
    Websocket,
}

impl<'de> Deserialize<'de> for UpstreamEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = UpstreamEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an upstream or a mapping with `by_tenant`")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<UpstreamEntry, E> {
                Ok(UpstreamEntry::One(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<UpstreamEntry, A::Error> {
                ByTenantEntry::deserialize(MapAccessDeserializer::new(map)).map(UpstreamEntry::ByTenant)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for AuthEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = AuthEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`none` or a mapping with `issuers` or `authorities`, and `tenant_from`")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<AuthEntry, E> {
                match word {
                    "none" => Ok(AuthEntry::Nobody(NoneWord::None)),
                    other => Err(E::unknown_variant(other, &["none"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AuthEntry, A::Error> {
                let guard = GuardEntry::deserialize(MapAccessDeserializer::new(map))?;
                Ok(AuthEntry::Guarded(Box::new(guard)))
            }
        }

        deserializer.deserialize_any(Either)
    }
}
