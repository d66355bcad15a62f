use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use condition::{Environment, Facts as Asked, Fault, Program, Texts, Type, Value};
use tenancy::Tenant;
use terms::{Claimed, IssuerId, Place, RoleName, Subject};

use crate::Known;
use crate::decide::RuleId;
use crate::fields;
use crate::glass::{Headers, Unreadable};
use crate::known::{ClaimForm, KnownClaim};
use crate::route::Route;

/// A condition of a route, or of what a role grants or denies.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) rule: RuleId,
    pub(crate) place: Place,
    pub(crate) program: Program,
}

/// What is true of one request, as far as it was verified. What is not known is not there.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The method.
    pub method: &'a str,
    /// The host, in lower case and without its port.
    pub host: &'a str,
    /// The path, canonical and decoded.
    pub path: &'a str,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// When the request came.
    pub now: Option<SystemTime>,
    /// Who asks.
    pub caller: Option<Caller<'a>>,
    /// The tenant that the caller is in.
    pub tenant: Option<&'a Tenant>,
    /// What the caller is there.
    pub roles: &'a [RoleName],
    /// What the request says in header fields, which nobody has verified.
    pub headers: Option<&'a dyn Headers>,
}

/// Who asks, as it was verified.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Who vouches, as the settings call it.
    pub issuer: &'a IssuerId,
    /// Who it is.
    pub subject: &'a Subject,
    /// How that is known.
    pub by: Proof<'a>,
    /// How sure the issuer is (`acr`).
    pub acr: Option<&'a str>,
    /// By what means the user has proven itself (`amr`).
    pub amr: &'a [Box<str>],
    /// How long ago (`auth_time`).
    pub age: Option<Duration>,
    /// What the token may be used for, with a space between each two; `None` if it cannot be read.
    pub scopes: Option<&'a str>,
    /// What became of the claims that tokens are asked for.
    pub claimed: &'a [Claimed],
}

/// By what a caller is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof<'a> {
    /// A certificate of a service.
    Certificate,
    /// The API key that is called so.
    Key(&'a str),
    /// A token.
    Token,
}

impl<'a> Facts<'a> {
    /// Those of a request of which nothing is known but its method and the roles of whoever asks.
    #[must_use]
    pub const fn new(method: &'a str, roles: &'a [RoleName]) -> Self {
        Self { method, host: "", path: "", client: None, now: None, caller: None, tenant: None, roles, headers: None }
    }
}

/// The facts by number.
macro_rules! facts {
    ($($name:ident = $number:literal;)*) => {
        $(const $name: usize = $number;)*
    };
}
facts! {
    METHOD = 0;
    HOST = 1;
    PATH = 2;
    ROUTE = 3;
    CLIENT = 4;
    SUBJECT = 5;
    ISSUER = 6;
    ACR = 7;
    AMR = 8;
    AGE = 9;
    SERVICE = 10;
    KEY = 11;
    ROLES = 12;
    TENANT = 13;
    PLAN = 14;
    REGION = 15;
    NOW = 16;
}
/// The parameters of the path.
pub(crate) const PARAMETERS: usize = 17;
/// The header fields.
const HEADERS: usize = 18;
const SCOPES: usize = 19;

/// Of longer lists nothing is known: what a condition costs was reckoned with these.
const MOST_ROLES: usize = 128;
const MOST_MEANS: usize = 16;
const MOST_SCOPES: usize = 64;
const MOST_IN_CLAIM: usize = 64;
/// The same of longer header fields, in bytes.
const LONGEST_FIELD: usize = 1_024;

/// The claims that tokens are asked for: from here on, by their place and form.
const CLAIMS: usize = 64;

/// What conditions may speak of.
pub(crate) fn environment(parameters: Vec<String>, known: &Known) -> Environment {
    let environment = Environment::default()
        .value("request.method", METHOD, Type::Text)
        .value("request.host", HOST, Type::Text)
        .value("request.path", PATH, Type::Text)
        .value("request.route", ROUTE, Type::Text)
        .map("request.params", PARAMETERS, Some(parameters))
        .fields("request.headers", HEADERS, |name| fields::readable(name).map(drop).map_err(|why| why.to_string()))
        .value("request.client", CLIENT, Type::Address)
        .value("caller.subject", SUBJECT, Type::Text)
        .value("caller.issuer", ISSUER, Type::Text)
        .value("caller.acr", ACR, Type::Text)
        .texts("caller.amr", AMR, MOST_MEANS)
        .value("caller.age", AGE, Type::Duration)
        .value("caller.is_service", SERVICE, Type::Bool)
        .value("caller.api_key", KEY, Type::Text)
        .texts("member.roles", ROLES, MOST_ROLES)
        .value("tenant.id", TENANT, Type::Text)
        .value("tenant.plan", PLAN, Type::Text)
        .value("tenant.region", REGION, Type::Text)
        .texts("caller.scopes", SCOPES, MOST_SCOPES)
        .value("now", NOW, Type::Timestamp);
    known.claims.iter().fold(environment, |environment, (name, KnownClaim { place, form })| {
        let at = ClaimForm::ALL.iter().position(|known| known == form).unwrap_or(0);
        let (path, fact) = (format!("caller.claims.{name}"), CLAIMS + place * ClaimForm::ALL.len() + at);
        match form {
            ClaimForm::Bool => environment.value(&path, fact, Type::Bool),
            ClaimForm::Number => environment.value(&path, fact, Type::Int),
            ClaimForm::Text => environment.value(&path, fact, Type::Text),
            ClaimForm::Texts => environment.texts(&path, fact, MOST_IN_CLAIM),
        }
    })
}

/// The facts of a request on its route.
#[derive(Debug)]
pub(crate) struct OnRoute<'a> {
    facts: &'a Facts<'a>,
    route: &'a Route,
    roles: Roles<'a>,
    means: Means<'a>,
    scopes: Scopes<'a>,
}

#[derive(Debug)]
struct Roles<'a>(&'a [RoleName]);

#[derive(Debug)]
struct Scopes<'a>(&'a str);

#[derive(Debug)]
struct Means<'a>(&'a [Box<str>]);

impl<'a> OnRoute<'a> {
    pub(crate) fn new(facts: &'a Facts<'a>, route: &'a Route) -> Self {
        let means = facts.caller.map_or(&[][..], |caller| caller.amr);
        let scopes = facts.caller.and_then(|caller| caller.scopes).unwrap_or_default();
        Self { facts, route, roles: Roles(facts.roles), means: Means(means), scopes: Scopes(scopes) }
    }

    /// The tenant that it is about.
    pub(crate) fn tenant(&self) -> Option<&'a str> {
        self.facts.tenant.map(|tenant| tenant.id.as_str())
    }

    /// Whether it is so.
    pub(crate) fn holds(&self, condition: &Condition) -> Result<bool, Fault> {
        condition.program.holds(self)
    }

    /// Whether the resource is the caller's own. Nobody can say it of a route that does not say whose its resources are.
    pub(crate) fn is_own(&self) -> Option<bool> {
        let owner = self.route.owner.as_ref()?;
        let named = segment(self.facts.path, owner.segment)?;
        let caller = self.facts.caller?;
        Some(*caller.issuer == owner.issuer && caller.subject.as_str() == named)
    }
}

/// A segment of a path, counted from 0.
fn segment(path: &str, place: usize) -> Option<&str> {
    path.strip_prefix('/')?.split('/').nth(place)
}

impl OnRoute<'_> {
    fn known(&self, fact: usize) -> Option<Value<'_>> {
        let Facts { method, host, path, client, now, caller, tenant, roles: _, headers: _ } = self.facts;
        Some(match fact {
            METHOD => Value::Text(method),
            HOST => Value::Text(host),
            PATH => Value::Text(path),
            ROUTE => Value::Text(self.route.id.as_str()),
            CLIENT => Value::Address((*client)?),
            SUBJECT => Value::Text(caller.as_ref()?.subject.as_str()),
            ISSUER => Value::Text(caller.as_ref()?.issuer.as_str()),
            ACR => Value::Text(caller.as_ref()?.acr?),
            AMR if caller.is_some() && self.means.0.len() <= MOST_MEANS => Value::from(&self.means as &dyn Texts),
            AGE => Value::Duration(i64::try_from(caller.as_ref()?.age?.as_nanos()).ok()?),
            SERVICE => Value::Bool(caller.as_ref()?.by == Proof::Certificate),
            KEY => match caller.as_ref()?.by {
                Proof::Key(id) => Value::Text(id),
                Proof::Certificate | Proof::Token => return None,
            },
            ROLES if self.roles.0.len() <= MOST_ROLES => Value::from(&self.roles as &dyn Texts),
            TENANT => Value::Text(tenant.as_ref()?.id.as_str()),
            PLAN => Value::Text(tenant.as_ref()?.plan.as_ref()?.as_str()),
            REGION => Value::Text(tenant.as_ref()?.region.as_ref()?.as_str()),
            NOW => Value::Timestamp(i128::try_from((*now)?.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()?),
            _ => return None,
        })
    }

    /// A claim, which is of the type that was said, or a fault.
    fn claim(&self, fact: usize) -> Result<Option<Value<'_>>, Fault> {
        let (place, form) = (fact / ClaimForm::ALL.len(), ClaimForm::ALL.get(fact % ClaimForm::ALL.len()));
        let Some(claimed) = self.facts.caller.as_ref().and_then(|caller| caller.claimed.get(place)) else {
            return Ok(None);
        };
        let value = match (claimed, form) {
            (Claimed::Absent, _) => return Ok(None),
            (Claimed::Text(text), Some(ClaimForm::Text)) => Some(Value::Text(text)),
            (Claimed::Text(text), Some(ClaimForm::Number)) => text.parse().ok().map(Value::Int),
            (Claimed::Text(text), Some(ClaimForm::Bool)) => text.parse().ok().map(Value::Bool),
            (Claimed::Texts(texts), Some(ClaimForm::Texts)) => Some(Value::from(texts as &dyn Texts)),
            (Claimed::Text(_) | Claimed::Texts(_) | Claimed::Unfit, _) => None,
        };
        // FAIL CLOSED: what is of another type is not taken for nothing.
        value.map(Some).ok_or(Fault::Unreadable)
    }
}

impl Asked for OnRoute<'_> {
    fn fact(&self, fact: usize) -> Result<Option<Value<'_>>, Fault> {
        match fact.checked_sub(CLAIMS) {
            Some(claim) => self.claim(claim),
            None if fact == SCOPES => match self.facts.caller {
                None => Ok(None),
                Some(caller) if caller.scopes.is_none() => Err(Fault::Unreadable),
                Some(_) => Ok(Some(Value::from(&self.scopes as &dyn Texts))),
            },
            None => Ok(self.known(fact)),
        }
    }

    fn entry(&self, map: usize, name: &str) -> Result<Option<&str>, Fault> {
        match map {
            PARAMETERS => {
                let place = self.route.pattern.path.place(name);
                Ok(place.and_then(|place| segment(self.facts.path, place)))
            }
            HEADERS => match self.facts.headers.map(|headers| headers.field(name)) {
                None => Ok(None),
                // FAIL CLOSED: of several nobody can say which one counts.
                Some(Err(Unreadable)) => Err(Fault::Unreadable),
                Some(Ok(Some(value))) if value.len() > LONGEST_FIELD => Err(Fault::Unreadable),
                Some(Ok(value)) => Ok(value),
            },
            _ => Ok(None),
        }
    }
}

impl Texts for Roles<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn text(&self, place: usize) -> Option<&str> {
        self.0.get(place).map(RoleName::as_str)
    }
}

impl Texts for Scopes<'_> {
    fn count(&self) -> usize {
        self.0.split_ascii_whitespace().count()
    }

    fn text(&self, place: usize) -> Option<&str> {
        self.0.split_ascii_whitespace().nth(place)
    }
}

impl Texts for Means<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn text(&self, place: usize) -> Option<&str> {
        self.0.get(place).map(AsRef::as_ref)
    }
}
