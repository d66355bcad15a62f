//! One policy file as it is written. Text is checked in `compile`, where every mistake is noted and none ends the rest.

mod cors;
mod echo;
mod fields;
mod glass;
mod grant;
mod limit;
mod matrix;
mod owner;
mod route;
mod test;

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use terms::Findings;
use yaml::{At, Named, Node, Pairs, Tried};

use crate::route::Mode;

pub(crate) use cors::CorsEntry;
pub(crate) use echo::EchoEntry;
pub(crate) use fields::FieldsEntry;
pub(crate) use glass::{BreakGlassEntry, JustificationEntry};
pub(crate) use grant::GrantEntry;
pub(crate) use limit::{AmountEntry, LimitEntry, PeriodWord, PlanEntry, ScopeWord};
pub(crate) use matrix::{MatrixEntry, WhoEntry};
pub(crate) use owner::OwnerEntry;
pub(crate) use route::{
    AuditWord, AuthEntry, ByTenantEntry, GuardEntry, MatchEntry, MeansEntry, RouteEntry, TimeoutsEntry, UpgradeWord,
    UpstreamEntry,
};
pub(crate) use test::{AllowWord, AsEntry, BecauseEntry, ExpectEntry, TestEntry};

/// A policy file: tenants, their members, roles, limits, routes and tests. Every section may stand in any file, and all
/// files share their names.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "policy", extend("additionalProperties" = false))]
pub(crate) struct File {
    /// Limits that count every request by its address, before anything else is spent on it. Their key is `client_ip`.
    #[schemars(with = "Option<Vec<At<String>>>")]
    pub(crate) arrival: Vec<At<String>>,
    /// What tenants may give to roles of their own at most: `resource:verb`, with `*` for a whole half. Nothing if it is left out.
    #[schemars(with = "Option<Vec<String>>")]
    pub(crate) delegated: Vec<At<String>>,
    /// Limits by name. A route lists those that count for it.
    #[schemars(with = "Option<Pairs<LimitEntry>>")]
    pub(crate) limits: Vec<Named<LimitEntry>>,
    /// Tables of requests and of what must become of them, for several who ask. Files whose tests fail are not used.
    #[schemars(with = "Option<Vec<MatrixEntry>>")]
    pub(crate) matrices: Vec<At<MatrixEntry>>,
    /// The directory: tenant → subject → roles. It counts for issuers with `members: directory`.
    #[schemars(with = "Option<Pairs<Pairs<Vec<At<String>>>>>")]
    pub(crate) members: Vec<Named<Pairs<Vec<At<String>>>>>,
    /// What becomes of requests that authorisation denies, on the routes of this file. `enforce` if it is left out.
    #[schemars(with = "Option<Mode>")]
    pub(crate) mode: Option<At<Tried<Mode>>>,
    /// Plans by name: how much of which limit their tenants have, and their weight. Limits that are not named here have their
    /// own numbers.
    #[schemars(with = "Option<Pairs<PlanEntry>>")]
    pub(crate) plans: Vec<Named<PlanEntry>>,
    /// Roles by name.
    #[schemars(with = "Option<Pairs<RoleEntry>>")]
    pub(crate) roles: Vec<Named<RoleEntry>>,
    /// Tokens that are taken back before their time, at once.
    #[schemars(with = "Option<Vec<RevokedEntry>>")]
    pub(crate) revoked: Vec<At<RevokedEntry>>,
    /// Routes. What no route matches is refused.
    #[schemars(with = "Option<Vec<RouteEntry>>")]
    pub(crate) routes: Vec<At<RouteEntry>>,
    /// Services by name: programs that prove themselves by a certificate.
    #[schemars(with = "Option<Pairs<ServiceEntry>>")]
    pub(crate) services: Vec<Named<ServiceEntry>>,
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
    /// From which addresses. From everywhere if it is left out.
    #[serde(default)]
    pub(crate) clients: Option<ClientsEntry>,
    /// Who may speak for it: issuers of tokens, and authorities over the certificates of services. Those that routes accept,
    /// if it is left out.
    #[serde(default)]
    pub(crate) issuers: Option<At<Vec<At<String>>>>,
    /// Roles of its own by name, within what is `delegated`. They count for its members alone.
    #[serde(default)]
    pub(crate) roles: Pairs<Tried<RoleEntry>>,
    /// What the names are worth that tokens of its members have for roles: a name, and roles for all or of its own, within what is
    /// `delegated`. Then no other name of a token counts for it. They are those roles, if it is left out.
    #[serde(default)]
    pub(crate) role_bindings: Option<Pairs<Vec<At<String>>>>,
    /// What it has bought: a name under `plans`, if there are any.
    #[serde(default)]
    pub(crate) plan: Option<At<String>>,
    /// How much of which limit it has, whatever its plan.
    #[serde(default)]
    pub(crate) limits: Pairs<Tried<AmountEntry>>,
    /// How much of what is short it gets beside other tenants, whatever its plan: from 1 to 1000.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1, max = 1000))]
    pub(crate) weight: Option<At<Tried<u32>>>,
    /// Where it is at home.
    #[serde(default)]
    pub(crate) region: Option<At<String>>,
    /// Whose days and months its quotas are of: `Europe/Berlin`. Those of UTC, if it is left out.
    #[serde(default)]
    pub(crate) time_zone: Option<At<String>>,
    /// How long records of it are kept: a class of `audit.retention.classes`, or `default`. Without it, the class of its plan; the
    /// default one, if that has none.
    #[serde(default)]
    pub(crate) retention: Option<At<String>>,
    /// The longest that a session of a member's may last, since `auth_time`, or since `iat` where that is not said: `8h`. As long
    /// as tokens say, if it is left out.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub(crate) session_max: Option<At<String>>,
    /// That its members prove themselves by more than one factor: `required`, or by what that is known. Not asked for, if it is
    /// left out.
    #[serde(default)]
    pub(crate) mfa: Option<At<Tried<MfaEntry>>>,
}

/// That members prove themselves by more than one factor.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum MfaEntry {
    /// `mfa` in `amr`.
    Required(RequiredWord),
    /// One of these.
    By(MfaMarksEntry),
}

/// The word for what must be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RequiredWord {
    /// It must be.
    Required,
}

/// By what more than one factor is known: a value of either kind.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct MfaMarksEntry {
    /// One of these in `amr`.
    #[serde(default)]
    pub(crate) amr: Vec<At<String>>,
    /// One of these for `acr`.
    #[serde(default)]
    pub(crate) acr: Vec<At<String>>,
}

impl<'de> Deserialize<'de> for MfaEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = MfaEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`required` or a mapping with `amr` or `acr`")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<MfaEntry, E> {
                match word {
                    "required" => Ok(MfaEntry::Required(RequiredWord::Required)),
                    other => Err(E::unknown_variant(other, &["required"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MfaEntry, A::Error> {
                MfaMarksEntry::deserialize(MapAccessDeserializer::new(map)).map(MfaEntry::By)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// From which addresses the members of a tenant are served. A deny wins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct ClientsEntry {
    /// From these networks alone.
    #[serde(default)]
    pub(crate) allow: Option<At<Vec<At<String>>>>,
    /// From these networks never.
    #[serde(default)]
    pub(crate) deny: Vec<At<String>>,
}

/// Whether a tenant is served.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StatusWord {
    /// Served.
    Active,
    /// Every request for it is refused.
    Suspended,
    /// No more: refused as well, and its name is never given to another.
    Closed,
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
    pub(crate) allow: Vec<At<Tried<GrantEntry>>>,
    /// What it may never do. A deny wins over every allow of every role.
    #[serde(default)]
    pub(crate) deny: Vec<At<Tried<GrantEntry>>>,
    /// What people with it may do besides when they must and say why.
    #[serde(default)]
    pub(crate) break_glass: Option<Tried<BreakGlassEntry>>,
}

/// Tokens that are taken back: one, those of a session or of a user, or those for a tenant or of an issuer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct RevokedEntry {
    /// Whose tokens: a name under `issuers` in cloister.yaml. With `jti`, `sid` and `user`, or with `before` alone.
    pub(crate) issuer: Option<At<String>>,
    /// The `jti` of a token.
    pub(crate) jti: Option<At<String>>,
    /// The `sid` of a session.
    pub(crate) sid: Option<At<String>>,
    /// The `sub` of a user.
    pub(crate) user: Option<At<String>>,
    /// A tenant.
    pub(crate) tenant: Option<At<String>>,
    /// Those that were issued before this time: `2026-11-23T12:00:00Z`. All of a user, if it is left out.
    pub(crate) before: Option<At<String>>,
}

/// A program that proves itself by a certificate in place of a token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct ServiceEntry {
    /// Who must vouch for its certificate: a name under `authorities` in cloister.yaml.
    pub(crate) authority: At<String>,
    /// A subject alternative name of its certificate, to the letter: `spiffe://mesh/billing`, `billing.partner.example`.
    pub(crate) san: Option<At<String>>,
    /// The SHA-256 of its public key (SubjectPublicKeyInfo): `sha256:` and 64 hexadecimal digits.
    #[schemars(extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
    pub(crate) spki: Option<At<String>>,
    /// The tenant that it acts for, one of those that the authority may speak for.
    pub(crate) tenant: At<String>,
    /// What it is there.
    #[serde(default)]
    pub(crate) roles: Vec<At<String>>,
}

impl File {
    /// The names of the sections, as [`File::read`] knows them.
    pub(crate) const SECTIONS: [&str; 13] = [
        "arrival",
        "delegated",
        "limits",
        "matrices",
        "members",
        "mode",
        "plans",
        "revoked",
        "roles",
        "routes",
        "services",
        "tenants",
        "tests",
    ];

    /// Reads every section of a file, and of each section every entry that can be read.
    pub(crate) fn read(file: &Arc<str>, node: &Node, findings: &mut Findings) -> Self {
        let mut read = Self::default();
        for (spot, section, value) in yaml::sections("a policy file", file, node, &Self::SECTIONS, findings) {
            match section {
                "arrival" => read.arrival = yaml::read(value, file, findings).unwrap_or_default(),
                "delegated" => read.delegated = yaml::listed(file, value, findings),
                "limits" => read.limits = yaml::named(file, value, findings),
                "members" => read.members = yaml::named(file, value, findings),
                "mode" => read.mode = yaml::read(value, file, findings),
                "plans" => read.plans = yaml::named(file, value, findings),
                "revoked" => read.revoked = yaml::listed(file, value, findings),
                "roles" => read.roles = yaml::named(file, value, findings),
                "routes" => read.routes = yaml::listed(file, value, findings),
                "services" => read.services = yaml::named(file, value, findings),
                "tenants" => read.tenants = yaml::named(file, value, findings),
                "matrices" => read.matrices = yaml::listed(file, value, findings),
                "tests" => read.tests = yaml::listed(file, value, findings),
                unknown => findings.push(yaml::unknown_section(file, spot, unknown, &Self::SECTIONS)),
            }
        }
        read
    }
}
