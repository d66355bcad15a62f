//! YAML → compiled policy → decision.
//!
//! *What it decides:* which route a request has, and whether the roles of a member grant what that route asks for.
//! Denies win, and what nothing grants is denied. It also says what is wrong with a file, all of it at once, with file,
//! line and column; runs the tests that stand in the files; and explains how a request was judged.
//!
//! *What it must never do:* read a file, a clock or the environment, wait for anything, or look at a token. A policy is
//! a function of its text.
//!
//! *Who gives it what:* `cli` reads files and calls [`compile`]; `gate` asks [`Policy::route`], enters the tenant, and
//! asks [`Policy::decide`]. Tests of policies and explanations take the same three steps.
//!
//! *How to add a word to the language:* the field in `file.rs` with its doc line, which becomes the schema's; its meaning
//! in `compile/`, where each mistake is a finding with a place; the runtime type beside [`Route`]; a row in
//! `compile/tests.rs`; a line in `policies/README.md`.
//!
//! ```
//! use policy::{Decision, Facts, Known, Source, compile};
//!
//! let text = r#"
//! roles: { viewer: { allow: ["order:read"] } }
//! routes:
//!   - id: orders
//!     match: { host: "{tenant}.example.com", path: "/api/orders/**" }
//!     upstream: orders
//!     auth: { issuers: [main], tenant_from: [token, host] }
//!     allow: { GET: "order:read" }
//! "#;
//! let known = Known {
//!     issuers: [("main".parse()?, tenancy::MembershipSource::Claims)].into(),
//!     upstreams: ["orders".parse()?].into(),
//!     ..Known::default()
//! };
//! let policy = compile(&[Source { path: "policy.yaml", text }], &known)?.policy;
//!
//! let matched = policy.route("acme.example.com", "/api/orders/7", "GET").expect("the route above");
//! assert_eq!(matched.tenant_in_host, Some("acme"));
//! let decision = policy.decide(matched.route, &Facts::new("GET", &["viewer".parse()?]));
//! assert!(matches!(decision, Decision::Allow { rule } if rule.as_str() == "policy.yaml:2 viewer"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod case;
mod compare;
mod compile;
mod condition;
mod cors;
mod coverage;
mod decide;
mod destination;
mod echo;
mod explain;
mod fields;
mod file;
mod glass;
mod judge;
mod known;
mod limit;
mod lint;
mod method;
mod outlook;
mod pattern;
mod policy;
mod replay;
mod role;
mod route;
mod schema;
mod service;
mod table;
#[cfg(test)]
mod tests;

pub use crate::condition::{Caller, Facts, Proof};
pub use case::CaseResult;
pub use compare::{Change, Turn};
pub use compile::{Compiled, Source, canonical_bytes, compile};
pub use cors::Cors;
pub use coverage::Coverage;
pub use decide::{Decision, Denial, RuleId};
pub use destination::Destination;
pub use echo::{Echo, EchoMode, EchoPlace, Echoed, Missing, Success};
pub use explain::{Explanation, Outcome, Stage, Step};
pub use fields::{FieldRules, InvalidField, request_field, response_field};
pub use glass::{Headers, Justification, Unjustified, Unreadable};
pub use judge::{Asked, Asker, Assurance, InvalidQuestion, Question, ShownKey};
pub use known::{ClaimForm, Counting, DirectoryAt, Known, KnownClaim, KnownNames, KnownUpstream, Requests, TenantsAt};
pub use limit::{Amount, KeyPart, KeySource, LimitMode, LimitRule, LimitScope, OnStoreLoss};
pub use policy::Policy;
pub use replay::{Recorded, Replay, Replayed};
pub use route::{
    AcceptsKeys, Access, Demands, DenyAs, Mode, OnFailure, Promise, Repeat, Route, TenantSource, Timeouts, Upgrade,
};
pub use schema::schema;
pub use service::{Recognised, Service, ServiceMark, Services};
pub use table::Matched;
