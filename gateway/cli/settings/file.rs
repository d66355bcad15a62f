//! `cloister.yaml` as it is written. Text is checked in `compile.rs`, where every mistake is noted and none ends the rest.

mod assertion;
mod defence;
mod directory;
mod dns;
mod dpop;
mod edge;
mod health;
mod issuer;
mod keys;
mod policies;
mod privacy;
mod redis;
mod response;
pub(super) mod sinks;
mod upstream;
mod vault;

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use terms::{Finding, Findings, Span};
use yaml::{At, Kind, Named, Node, Pairs, Tried};

pub(crate) use assertion::{
    AssertionAlgorithm, Binding, Database, Field, FieldForm, FormedField, NextKey, SignatureAlgorithm,
    UpstreamAssertion,
};
pub(crate) use defence::{Breaker, Queue, Retries};
pub(crate) use directory::{Directory, Memberships, Postgresql, Tenants};
pub(crate) use dns::Dns;
pub(crate) use dpop::Dpop;
pub(crate) use edge::{
    Authority, Certificate, ClientCertificateMode, ClientCertificates, Clients, ForwardedWord, Guard, Listener, Tls,
};
pub(crate) use health::{Check, Ejection, Health, Statuses};
pub(crate) use issuer::{Authentication, Discovery, Introspection, Issuer, Jwks, Members, Profile, max_stale, refresh};
pub(crate) use keys::SigningKeys;
pub(crate) use policies::Policies;
pub(crate) use privacy::{PersonalField, Privacy, VaultInPostgresql};
pub(crate) use redis::{Redis, Sentinels, SharedLimits};
pub(crate) use response::{
    ContentTypeOptions, FrameOptions, GuardedCache, Hsts, RateLimitFields, ReferrerPolicy, Response,
};
pub(crate) use upstream::{Address, Balance, Pool, Protocol, Timeouts, Upstream, UpstreamTls, Weighted};
pub(crate) use vault::{AppRole, Kubernetes, Vault, VaultAuth};

/// Where Cloister runs. What is allowed stands in the policy files.
#[derive(Debug, Default, JsonSchema)]
#[schemars(title = "cloister.yaml", deny_unknown_fields, rename = "config", extend("additionalProperties" = false))]
pub(crate) struct File {
    /// The version of this format: 1.
    #[schemars(with = "u32", required)]
    pub(super) version: Option<At<u32>>,
    /// Where clients connect.
    pub(super) listeners: Vec<At<Listener>>,
    /// What protects the listeners from clients that stall or swarm.
    #[schemars(with = "Option<Guard>")]
    pub(super) guard: Guard,
    /// Who the clients are, and from where they may come.
    #[schemars(with = "Option<Clients>")]
    pub(super) clients: Clients,
    /// How many threads serve requests. By default one per processor.
    pub(super) workers: Option<At<u16>>,
    /// How it ends.
    #[schemars(with = "Option<Shutdown>")]
    pub(super) shutdown: Shutdown,
    /// Where operators and Prometheus connect.
    #[schemars(with = "Option<Admin>")]
    pub(super) admin: Admin,
    /// Where keys that Cloister makes itself are kept.
    #[schemars(with = "State", required)]
    pub(super) state: Option<State>,
    /// Who may say what is allowed.
    #[schemars(with = "Option<Policies>")]
    pub(super) policies: Policies,
    /// Redis or Valkey, for several gateways.
    pub(super) redis: Option<Redis>,
    /// The database that says who belongs to which tenant.
    pub(super) directory: Option<Directory>,
    /// HashiCorp Vault or OpenBao, for secrets.
    pub(super) vault: Option<Vault>,
    /// Who issues tokens, by the name that policies use.
    #[schemars(with = "Pairs<Issuer>")]
    pub(super) issuers: Vec<Named<Issuer>>,
    /// Claims that policies may count by, by the name that they use: the claim, or a way to it (RFC 6901).
    #[schemars(with = "Option<Pairs<Field>>")]
    pub(super) claims: Vec<Named<Field>>,
    /// Who signs certificates of clients, by name. No authority has the name of an issuer.
    #[schemars(with = "Option<Pairs<Authority>>")]
    pub(super) authorities: Vec<Named<Authority>>,
    /// How proofs are judged that come with tokens which are bound to a key.
    #[schemars(with = "Option<Dpop>")]
    pub(super) dpop: Dpop,
    /// The backends, by the name that policies use.
    #[schemars(with = "Pairs<Upstream>")]
    pub(super) upstreams: Vec<Named<Upstream>>,
    /// How their names are looked up.
    #[schemars(with = "Option<Dns>")]
    pub(super) dns: Dns,
    /// What becomes of responses on their way to clients.
    #[schemars(with = "Option<Response>")]
    pub(super) response: Response,
    /// What backends are told about who asks.
    #[schemars(with = "Assertion", required)]
    pub(super) assertion: Option<Assertion>,
    /// The audit log.
    #[schemars(with = "Audit", required)]
    pub(super) audit: Option<Audit>,
    /// Logs for operators.
    #[schemars(with = "Option<Telemetry>")]
    pub(super) telemetry: Telemetry,
}

impl File {
    const SECTIONS: [&str; 22] = [
        "version",
        "listeners",
        "guard",
        "clients",
        "workers",
        "shutdown",
        "admin",
        "state",
        "policies",
        "redis",
        "directory",
        "vault",
        "issuers",
        "claims",
        "authorities",
        "dpop",
        "upstreams",
        "dns",
        "response",
        "assertion",
        "audit",
        "telemetry",
    ];

    /// Sections of which every setting has a default.
    const OPTIONAL: [&str; 14] = [
        "policies",
        "claims",
        "authorities",
        "directory",
        "redis",
        "vault",
        "guard",
        "clients",
        "shutdown",
        "admin",
        "dns",
        "dpop",
        "response",
        "telemetry",
    ];

    /// Reads every section, and of each list every entry that can be read.
    pub(super) fn read(file: &Arc<str>, root: &Node, findings: &mut Findings) -> Self {
        let mut read = Self::default();
        for (spot, name, value) in yaml::sections("cloister.yaml", file, root, &Self::SECTIONS, findings) {
            if matches!(value.kind, Kind::Null) && Self::OPTIONAL.contains(&name) {
                continue; // everything in it is commented out
            }
            match name {
                "version" => read.version = yaml::read(value, file, findings),
                "listeners" => read.listeners = yaml::listed(file, value, findings),
                "guard" => read.guard = yaml::read(value, file, findings).unwrap_or_default(),
                "clients" => read.clients = yaml::read(value, file, findings).unwrap_or_default(),
                "workers" => read.workers = yaml::read(value, file, findings),
                "shutdown" => read.shutdown = yaml::read(value, file, findings).unwrap_or_default(),
                "admin" => read.admin = yaml::read(value, file, findings).unwrap_or_default(),
                "state" => read.state = yaml::read(value, file, findings),
                "policies" => read.policies = yaml::read(value, file, findings).unwrap_or_default(),
                "redis" => read.redis = yaml::read(value, file, findings),
                "directory" => read.directory = yaml::read(value, file, findings),
                "vault" => read.vault = yaml::read(value, file, findings),
                "issuers" => read.issuers = yaml::named(file, value, findings),
                "claims" => read.claims = yaml::named(file, value, findings),
                "authorities" => read.authorities = yaml::named(file, value, findings),
                "upstreams" => read.upstreams = yaml::named(file, value, findings),
                "dpop" => read.dpop = yaml::read(value, file, findings).unwrap_or_default(),
                "dns" => read.dns = yaml::read(value, file, findings).unwrap_or_default(),
                "response" => read.response = yaml::read(value, file, findings).unwrap_or_default(),
                "assertion" => read.assertion = yaml::read(value, file, findings),
                "audit" => read.audit = yaml::read(value, file, findings),
                "telemetry" => read.telemetry = yaml::read(value, file, findings).unwrap_or_default(),
                unknown => findings.push(yaml::unknown_section(file, spot, unknown, &Self::SECTIONS)),
            }
        }
        read.demand(file, root, findings);
        read
    }

    /// Notes the sections that must be there and are not.
    fn demand(&self, file: &Arc<str>, root: &Node, findings: &mut Findings) {
        let Kind::Map(sections) = &root.kind else { return };
        let written =
            |name: &str| sections.iter().any(|(key, _)| matches!(&key.kind, Kind::Text(text) if text == name));
        for name in ["version", "listeners", "state", "issuers", "upstreams", "assertion", "audit"] {
            if !written(name) {
                findings.push(Finding::error(root.spot.place(file), format!("section `{name}` is missing")));
            }
        }
    }
}

/// How it ends.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Shutdown {
    /// How long running requests may take once nothing is accepted any more.
    #[schemars(with = "String")]
    pub(super) grace: Span,
    /// How long `/readyz` says no before nothing is accepted any more.
    #[schemars(with = "String")]
    pub(super) delay: Span,
    /// How long a connection that is idle then stays open for one more request.
    #[schemars(with = "String")]
    pub(super) idle: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace: Span(Duration::from_secs(20)), delay: Span(Duration::ZERO), idle: Span(Duration::from_secs(1)) }
    }
}

/// Where operators and Prometheus connect: `127.0.0.1:9901` if it is left out. Keep it on loopback or in a network of its own: whoever only wants to see something is not asked who they are.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Admin {
    /// Address and port.
    pub(super) bind: Option<At<String>>,
    /// What proves that somebody may take tokens back (`/revocations`): a reference to a secret of at least 32 bytes. Nobody may, if it is left out.
    pub(super) token: Option<At<String>>,
}

/// Where keys that Cloister makes itself are kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// A folder of its own, readable for its owner alone.
    pub(super) directory: At<String>,
}

/// What all backends are told about who asks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Assertion {
    /// The `iss` of the assertions: this gateway, as backends know it.
    pub(super) issuer: At<String>,
    /// How long an assertion lives: at most 60s, which it is if it is left out.
    #[serde(default)]
    pub(super) lifetime: Option<At<String>>,
    /// The keys that sign.
    #[serde(default)]
    pub(super) keys: SigningKeys,
    /// A secret of which the keys come that backends share with us and that are not given one by one, at least 32 bytes:
    /// `${file:…}` or `${env:…}`. Each is derived for one backend and one purpose, and tells nothing of another.
    #[serde(default)]
    pub(super) root: Option<At<String>>,
}

/// The audit log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Audit {
    /// A folder of its own.
    pub(super) directory: At<String>,
    /// The name of this gateway in its records: `gateway` if it is left out.
    #[serde(default)]
    pub(super) instance: Option<At<String>>,
    /// The name of the log in its checkpoints: a URL without its scheme, or anything else that no other log has. It cannot be
    /// changed later. `cloister/<instance>/<the beginning of the log's id>` if it is left out.
    #[serde(default)]
    pub(super) origin: Option<At<String>>,
    /// How often a checkpoint is signed while there are new records: `1s` if it is left out, and 100ms to 1m.
    #[serde(default)]
    pub(super) checkpoint: Option<At<String>>,
    /// Backends that may put events of their own on record: `POST /audit/events` on the admin listener.
    #[serde(default)]
    pub(super) events: Vec<EventSource>,
    /// Others who sign the checkpoints, too, once they have seen that each goes on from the one before it (C2SP tlog-witness).
    #[serde(default)]
    pub(super) witnesses: Option<Witnesses>,
    /// Where the records go besides.
    #[serde(default)]
    pub(super) sinks: Vec<Tried<At<sinks::Sink>>>,
    /// When another key signs the checkpoints.
    #[serde(default)]
    pub(super) key: LogKey,
    /// How long records are kept.
    #[serde(default)]
    pub(super) retention: Retention,
    /// What it holds of persons.
    #[serde(default)]
    pub(super) privacy: Privacy,
}

/// Others who sign the checkpoints, too.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Witnesses {
    /// How many of them it takes: all, if it is left out.
    #[serde(default)]
    pub(super) quorum: Option<At<u16>>,
    /// How often they are asked: `1m` if it is left out, and 1s to 1h.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) every: Option<At<String>>,
    /// Who they are.
    pub(super) list: Vec<WitnessSeat>,
}

/// One who signs the checkpoints, too.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WitnessSeat {
    /// What it is called in metrics and in the trust policy: one word.
    pub(super) name: At<String>,
    /// Where it is asked, without `add-checkpoint`: `https://`, or `http://` on this machine.
    pub(super) url: At<String>,
    /// Its public key (`name+id+base64`), as `cloister witness key` prints it.
    pub(super) key: At<String>,
}

/// A backend that may put events of its own on record.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventSource {
    /// What it is called in the records.
    pub(super) backend: At<String>,
    /// A reference to the bearer token that it shows, of 32 bytes at least.
    pub(super) token: At<String>,
    /// How many it may send: `100/s` if it is left out.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) rate: Option<At<String>>,
}

/// When another key signs the checkpoints. What changes is on record, and each key vouches for the next one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogKey {
    /// How long a key signs until the next one does by itself, `7d` at least. Only by `cloister keys rotate --set log`, if it is
    /// left out: witnesses and auditors know the key, and somebody has to tell them.
    pub(super) rotate_after: Option<At<String>>,
    /// How long the key that is replaced signs on beside the new one, so that those who know it alone have time to learn the
    /// new one: `30d` if it is left out, and 1s to 365d.
    pub(super) overlap: Option<At<String>>,
}

/// How long records are kept, and how much room there is for them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retention {
    /// How long, at least a day (`400d`): older ones are removed, segment by segment, unless a legal hold or a sink that has not
    /// had them yet keeps them. What remains is proven as before. For good, if it is left out.
    pub(super) keep: Option<At<String>>,
    /// How much the folder of the log may take (`50GiB`), for the forecast of when it is full. Nothing is removed for it.
    pub(super) disk: Option<At<String>>,
    /// Classes besides this default one, each with a log of its own, of the tenants that are in it (`retention` of a tenant, or its
    /// plan).
    pub(super) classes: Pairs<At<RetentionClass>>,
}

/// A class of records that are kept for a time of their own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionClass {
    /// How long, at least a day (`2190d`), or `forever`.
    pub(super) keep: At<String>,
    /// How much its log may take, for the forecast.
    #[serde(default)]
    pub(super) disk: Option<At<String>>,
    /// The plans whose tenants are in it, unless they name another class.
    #[serde(default)]
    pub(super) plans: Vec<At<String>>,
}

/// Logs for operators: what happens to the gateway, never who asked what. That is the audit log's.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Telemetry {
    /// How and how much.
    pub(super) log: Log,
}

/// How and how much is logged, on standard error.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    /// For machines or for people.
    pub(super) format: LogFormat,
    /// The least severity that is logged.
    pub(super) level: Level,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// One JSON object per line.
    #[default]
    Json,
    /// For reading.
    Text,
}

/// A severity.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// What kept something from being done.
    Error,
    /// What should be looked at.
    Warn,
    /// What happened to the gateway as a whole.
    #[default]
    Info,
    /// What happened to single connections and fetches.
    Debug,
}
