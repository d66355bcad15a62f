//! One policy file as it is written. Text is checked in `compile`, where every mistake is noted and none ends the rest.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use terms::Findings;

use crate::limit::KeyPart;
use crate::route::Promise;
use yaml::{At, Named, Node, Pairs, Tried};

/// A policy file: tenants, their members, roles, limits, routes and tests. Every section may stand in any file, and all
/// files share their names.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "policy", extend("additionalProperties" = false))]
pub(crate) struct File {
    /// Limits by name. A route lists those that count for it.
    #[schemars(with = "Option<Pairs<LimitEntry>>")]
    pub(crate) limits: Vec<Named<LimitEntry>>,
    /// The directory: tenant → subject → roles. It counts for issuers with `members: directory`.
    #[schemars(with = "Option<Pairs<Pairs<Vec<At<String>>>>>")]
    pub(crate) members: Vec<Named<Pairs<Vec<At<String>>>>>,
    /// Roles by name.
    #[schemars(with = "Option<Pairs<RoleEntry>>")]
    pub(crate) roles: Vec<Named<RoleEntry>>,
    /// Routes. What no route matches is refused.
    #[schemars(with = "Option<Vec<RouteEntry>>")]
    pub(crate) routes: Vec<At<RouteEntry>>,
    /// Tenants by name (a DNS label).
    #[schemars(with = "Option<Pairs<TenantEntry>>")]
    pub(crate) tenants: Vec<Named<TenantEntry>>,
    /// Requests and what must become of them. Files whose tests fail are not used.
    #[schemars(with = "Option<Vec<TestEntry>>")]
    pub(crate) tests: Vec<At<TestEntry>>,
}

/// A tenant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct TenantEntry {
    /// Whether it is served.
    pub(crate) status: Tried<StatusWord>,
}

/// Whether a tenant is served.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StatusWord {
    /// Served.
    Active,
    /// Every request for it is refused.
    Suspended,
}

/// A role: what its members may do, and what they may not whatever their other roles say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct RoleEntry {
    /// Roles whose grants and denies this one has too.
    #[serde(default)]
    pub(crate) inherits: Vec<At<String>>,
    /// What it may do: `resource:verb`; `*` for a whole half.
    #[serde(default)]
    pub(crate) allow: Vec<At<String>>,
    /// What it may never do. A deny wins over every allow of every role.
    #[serde(default)]
    pub(crate) deny: Vec<At<String>>,
}

/// A limit: a bucket per key that refills at a steady rate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct LimitEntry {
    /// How fast the bucket refills: `20/s`, `600/m`, `5000/h`, `100000/d`.
    #[schemars(extend("pattern" = "^[0-9]+/[smhd]$"))]
    pub(crate) rate: At<String>,
    /// How many requests a full bucket holds.
    #[schemars(range(min = 1))]
    pub(crate) burst: At<u32>,
    /// Who shares a bucket: requests that are the same in all of these.
    #[schemars(length(min = 1))]
    pub(crate) key: At<Vec<At<Tried<KeyPart>>>>,
}

/// A route: which requests, who may make them, where they go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct RouteEntry {
    /// Its name in records and metrics.
    pub(crate) id: At<String>,
    /// Which requests. Of several routes that match one request, the most specific counts.
    pub(crate) r#match: Tried<MatchEntry>,
    /// Where they go: a name under `upstreams` in cloister.yaml.
    pub(crate) upstream: At<String>,
    /// Who may make them: `none` for everybody, or issuers of tokens and the places that must name the tenant.
    #[schemars(required)]
    pub(crate) auth: Option<At<Tried<AuthEntry>>>,
    /// Which permission each method asks for; `"*"` for every other. A method without one is denied.
    pub(crate) allow: Option<At<Pairs<At<String>>>>,
    /// Limits, all of which must have room.
    #[serde(default)]
    pub(crate) limits: Vec<At<String>>,
    /// What is promised about the record of each request. `standard` if it is left out.
    pub(crate) audit: Option<Tried<Promise>>,
    /// A protocol that a connection may change to. None if it is left out.
    pub(crate) upgrade: Option<Tried<UpgradeWord>>,
    /// The longest body: `64KiB`, `10MiB`. 10MiB if it is left out.
    #[schemars(extend("pattern" = "^[0-9]+(B|KiB|MiB|GiB)$"))]
    pub(crate) max_body: Option<At<String>>,
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

/// Who may use a route.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum AuthEntry {
    /// Everybody.
    Nobody(NoneWord),
    /// Callers with a token.
    Guarded(GuardEntry),
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
    pub(crate) issuers: At<Vec<At<String>>>,
    /// What must name the tenant, and the same one: `token`, `host`, `path`, `header:X-Org`.
    pub(crate) tenant_from: At<Vec<At<String>>>,
}

/// A protocol that a connection may change to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UpgradeWord {
    /// RFC 6455.
    Websocket,
}

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
    /// Header fields that name a tenant.
    #[serde(default)]
    pub(crate) headers: Pairs<At<String>>,
    /// `allow`, `{ allow: <role whose grant decides> }` or `{ deny: <reason> }`.
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
    /// The issuer. The first of the route if it is left out.
    pub(crate) issuer: Option<At<String>>,
}

/// What must become of a request.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum ExpectEntry {
    /// It is served.
    Served(AllowWord),
    /// It is served because of one role's grant, or refused for one reason.
    Because(BecauseEntry),
}

/// The word for a request that is served.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AllowWord {
    /// Whatever grants it.
    Allow,
}

/// The one thing that a decision must rest on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "`allow`, `{ allow: <role> }` or `{ deny: <reason> }`")]
pub(crate) struct BecauseEntry {
    /// The role whose grant decides; on a public route the route.
    pub(crate) allow: Option<At<String>>,
    /// The reason: `tenant.mismatch`, `policy.denied`, …
    pub(crate) deny: Option<At<String>>,
}

impl File {
    /// The names of the sections, as [`File::read`] knows them.
    pub(crate) const SECTIONS: [&str; 6] = ["limits", "members", "roles", "routes", "tenants", "tests"];

    /// Reads every section of a file, and of each section every entry that can be read.
    pub(crate) fn read(file: &Arc<str>, node: &Node, findings: &mut Findings) -> Self {
        let mut read = Self::default();
        for (spot, section, value) in yaml::sections("a policy file", file, node, &Self::SECTIONS, findings) {
            match section {
                "limits" => read.limits = yaml::named(file, value, findings),
                "members" => read.members = yaml::named(file, value, findings),
                "roles" => read.roles = yaml::named(file, value, findings),
                "routes" => read.routes = yaml::listed(file, value, findings),
                "tenants" => read.tenants = yaml::named(file, value, findings),
                "tests" => read.tests = yaml::listed(file, value, findings),
                unknown => findings.push(yaml::unknown_section(file, spot, unknown, &Self::SECTIONS)),
            }
        }
        read
    }
}

impl<'de> Deserialize<'de> for AuthEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = AuthEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`none` or a mapping with `issuers` and `tenant_from`")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<AuthEntry, E> {
                match word {
                    "none" => Ok(AuthEntry::Nobody(NoneWord::None)),
                    other => Err(E::unknown_variant(other, &["none"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AuthEntry, A::Error> {
                GuardEntry::deserialize(MapAccessDeserializer::new(map)).map(AuthEntry::Guarded)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for ExpectEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = ExpectEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`allow`, `{ allow: <role> }` or `{ deny: <reason> }`")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<ExpectEntry, E> {
                match word {
                    "allow" => Ok(ExpectEntry::Served(AllowWord::Allow)),
                    other => Err(E::unknown_variant(other, &["allow"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ExpectEntry, A::Error> {
                BecauseEntry::deserialize(MapAccessDeserializer::new(map)).map(ExpectEntry::Because)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
