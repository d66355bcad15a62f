//! One policy file as it is written. Text is checked in `compile`, where every mistake is noted and none ends the rest.

mod cors;
mod echo;
mod fields;
mod route;
mod test;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use terms::Findings;
use yaml::{At, Named, Node, Pairs, Tried};

use crate::limit::KeyPart;

pub(crate) use cors::CorsEntry;
pub(crate) use echo::EchoEntry;
pub(crate) use fields::FieldsEntry;
pub(crate) use route::{
    AuthEntry, ByTenantEntry, GuardEntry, MatchEntry, RouteEntry, TimeoutsEntry, UpgradeWord, UpstreamEntry,
};
pub(crate) use test::{AsEntry, BecauseEntry, ExpectEntry, TestEntry};

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

/// Tokens that are taken back: one, those of a session or of a user, or those for a tenant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct RevokedEntry {
    /// Whose tokens: a name under `issuers` in cloister.yaml. With `jti`, `sid` and `user`.
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

impl File {
    /// The names of the sections, as [`File::read`] knows them.
    pub(crate) const SECTIONS: [&str; 8] =
        ["limits", "members", "revoked", "roles", "routes", "services", "tenants", "tests"];

    /// Reads every section of a file, and of each section every entry that can be read.
    pub(crate) fn read(file: &Arc<str>, node: &Node, findings: &mut Findings) -> Self {
        let mut read = Self::default();
        for (spot, section, value) in yaml::sections("a policy file", file, node, &Self::SECTIONS, findings) {
            match section {
                "limits" => read.limits = yaml::named(file, value, findings),
                "members" => read.members = yaml::named(file, value, findings),
                "revoked" => read.revoked = yaml::listed(file, value, findings),
                "roles" => read.roles = yaml::named(file, value, findings),
                "routes" => read.routes = yaml::listed(file, value, findings),
                "services" => read.services = yaml::named(file, value, findings),
                "tenants" => read.tenants = yaml::named(file, value, findings),
                "tests" => read.tests = yaml::listed(file, value, findings),
                unknown => findings.push(yaml::unknown_section(file, spot, unknown, &Self::SECTIONS)),
            }
        }
        read
    }
}
