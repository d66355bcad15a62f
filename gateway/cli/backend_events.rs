//! Events that backends put on record: `POST /audit/events` on the admin listener.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use admin::{AdminToken, Inbox, Untaken};
use async_trait::async_trait;
use audit::{Detail, DetailName, Event, Note};
use gate::Rules;
use limit::{Asker, KeyPart, Limit, Limits, Mode, Numbers, Scope, Seed};
use prometheus::IntCounterVec;
use secrets::Kept;
use serde::Deserialize;
use subjects::{Person, Subjects};
use terms::{Clock, IssuerId, Live, Rate, RequestId, RouteId, Subject};

use crate::failure::Failure;
use crate::logs::TenantLogs;
use crate::which::Names;

/// What becomes of events: the labels of the metric.
pub(crate) const OUTCOMES: [&str; 4] = ["invalid", "often", "recorded", "unavailable"];

/// The most that an event may say.
const ACTION: usize = 64;
const RESOURCE: usize = 128;
const DETAILS: usize = 16;
const VALUE: usize = 128;

/// A backend that may, and how often.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) rate: Rate,
}

/// Takes them, by the rules in force.
pub(crate) struct BackendEvents {
    names: Vec<String>,
    limits: Arc<Limits>,
    nowhere: RouteId,
    issuers: Vec<IssuerId>,
    realms: Vec<IssuerId>,
    rules: Arc<Live<Rules>>,
    subjects: Subjects,
    logs: TenantLogs,
    clock: Arc<dyn Clock>,
    outcomes: IntCounterVec,
}

/// What a backend writes. Whatever else it writes is refused: it would be taken for recorded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    tenant: String,
    user: Option<String>,
    issuer: Option<String>,
    action: String,
    resource: Option<String>,
    status: Status,
    #[serde(default)]
    details: BTreeMap<String, Scalar>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Failure,
    Success,
}

/// No list and no map: what is in one is not bounded by its length.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Flag(bool),
    Number(i64),
    Text(String),
}

/// What events are made of.
pub(crate) struct Parts {
    pub(crate) sources: Vec<Source>,
    pub(crate) issuers: Vec<IssuerId>,
    pub(crate) realms: Vec<IssuerId>,
    pub(crate) rules: Arc<Live<Rules>>,
    pub(crate) subjects: Subjects,
    pub(crate) logs: TenantLogs,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) outcomes: IntCounterVec,
}

impl BackendEvents {
    pub(crate) fn new(parts: Parts) -> Result<Self, Failure> {
        let Parts { sources, issuers, realms, rules, subjects, logs, clock, outcomes } = parts;
        let failed = |error: &(dyn std::error::Error + 'static)| Failure::setup("audit.events", error);
        let limit = |source: &Source| {
            let id = source.name.parse().map_err(|error| failed(&error))?;
            let numbers = Numbers::Rate { rate: source.rate, burst: source.rate.count.get() };
            let (plans, tenants) = (Vec::new(), Vec::new());
            Ok(Limit {
                id,
                key: vec![KeyPart::Route],
                mode: Mode::Enforce,
                scope: Scope::Gateway,
                numbers,
                plans,
                tenants,
            })
        };
        let limits = sources.iter().map(limit).collect::<Result<Vec<_>, Failure>>()?;
        let limits =
            Limits::new(limits, Vec::new(), Seed::random(), 64, Instant::now()).map_err(|error| failed(&error))?;
        let limits = Arc::new(limits);
        let nowhere = "events".parse().map_err(|error| failed(&error))?;
        let names = sources.into_iter().map(|source| source.name).collect();
        Ok(Self { names, limits, nowhere, issuers, realms, rules, subjects, logs, clock, outcomes })
    }

    async fn record(&self, backend: usize, body: &[u8]) -> Result<String, Untaken> {
        let invalid = |why: String| Untaken::Invalid(why);
        let name = self.names.get(backend).ok_or(Untaken::Unavailable)?;
        let now = Instant::now();
        let asker = Asker::stranger([127, 0, 0, 1].into(), Some(&self.nowhere), self.clock.now());
        if let Err(exceeded) = self.limits.spend(&[backend], &asker, NonZeroU32::MIN, now) {
            return Err(Untaken::Often(exceeded.retry_after().unwrap_or(1)));
        }
        let written: Written = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
        let Written { tenant, user, issuer, action, resource, status, details } = written;
        let rules = self.rules.snapshot();
        let names = Names { issuers: &self.issuers, realms: &self.realms, tenants: rules.tenants() };
        let known = rules.tenants().get(&tenant).map(|tenant| tenant.id.clone());
        // Before it is known which tenants there are, none is unknown.
        let missing =
            if rules.tenants().is_unread() { Untaken::Unavailable } else { invalid("there is no such tenant".into()) };
        let tenant = known.ok_or(missing)?;
        let subject = match (user, issuer) {
            (None, None) => None,
            (Some(user), Some(issuer)) => {
                let issuer = names.issuer(&issuer).map_err(|unclear| invalid(unclear.to_string()))?;
                let subject: Subject = user.parse().map_err(|error| invalid(format!("`user`: {error}")))?;
                let person = Person { tenant: &tenant, issuer: &issuer, subject: &subject };
                let persona = self.subjects.of(person, now).await.map_err(|_| Untaken::Unavailable)?;
                Some((issuer, persona.surrogate().into()))
            }
            (Some(_), None) | (None, Some(_)) => return Err(invalid("`user` and `issuer` go together".into())),
        };
        let is_action = |c: char| c.is_ascii_alphanumeric() || "._:/-".contains(c);
        if action.is_empty() || action.len() > ACTION || !action.chars().all(is_action) {
            return Err(invalid(format!("`action` has 1 to {ACTION} of letters, digits and `. _ : / -`")));
        }
        if resource.as_ref().is_some_and(|resource| resource.is_empty() || resource.chars().count() > RESOURCE) {
            return Err(invalid(format!("`resource` has 1 to {RESOURCE} characters")));
        }
        if details.len() > DETAILS {
            return Err(invalid(format!("`details` has {DETAILS} entries at most")));
        }
        let detail = |(name, value): (String, Scalar)| {
            let name: DetailName = name.parse().map_err(|error| invalid(format!("`details`: {error}")))?;
            let value = match value {
                Scalar::Flag(flag) => Detail::Flag(flag),
                Scalar::Number(number) => Detail::Number(number),
                Scalar::Text(text) if text.chars().count() <= VALUE => Detail::Text(text),
                Scalar::Text(_) => return Err(invalid(format!("a text in `details` has {VALUE} characters at most"))),
            };
            Ok((name, value))
        };
        let details = details.into_iter().map(detail).collect::<Result<Vec<_>, _>>()?;
        let since = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = RequestId::new(u64::try_from(since.as_millis()).unwrap_or_default(), fastrand::u128(..));
        let event = Event {
            id,
            backend: name,
            tenant: &tenant,
            subject: subject.as_ref().map(|(issuer, hidden)| (issuer, *hidden)),
            action: &action,
            resource: resource.as_deref(),
            outcome: match status {
                Status::Failure => audit::EventOutcome::Failure,
                Status::Success => audit::EventOutcome::Success,
            },
            details: &details,
        };
        // ORDER: on disk, then acknowledged.
        match self.logs.of(Some(&tenant)).note_strict(&Note::Event(event)).await {
            Ok(()) => Ok(id.to_string()),
            Err(_) => Err(Untaken::Unavailable),
        }
    }
}

#[async_trait]
impl Inbox for BackendEvents {
    async fn put(&self, backend: usize, body: &[u8]) -> Result<String, Untaken> {
        let put = self.record(backend, body).await;
        let outcome = match &put {
            Ok(_) => "recorded",
            Err(Untaken::Invalid(_)) => "invalid",
            Err(Untaken::Often(_)) => "often",
            Err(Untaken::Unavailable) => "unavailable",
        };
        self.outcomes.with_label_values(&[outcome]).inc();
        put
    }
}

/// What the admin listener needs for it; nothing, if no backend may.
pub(crate) fn open(sources: Vec<(Source, Kept<AdminToken>)>, parts: Parts) -> Result<Option<admin::Events>, Failure> {
    if sources.is_empty() {
        return Ok(None);
    }
    let (sources, tokens) = sources.into_iter().unzip();
    let inbox = BackendEvents::new(Parts { sources, ..parts })?;
    Ok(Some(admin::Events { tokens, inbox: Arc::new(inbox) }))
}
