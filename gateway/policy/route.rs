use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tenancy::Authentication;
use terms::{Binding, ByteCount, IssuerId, IssuerSet, Nonce, Permission, Place, RouteId};

use crate::condition::Condition;
use crate::cors::Cors;
use crate::decide::RuleId;
use crate::destination::Destination;
use crate::echo::Echo;
use crate::fields::FieldRules;
use crate::method::Methods;
use crate::pattern::Pattern;

/// One route, compiled. It belongs to the [`crate::Policy`] that it came from.
#[derive(Debug)]
pub struct Route {
    /// What records and metrics call it.
    pub id: RouteId,
    /// Where its requests go.
    pub upstream: Destination,
    /// Who may use it.
    pub access: Access,
    /// What becomes of requests that authorisation denies.
    pub mode: Mode,
    /// How a client is told that it may not.
    pub deny_as: DenyAs,
    /// The limits that count for it, as places in [`crate::Policy::limits`].
    pub limits: Vec<usize>,
    /// What one of its requests costs in limits that have a rate.
    pub cost: NonZeroU32,
    /// What is promised about the record of each request.
    pub audit: Promise,
    /// What a connection may change to.
    pub upgrade: Upgrade,
    /// How long its requests may take, where it is not as long as the upstream says.
    pub timeouts: Timeouts,
    /// Which requests may be sent to the backend again.
    pub repeat: Repeat,
    /// The longest body.
    pub max_body: ByteCount,
    /// The longest body whose digest the signature of its request covers. `None`: no body is covered.
    pub body_digest: Option<ByteCount>,
    /// What is done to the fields of requests on their way to the backend.
    pub request_fields: FieldRules,
    /// What is done to the fields of responses on their way to clients.
    pub response_fields: FieldRules,
    /// Which pages of other origins in browsers may ask.
    pub cors: Option<Cors>,
    /// Where responses name their tenant.
    pub echo: Option<Echo>,
    /// The template of the path, as it is written: what stands in records in place of the path.
    pub template: Arc<str>,
    /// The template of the host, as it is written.
    pub host: Arc<str>,
    /// Where the route stands.
    pub place: Place,
    pub(crate) pattern: Pattern,
    /// Which segment of the path names the tenant.
    pub(crate) tenant_segment: Option<usize>,
    pub(crate) asks: Asks,
    /// What must be true besides.
    pub(crate) when: Option<Arc<Condition>>,
    /// Whose its resources are.
    pub(crate) owner: Option<Owner>,
    /// What decides on a public route: the route itself.
    pub(crate) rule: RuleId,
}

/// Who may use a route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Access {
    /// Callers with a token of one of these issuers, inside the tenant that all of these places name.
    Guarded {
        /// Whose tokens. Empty only where API keys are taken.
        issuers: IssuerSet,
        /// What must name the tenant. Never empty.
        tenant_from: Vec<TenantSource>,
        /// Whether API keys are taken in their place.
        keys: AcceptsKeys,
        /// What a token must have besides.
        demands: Demands,
    },
    /// Everybody, without a token.
    Public,
    /// Services with a certificate that one of these authorities vouches for, inside the tenant that all of these places
    /// name.
    Services {
        /// Who vouches. Never empty.
        authorities: IssuerSet,
        /// What must name the tenant. Never empty.
        tenant_from: Vec<TenantSource>,
    },
}

/// What becomes of requests that authorisation denies. Everything else that keeps a request from being forwarded does so in
/// either mode.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are refused.
    #[default]
    Enforce,
    /// They pass, and the record says what would have been.
    Shadow,
}

/// How a client is told that it may not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DenyAs {
    /// With 403.
    #[default]
    Forbidden,
    /// As if there were no such route.
    NotFound,
}

/// Whether a route takes API keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AcceptsKeys {
    /// It does not look for them.
    No,
    /// It does.
    Yes,
}

/// What a route demands of a token, besides that it is good.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Demands {
    /// What it must be bound to: at least one of these. Whatever it says, if there is none.
    pub bound_to: Vec<Binding>,
    /// Whether a proof that comes with it must have a nonce of ours.
    pub nonce: Nonce,
    /// How its user must have proven itself.
    pub authentication: Authentication,
}

/// A place that must name the tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TenantSource {
    /// The client's certificate.
    Certificate,
    /// A header field, its name in lower case.
    Header(Arc<str>),
    /// The first label of the host.
    Host,
    /// The segment of the path called `{tenant}`.
    Path,
    /// The token.
    Token,
}

/// What is promised about the record of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Promise {
    /// Once a client has seen the first byte of the answer, the record survives the end of the process.
    Standard(OnFailure),
    /// The decision is on disk before the request is forwarded. Without a disk there is none.
    Strict,
}

/// What becomes of requests while the audit log cannot be written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// They are refused.
    #[default]
    Deny,
    /// They are served as long as there is room for their records in memory, which survives the end of the process and not
    /// that of the machine. The log gets them when it can be written again.
    Spill,
    /// As `spill`, and when there is no room any more they are served without a record. The log says how many they were.
    InsecureAllow,
}

/// How long requests may take.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Timeouts {
    /// Until a connection stands, without TLS.
    pub connect: Option<Duration>,
    /// Until TLS stands, from there on.
    pub tls: Option<Duration>,
    /// Until the head of the response is there, from the end of the request on. It is no longer than `read`, where both
    /// are said.
    pub first_byte: Option<Duration>,
    /// Until the next bytes of the response.
    pub read: Option<Duration>,
    /// Until the end of the response.
    pub request: Option<Duration>,
}

/// Which requests may be sent to the backend again, if it failed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Those that the backend cannot have seen, and those that mean the same twice as once (RFC 9110 §9.2.2).
    #[default]
    Idempotent,
    /// None.
    Never,
}

/// What a connection may change to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upgrade {
    /// Nothing.
    None,
    /// RFC 6455.
    WebSocket,
}

/// Whose the resources of a route are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Owner {
    /// Which segment of the path names it, counted from 0.
    pub(crate) segment: usize,
    /// Whose subject that is.
    pub(crate) issuer: IssuerId,
}

/// The permission that each method asks for, as its place in the policy's list.
#[derive(Debug)]
pub(crate) struct Asks {
    /// In the order of [`crate::method::METHODS`].
    pub(crate) by_method: [Option<usize>; 7],
    /// For methods that a file cannot name.
    pub(crate) other: Option<usize>,
}

impl Asks {
    pub(crate) fn of(&self, method: &str) -> Option<usize> {
        match Methods::index(method) {
            Some(index) => self.by_method.get(index).copied().flatten(),
            None => self.other,
        }
    }

    /// Whether it is asked for by any method.
    pub(crate) fn for_permission(&self, permission: usize) -> bool {
        self.other == Some(permission) || self.by_method.contains(&Some(permission))
    }
}

impl Route {
    /// The permission that this method asks for, if it may be used at all.
    pub(crate) fn permission<'p>(&self, method: &str, permissions: &'p [Permission]) -> Option<&'p Permission> {
        permissions.get(self.asks.of(method)?)
    }
}

impl fmt::Display for TenantSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate => f.write_str("certificate"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Host => f.write_str("host"),
            Self::Path => f.write_str("path"),
            Self::Token => f.write_str("token"),
        }
    }
}

impl Route {
    /// What a request for this route names there, in a path that is canonical and decoded.
    #[must_use]
    pub fn parameter<'r>(&self, path: &'r str, name: &str) -> Option<&'r str> {
        path.split('/').nth(self.pattern.path.parameter(name)? + 1)
    }
}
