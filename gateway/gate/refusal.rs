use std::sync::Arc;

use apikey::KeyError;
use canonical::Malformed;
use http::StatusCode;
use limit::Exceeded;
use policy::{DenyAs, Justification, Route, RuleId, Unjustified};
use tenancy::{Insufficient, Outsider};
use terms::Reason;
use token::{ProofError, TokenError};

use crate::{Answer, Member, Principal, Rules};

/// What somebody has to say who may do what no role grants.
#[derive(Clone, Debug)]
pub struct Unheard {
    /// The grant that would let them.
    pub rule: RuleId,
    /// What has to be said, and where.
    pub wanted: Justification,
    /// What is wrong with what was said.
    pub why: Unjustified,
}

/// Why one request is not forwarded, and how far it came: the last proof it reached says who it was.
#[derive(Debug)]
pub struct Refusal {
    cause: Cause,
    rules: Arc<Rules>,
    route: Option<Arc<Route>>,
    who: Who,
}

/// How far the identity of a refused request is known.
#[derive(Clone, Debug)]
pub enum Who {
    /// A token or a certificate was verified; which tenant the caller may act for was not settled.
    Caller(Principal),
    /// A caller inside its tenant.
    Member(Member),
    /// Nothing is known.
    Nobody,
}

/// Why a request is not forwarded.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The body is longer than what the route covers with a signature.
    #[error("the body is longer than what the route covers with a signature")]
    BodyBeyondDigest,
    /// The body is longer than the route takes.
    #[error("the body is longer than the route takes")]
    BodyTooLarge,
    /// The token is bound to a certificate that the client has not shown.
    #[error("the token is bound to what the client has not shown")]
    Bound,
    /// Something of ours broke here.
    #[error("something broke in {0}")]
    Broken(&'static str),
    /// The client's certificate was good once.
    #[error("nobody vouches for the certificate any more")]
    Certificate,
    /// The client's address is not one that clients, or those of this tenant, may come from.
    #[error("the client's address is denied")]
    ClientDenied,
    /// Its tenant has its share of the requests that may be in progress.
    #[error("the tenant has too many requests in progress")]
    Crowded,
    /// The policy does not grant it, and perhaps a rule speaks against it.
    #[error("the policy denies it")]
    Denied(Reason, Option<RuleId>),
    /// A limit has no room.
    #[error("a limit has no room")]
    Limited(Exceeded),
    /// The request is malformed or ambiguous.
    #[error("the request is malformed")]
    Malformed(Malformed),
    /// The connection is not for this host.
    #[error("the connection is not for this host")]
    Misdirected,
    /// No route matches.
    #[error("no route matches")]
    NoRoute,
    /// No certificate, or one that is not that of one service which the route accepts.
    #[error("no certificate of a service")]
    NoService,
    /// No token.
    #[error("no token")]
    NoToken,
    /// An `Authorization` that is not one bearer token.
    #[error("the authorization is not a bearer token")]
    NotBearer,
    /// A page of an origin that may not ask, or not with this method or these fields.
    #[error("the route does not allow this to pages of this origin")]
    Origin,
    /// Not a member of the tenant that is asked for.
    #[error("not inside the tenant")]
    Outsider(Outsider),
    /// The user has not proven itself well enough, or too long ago.
    #[error("another authentication is needed")]
    Insufficient(Insufficient),
    /// The API key lets nobody in.
    #[error("the api key is not accepted")]
    Key(KeyError),
    /// There are as many requests in progress as there may be.
    #[error("too many requests are in progress")]
    Overloaded,
    /// The client has not shown that it has the key to which its token is bound.
    #[error("the proof of possession is not accepted")]
    Proof(ProofError),
    /// The token was taken back.
    #[error("the token was taken back")]
    Revoked,
    /// The token came by the scheme of other tokens.
    #[error("the token is not of the kind that it came as")]
    Scheme,
    /// The token does not name a caller.
    #[error("the token is not accepted")]
    Token(TokenError),
    /// No role grants it, and its caller has not said well enough why it must be.
    #[error("it needs a justification: {}", .0.why)]
    Unjustified(Box<Unheard>),
    /// The token is good for whoever has it, and must not be.
    #[error("the token is not bound to its user")]
    Unbound,
    /// The route has no upstream for this tenant.
    #[error("the route names no upstream for this tenant")]
    Unplaced,
    /// The connection ended, or was ended, before its bytes became a request.
    #[error("bytes that are no request")]
    Unparsed(Reason),
    /// The record cannot be kept.
    #[error("the decision cannot be recorded")]
    Unrecorded(audit::Unavailable),
    /// An upgrade that the route does not allow.
    #[error("the route does not allow this upgrade")]
    Upgrade,
}

impl Refusal {
    /// A refusal before a route is known.
    #[must_use]
    pub const fn new(cause: Cause, rules: Arc<Rules>) -> Self {
        Self { cause, rules, route: None, who: Who::Nobody }
    }

    pub(crate) fn on(self, route: Arc<Route>, who: Who) -> Self {
        Self { route: Some(route), who, ..self }
    }

    /// The same refusal for another cause: what could not be recorded is answered differently.
    pub(crate) fn because(self, cause: Cause) -> Self {
        Self { cause, ..self }
    }

    /// Why.
    #[must_use]
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The stable word for why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match &self.cause {
            Cause::BodyBeyondDigest => Reason::RequestBodyBeyondDigest,
            Cause::BodyTooLarge => Reason::RequestBodyTooLarge,
            Cause::Bound => Reason::AuthInvalidBound,
            Cause::Broken(_) => Reason::Internal,
            Cause::Certificate => Reason::AuthInvalidCertificate,
            Cause::ClientDenied => Reason::ClientDenied,
            Cause::Crowded => Reason::LimitShare,
            Cause::Denied(reason, _) | Cause::Unparsed(reason) => *reason,
            Cause::Insufficient(why) => why.reason(),
            Cause::Key(KeyError::Expired) => Reason::AuthKeyExpired,
            Cause::Key(KeyError::Malformed) => Reason::AuthKeyMalformed,
            Cause::Key(KeyError::Revoked) => Reason::AuthKeyRevoked,
            Cause::Key(KeyError::Unknown) => Reason::AuthKeyUnknown,
            Cause::Limited(exceeded) => exceeded.reason(),
            Cause::Malformed(malformed) => malformed.reason(),
            Cause::Misdirected => Reason::RequestMisdirected,
            Cause::NoRoute => Reason::RouteUnknown,
            Cause::NoService => Reason::AuthInvalidService,
            Cause::NoToken => Reason::AuthMissing,
            Cause::Origin => Reason::CorsDenied,
            Cause::NotBearer => Reason::AuthInvalidMalformed,
            Cause::Outsider(outsider) => outsider.reason(),
            Cause::Overloaded => Reason::GatewayOverloaded,
            Cause::Proof(error) => error.reason(),
            Cause::Revoked => Reason::AuthInvalidRevoked,
            Cause::Scheme => Reason::AuthProofScheme,
            Cause::Token(error) => error.reason(),
            Cause::Unbound => Reason::AuthInvalidUnbound,
            Cause::Unjustified(..) => Reason::PolicyJustification,
            Cause::Unplaced => Reason::TenantUnplaced,
            Cause::Unrecorded(_) => Reason::AuditUnavailable,
            Cause::Upgrade => Reason::RequestUpgrade,
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn answer(&self) -> Answer {
        if self.is_hidden() { Answer::to(Reason::RouteUnknown) } else { Answer::to(self.reason()) }
    }

    /// Whether the client is told that there is no such route, and nothing else that it would not be told then. Who has not
    /// shown who they are is told so all the same, and so is an outage of ours.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        let hides = self.route.as_ref().is_some_and(|route| route.deny_as == DenyAs::NotFound);
        hides && Answer::to(self.reason()).status == StatusCode::FORBIDDEN
    }

    /// The route, if one was found.
    #[must_use]
    pub const fn route(&self) -> Option<&Arc<Route>> {
        self.route.as_ref()
    }

    /// The rule that denied it, if one did.
    #[must_use]
    pub fn rule(&self) -> Option<&RuleId> {
        if let Cause::Unjustified(unheard) = &self.cause {
            return Some(&unheard.rule);
        }
        if let Cause::Denied(_, rule) = &self.cause { rule.as_ref() } else { None }
    }

    /// How far the identity is known.
    #[must_use]
    pub const fn who(&self) -> &Who {
        &self.who
    }

    /// The rules that it was judged by.
    #[must_use]
    pub const fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }
}
