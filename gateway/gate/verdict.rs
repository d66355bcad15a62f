use std::time::Duration;

use audit::{Decision, End, Entry, Glass, Logs, Open, Outcome, Unavailable, WithoutStore};
use canonical::CanonicalRequest;
use limit::{Exceeded, OnLoss, Spent};
use policy::{OnFailure, Promise, Route, RuleId};
use terms::{Reason, UpstreamId};

use crate::refusal::{Cause, Refusal};
use crate::route::Routed;
use crate::{Arrival, Member, Principal, Rules, Seen, Who, veil};

/// What a request may be forwarded by.
#[derive(Clone, Copy)]
pub(crate) struct By<'a> {
    /// The rule that grants it; in shadow the one that would deny it.
    pub(crate) rule: Option<&'a RuleId>,
    /// What authorisation said, where it keeps nobody out.
    pub(crate) shadow: Option<audit::Shadow>,
    /// Why it must be, if no role grants it.
    pub(crate) glass: Option<&'a str>,
}

/// Keeps the record of a request that may be forwarded, as its route promises: in the journal that survives us, or on
/// disk. What comes back is finished when the response is.
#[expect(clippy::too_many_arguments, reason = "each is one part of what the record says")]
pub(crate) async fn admitted(
    logs: &Logs,
    arrival: &Arrival,
    request: &CanonicalRequest<'_>,
    routed: &Routed<'_>,
    member: Option<&Member>,
    by: By<'_>,
    upstream: &UpstreamId,
    spent: &Spent,
) -> Result<Open, Unavailable> {
    let (route, rules) = (routed.route(), routed.rules());
    let sealed = member.map_or(Ok(None), |member| veil::seal(member, arrival, request.user_agent(), by.glass))?;
    let tenant = member.map(|member| member.membership().tenant());
    let journal = logs.take(rules.retention(tenant));
    let entry = Entry {
        tenant,
        subject: member.and_then(|member| veil::name(member, journal)),
        personal: member.and_then(|member| veil::personal(member, sealed.as_ref())),
        issuer: member.map(|member| member.caller().vouched_by()),
        roles: member.map(|member| &**member.membership().roles()),
        key: member.and_then(|member| member.caller().key()).map(|key| key.id()),
        method: Some(request.method().as_str()),
        host: Some(request.host()),
        route: Some(&route.id),
        rule: by.rule.map(RuleId::as_str),
        limit: spent.standing.would_refuse().find_map(|level| rules.limits().limit(level.limit)).map(|limit| &limit.id),
        limit_store: spent.standing.lost().map(without_store),
        shadow: by.shadow,
        glass: if by.glass.is_some() { Glass::Broken } else { Glass::Whole },
        policy: Some(rules.digest()),
        upstream: Some(upstream),
        ..entry(arrival, Decision::Allow, Reason::Allowed)
    };
    let open = match route.audit {
        // Whatever the route promises: this is what will be asked about.
        Promise::Standard(_) if by.glass.is_some() => journal.begin_strict(&entry).await,
        Promise::Standard(OnFailure::Deny) => journal.begin(&entry),
        Promise::Standard(OnFailure::Spill) => journal.begin_spilling(&entry),
        Promise::Standard(OnFailure::InsecureAllow) => journal.begin_in_any_case(&entry),
        Promise::Strict => journal.begin_strict(&entry).await,
    };
    open.inspect_err(|_| logs.give_back(journal))
}

/// Keeps the record of a refusal, which is final: nothing comes after the answer.
pub(crate) fn refused(
    logs: &Logs,
    arrival: &Arrival,
    seen: Seen<'_>,
    refusal: &Refusal,
    sent: u64,
) -> Result<(), Unavailable> {
    let member = if let Who::Member(member) = refusal.who() { Some(member) } else { None };
    let (caller, tenant) = match (refusal.who(), refusal.cause()) {
        (Who::Member(member), _) => (Some(member.caller()), Some(member.membership().tenant())),
        (Who::Caller(caller), Cause::Outsider(outsider)) => (Some(caller), outsider.tenant()),
        (Who::Caller(caller), _) => (Some(caller), None),
        (Who::Nobody, _) => (None, None),
    };
    let journal = logs.take(refusal.rules().retention(tenant));
    // What is refused is on record in any case, also where nothing can be sealed.
    let sealed = member.and_then(|member| veil::seal(member, arrival, seen.user_agent, None).ok().flatten());
    let rule = refusal.rule();
    let exceeded = if let Cause::Limited(exceeded) = refusal.cause() { Some(exceeded) } else { None };
    let limits = refusal.rules().limits();
    let entry = Entry {
        tenant,
        subject: match member {
            Some(member) => veil::name(member, journal),
            None => caller.map(|caller| journal.pseudonym(caller.vouched_by(), caller.subject())),
        },
        personal: member.and_then(|member| veil::personal(member, sealed.as_ref())),
        issuer: caller.map(Principal::vouched_by),
        roles: member.map(|member| &**member.membership().roles()),
        key: caller.and_then(Principal::key).map(|key| key.id()),
        method: seen.method,
        host: seen.host,
        route: refusal.route().map(|route| &route.id),
        rule: rule.map(RuleId::as_str),
        limit: exceeded.and_then(Exceeded::deciding).and_then(|level| limits.limit(level.limit)).map(|limit| &limit.id),
        limit_store: exceeded.and_then(|exceeded| exceeded.standing().lost()).map(without_store),
        policy: Some(refusal.rules().digest()),
        ..entry(arrival, Decision::Deny, refusal.reason())
    };
    let end = if matches!(refusal.cause(), Cause::Unparsed(_)) { End::Unparsed } else { End::Complete };
    let status = (!matches!(refusal.cause(), Cause::Unparsed(_))).then(|| refusal.answer().status.as_u16());
    journal.whole(&entry, &Outcome { status, bytes_out: sent, took: took(arrival), end, ..Outcome::default() })
}

/// Keeps the record of a preflight that we answer ourselves, which is final.
pub(crate) fn preflight(
    logs: &Logs,
    arrival: &Arrival,
    request: &CanonicalRequest<'_>,
    route: &Route,
    rules: &Rules,
) -> Result<(), Unavailable> {
    let entry = Entry {
        method: Some(request.method().as_str()),
        host: Some(request.host()),
        route: Some(&route.id),
        policy: Some(rules.digest()),
        ..entry(arrival, Decision::Allow, Reason::CorsPreflight)
    };
    let status = Some(crate::Answer::to(Reason::CorsPreflight).status.as_u16());
    logs.first().whole(&entry, &Outcome { status, took: took(arrival), end: End::Complete, ..Outcome::default() })
}

/// What is known of every request.
fn entry<'a>(arrival: &Arrival, decision: Decision, reason: Reason) -> Entry<'a> {
    Entry {
        client: Some(arrival.client),
        protocol: arrival.protocol,
        deciding: Some(took(arrival)),
        trace: Some(arrival.trace),
        ..Entry::new(arrival.id, arrival.at, decision, reason)
    }
}

const fn without_store(lost: OnLoss) -> WithoutStore {
    match lost {
        OnLoss::Allow => WithoutStore::Allow,
        OnLoss::Deny => WithoutStore::Deny,
        OnLoss::LocalShare => WithoutStore::LocalShare,
    }
}

fn took(arrival: &Arrival) -> Duration {
    arrival.started.elapsed()
}
