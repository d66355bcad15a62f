//! Requests and what must become of them.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use yaml::{At, Pairs};

/// A request and what must become of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct TestEntry {
    /// What it shows. The request itself if it is left out.
    pub(crate) name: Option<At<String>>,
    /// Whose token comes with it. None at all if it is left out.
    pub(crate) r#as: Option<At<AsEntry>>,
    /// `GET https://acme.example.com/api/orders`
    pub(crate) r#do: At<String>,
    /// The client's address. Lists of clients are asked only where it is given, and conditions know none where it is left out.
    pub(crate) from: Option<At<String>>,
    /// When it comes: `2026-11-27T09:30:00Z`. Conditions know no time where it is left out.
    pub(crate) now: Option<At<String>>,
    /// Header fields: those that name a tenant, that conditions ask for, or that say why.
    #[serde(default)]
    pub(crate) headers: Pairs<At<String>>,
    /// `allow`, `{ allow: <role whose grant decides> }`, `break_glass`, `{ break_glass: <role> }`, `{ upstream: <where it goes> }` or `{ deny: <reason> }`.
    pub(crate) expect: At<ExpectEntry>,
}

/// What the token of a test says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct AsEntry {
    /// The tenant. None if it is left out.
    pub(crate) tenant: Option<At<String>>,
    /// The roles, for issuers with `members: claims`.
    #[serde(default)]
    pub(crate) roles: Vec<At<String>>,
    /// The subject. `somebody` if it is left out.
    pub(crate) user: Option<At<String>>,
    /// The service that shows its certificate. Then there is no token, and nothing else stands here.
    pub(crate) service: Option<At<String>>,
    /// What the token is bound to, which the client shows. Nothing if it is left out.
    #[serde(default)]
    pub(crate) bound_to: Vec<At<String>>,
    /// How sure the issuer is (`acr`).
    pub(crate) acr: Option<At<String>>,
    /// By what means the user has proven itself (`amr`).
    #[serde(default)]
    pub(crate) amr: Vec<At<String>>,
    /// How long ago (`auth_time`): `5m`. Not said if it is left out.
    pub(crate) age: Option<At<String>>,
    /// What the token may be used for (`scope`).
    #[serde(default)]
    pub(crate) scopes: Vec<At<String>>,
    /// Its claims, by the names that they have under `claims` in cloister.yaml. A number is written in quotes, and a list with commas.
    #[serde(default)]
    pub(crate) claims: Pairs<At<String>>,
    /// The issuer. The first of the route if it is left out.
    pub(crate) issuer: Option<At<String>>,
}

/// What must become of a request.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum ExpectEntry {
    /// It is served.
    Served(AllowWord),
    /// It is served because of one role's grant or by one upstream, or refused for one reason.
    Because(BecauseEntry),
}

/// The word for a request that is served.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AllowWord {
    /// Whatever grants it.
    Allow,
    /// Though no role grants it, since it says why it must be.
    BreakGlass,
}

/// The one thing that a decision must rest on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "`allow`, `{ allow: <role> }`, `{ upstream: <name> }` or `{ deny: <reason> }`"
)]
pub(crate) struct BecauseEntry {
    /// The role whose grant decides; on a public route the route.
    pub(crate) allow: Option<At<String>>,
    /// The role that lets whoever says why, though none grants it.
    pub(crate) break_glass: Option<At<String>>,
    /// The upstream that serves it; may stand beside `allow`.
    pub(crate) upstream: Option<At<String>>,
    /// The reason: `tenant.mismatch`, `policy.denied`, … What the policy says, also of a route that is in shadow.
    pub(crate) deny: Option<At<String>>,
    /// The reason for which it would be refused, if its route were not in shadow.
    pub(crate) would_deny: Option<At<String>>,
}

impl<'de> Deserialize<'de> for ExpectEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = ExpectEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`allow`, `{ allow: <role> }`, `{ upstream: <name> }` or `{ deny: <reason> }`")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<ExpectEntry, E> {
                match word {
                    "allow" => Ok(ExpectEntry::Served(AllowWord::Allow)),
                    "break_glass" => Ok(ExpectEntry::Served(AllowWord::BreakGlass)),
                    other => Err(E::unknown_variant(other, &["allow", "break_glass"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ExpectEntry, A::Error> {
                BecauseEntry::deserialize(MapAccessDeserializer::new(map)).map(ExpectEntry::Because)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
