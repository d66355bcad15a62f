//! `cloister.yaml` as it is written. Text is checked in `compile.rs`, where every mistake is noted and none ends the rest.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use terms::{ByteCount, Finding, Findings, Span};
use token::Algorithm;
use yaml::{At, Kind, Named, Node, Pairs};

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
    /// Who issues tokens, by the name that policies use.
    #[schemars(with = "Pairs<Issuer>")]
    pub(super) issuers: Vec<Named<Issuer>>,
    /// The backends, by the name that policies use.
    #[schemars(with = "Pairs<Upstream>")]
    pub(super) upstreams: Vec<Named<Upstream>>,
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
    const SECTIONS: [&str; 12] = [
        "version",
        "listeners",
        "guard",
        "workers",
        "shutdown",
        "admin",
        "state",
        "issuers",
        "upstreams",
        "assertion",
        "audit",
        "telemetry",
    ];

    /// Sections of which every setting has a default.
    const OPTIONAL: [&str; 4] = ["guard", "shutdown", "admin", "telemetry"];

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
                "workers" => read.workers = yaml::read(value, file, findings),
                "shutdown" => read.shutdown = yaml::read(value, file, findings).unwrap_or_default(),
                "admin" => read.admin = yaml::read(value, file, findings).unwrap_or_default(),
                "state" => read.state = yaml::read(value, file, findings),
                "issuers" => read.issuers = yaml::named(file, value, findings),
                "upstreams" => read.upstreams = yaml::named(file, value, findings),
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

/// One address where clients connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    /// Address and port, for example `0.0.0.0:8443`.
    pub(super) bind: At<String>,
    /// Certificate and key. Without them the listener speaks plain HTTP.
    #[serde(default)]
    pub(super) tls: Option<Tls>,
}

/// The files of a certificate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    /// The certificate and those between it and its root, PEM.
    pub(super) certificate: At<String>,
    /// Its private key, PEM; readable for its owner alone.
    pub(super) key: At<String>,
}

/// Deadlines and caps in front of everything else.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Guard {
    /// Connections in all.
    pub(super) connections: u32,
    /// Connections per client address.
    pub(super) connections_per_ip: u32,
    /// Until a TLS handshake is done.
    #[schemars(with = "String")]
    pub(super) handshake: Span,
    /// Until a whole request head is there.
    #[schemars(with = "String")]
    pub(super) head: Span,
    /// How long a connection may be unused.
    #[schemars(with = "String")]
    pub(super) idle: Span,
    /// How long a request head may be.
    #[schemars(with = "String")]
    pub(super) head_bytes: ByteCount,
    /// How many fields a request head may have.
    pub(super) fields: u16,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_ip: 256,
            handshake: Span(Duration::from_secs(5)),
            head: Span(Duration::from_secs(10)),
            idle: Span(Duration::from_secs(60)),
            head_bytes: ByteCount(32 << 10),
            fields: 100,
        }
    }
}

/// How it ends.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Shutdown {
    /// How long running requests may take after SIGTERM.
    #[schemars(with = "String")]
    pub(super) grace: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace: Span(Duration::from_secs(20)) }
    }
}

/// Where operators and Prometheus connect: `127.0.0.1:9901` if it is left out. Keep it on loopback or in a network of its own: it asks nobody who they are.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Admin {
    /// Address and port.
    pub(super) bind: Option<At<String>>,
}

/// Where keys that Cloister makes itself are kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// A folder of its own, readable for its owner alone.
    pub(super) directory: At<String>,
}

/// Who issues tokens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Issuer {
    /// The `iss` of its tokens, to the letter.
    pub(super) issuer: At<String>,
    /// The `aud` values of which a token must have at least one.
    pub(super) audiences: Vec<String>,
    /// The signature algorithms that it uses.
    #[schemars(with = "Vec<AlgorithmName>")]
    pub(super) algorithms: Vec<At<Algorithm>>,
    /// Where its keys are.
    pub(super) jwks: Jwks,
    /// The claim that names the tenant.
    #[serde(default = "tenant_claim")]
    pub(super) tenant_claim: String,
    /// The claim that names the roles.
    #[serde(default = "roles_claim")]
    pub(super) roles_claim: String,
    /// Who says which tenants and roles a subject has.
    #[serde(default)]
    pub(super) members: Members,
    /// How far its clock may differ from ours; at most 5m.
    #[serde(default = "leeway")]
    #[schemars(with = "String")]
    pub(super) leeway: Span,
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
pub(super) enum AlgorithmName {
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
pub(super) struct Jwks {
    /// A file with a JWK Set (RFC 7517 §5); read again when it changes.
    #[serde(default)]
    pub(super) file: Option<At<String>>,
    /// An https URL; http only on loopback.
    #[serde(default)]
    pub(super) url: Option<At<String>>,
    /// How often to fetch.
    #[serde(default = "refresh")]
    #[schemars(with = "String")]
    pub(super) refresh: Span,
    /// How old keys may grow while the issuer cannot be reached.
    #[serde(default = "max_stale")]
    #[schemars(with = "String")]
    pub(super) max_stale: Span,
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
pub(super) enum Members {
    /// The claims of the token.
    #[default]
    Claims,
    /// The `members:` of the policy files; roles in the token count for nothing.
    Directory,
}

/// A backend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    /// Where it runs; used in turn.
    pub(super) addresses: At<Vec<At<String>>>,
    /// What it speaks. gRPC needs `h2c`.
    #[serde(default)]
    pub(super) protocol: Protocol,
    /// How long it may take.
    #[serde(default)]
    pub(super) timeouts: Timeouts,
    /// What it is told about who asks.
    #[serde(default)]
    pub(super) assertion: UpstreamAssertion,
}

/// What a backend speaks.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Protocol {
    /// HTTP/1.1. The trailers of a response do not reach the client.
    #[default]
    Http1,
    /// HTTP/2 without TLS. The trailers of a response reach every client that speaks HTTP/2, as gRPC clients do; clients
    /// of HTTP/1.1 get the response without them. Such a backend takes no WebSockets.
    H2c,
}

/// How long to wait for a backend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Timeouts {
    /// Until a connection stands.
    #[schemars(with = "String")]
    pub(super) connect: Span,
    /// Until the next bytes of the response.
    #[schemars(with = "String")]
    pub(super) read: Span,
    /// Until the next bytes of the request are taken.
    #[schemars(with = "String")]
    pub(super) write: Span,
    /// How long an unused connection is kept.
    #[schemars(with = "String")]
    pub(super) idle: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = |count| Span(Duration::from_secs(count));
        Self { connect: seconds(1), read: seconds(60), write: seconds(60), idle: seconds(60) }
    }
}

/// What one backend is told about who asks.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UpstreamAssertion {
    /// The `aud` of its assertions. By default the name of the upstream.
    pub(super) audience: Option<At<String>>,
    /// What ties an assertion to one request.
    pub(super) binding: Binding,
    /// The key of this backend's RFC 9421 signatures, at least 32 bytes: `${file:…}` or `${env:…}`.
    pub(super) key: Option<At<String>>,
}

/// What ties an assertion to one request.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Binding {
    /// A fresh assertion for each request, with its method and path inside.
    #[default]
    PerRequest,
    /// An assertion that says who, used again for half of its life, and an RFC 9421 signature that says this request.
    /// Needs `key`.
    Reuse,
    /// An assertion that says who, used again for half of its life, and nothing that says this request: whoever sees one
    /// can use it for any request of that user until it expires.
    InsecureReuse,
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
