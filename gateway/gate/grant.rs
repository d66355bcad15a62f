use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use audit::{Glass, Logs};
use canonical::CanonicalRequest;
use limit::{Asker, Spent};
use policy::{Access, Caller, Decision, Denial, Facts, Headers, KeySource, Mode, Proof, RuleId, Unreadable};
use tally::Tally;
use terms::UpstreamId;

use crate::assured::Assured;
use crate::member::Member;
use crate::permit::Permit;
use crate::refusal::{Cause, Refusal, Unheard};
use crate::room::Lodged;
use crate::route::Routed;
use crate::{Arrival, Principal, Rules, Who, shared};

/// Proof that the policy grants a request: its route is public, or a role of the member grants it and none denies it; or its
/// route is in shadow, and it is told what would have been.
/// Only [`Granted::public`] and [`Granted::decide`] make one.
pub(crate) struct Granted<'r> {
    routed: Routed<'r>,
    member: Option<Member>,
    rule: Option<RuleId>,
    shadow: Option<audit::Shadow>,
    /// Why it must be, if no role grants it.
    glass: Option<Box<str>>,
}

impl<'r> Granted<'r> {
    /// A public route wants nobody's token, so it gives nobody's identity to the backend either.
    pub(crate) fn public(routed: Routed<'r>) -> Result<Self, Refusal> {
        match &routed.route().access {
            Access::Public => Ok(Self { routed, member: None, rule: None, shadow: None, glass: None }),
            // FAIL CLOSED: a guarded route never comes this way.
            Access::Guarded { .. } | Access::Services { .. } => Err(routed.refuse(Cause::Broken("public"))),
        }
    }

    pub(crate) fn decide(
        assured: Assured<'r>,
        arrival: &Arrival,
        request: &CanonicalRequest<'_>,
    ) -> Result<Self, Refusal> {
        let Assured { routed, member } = assured;
        let path = request.decoded_path();
        // FAIL CLOSED: of a tenant that the rules do not know nobody can say which roles are its own, and what they deny.
        let Some(tenant) = routed.rules().tenants().get(member.membership().tenant().as_str()) else {
            return Err(routed.refuse_as(Cause::Broken("tenant"), Who::Member(member)));
        };
        let sent = Sent(request);
        let facts = Facts {
            method: request.method().as_str(),
            host: request.host(),
            path: &path,
            client: Some(arrival.client),
            now: Some(arrival.at),
            caller: Some(caller(member.caller(), arrival)),
            tenant: Some(tenant),
            roles: member.membership().roles(),
            headers: Some(&sent),
        };
        let in_shadow = routed.route().mode == Mode::Shadow;
        match routed.rules().policy().decide(routed.route(), &facts) {
            Decision::Allow { rule } => {
                let (rule, shadow) = (rule.clone(), in_shadow.then_some(audit::Shadow { would: None }));
                Ok(Self { routed, member: Some(member), rule: Some(rule), shadow, glass: None })
            }
            Decision::BreakGlass { rule, justification } => match justification.read(Some(&sent)) {
                Ok(why) => {
                    let (rule, shadow) = (rule.clone(), in_shadow.then_some(audit::Shadow { would: None }));
                    let glass = Some(why.into());
                    Ok(Self { routed, member: Some(member), rule: Some(rule), shadow, glass })
                }
                // FAIL CLOSED: what let it through is gone.
                Err(_) => Err(routed.refuse_as(Cause::Broken("glass"), Who::Member(member))),
            },
            // What comes here was refused by nothing before, and what comes behind refuses it as it does others.
            Decision::Deny(denial) if in_shadow => {
                let (rule, would) = (denial.rule().cloned(), Some(denial.reason()));
                Ok(Self { routed, member: Some(member), rule, shadow: Some(audit::Shadow { would }), glass: None })
            }
            Decision::Deny(Denial::Unjustified { rule, justification, why }) => {
                let cause =
                    Cause::Unjustified(Box::new(Unheard { rule: rule.clone(), wanted: justification.clone(), why }));
                Err(routed.refuse_as(cause, Who::Member(member)))
            }
            Decision::Deny(denial) => {
                let cause = Cause::Denied(denial.reason(), denial.rule().cloned());
                Err(routed.refuse_as(cause, Who::Member(member)))
            }
        }
    }

    /// Finds where it goes: by the member's tenant, where the route tells tenants apart.
    pub(crate) fn place(self) -> Result<Placed<'r>, Refusal> {
        match self.routed.route().upstream.of(self.member.as_ref().map(Member::membership)) {
            Some(upstream) => Ok(Placed { upstream: upstream.clone(), granted: self }),
            // FAIL CLOSED: a tenant without a place of its own does not get into somebody else's.
            None => {
                let who = self.member.clone().map_or(Who::Nobody, Who::Member);
                Err(self.routed.refuse_as(Cause::Unplaced, who))
            }
        }
    }
}

/// What a request says in its fields.
struct Sent<'a, 'h>(&'a CanonicalRequest<'h>);

impl Headers for Sent<'_, '_> {
    fn field(&self, name: &str) -> Result<Option<&str>, Unreadable> {
        self.0.text_field(name).map_err(|_| Unreadable)
    }
}

/// Nothing of it.
impl fmt::Debug for Sent<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sent(***)")
    }
}

/// What conditions may know of whoever asks.
fn caller<'c>(caller: &'c Principal, arrival: &Arrival) -> Caller<'c> {
    let (issuer, subject) = (caller.issuer(), caller.subject());
    let none = Caller {
        issuer,
        subject,
        by: Proof::Certificate,
        acr: None,
        amr: &[],
        age: None,
        scopes: Some(""),
        claimed: &[],
    };
    match caller {
        Principal::Key(key) => Caller { by: Proof::Key(key.id()), ..none },
        Principal::Service(_) => none,
        Principal::Token(token) => {
            let now = arrival.at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let age = token.auth_time().map(|at| Duration::from_secs(now.saturating_sub(at)));
            Caller {
                by: Proof::Token,
                acr: token.acr(),
                amr: token.amr(),
                age,
                scopes: token.scopes(),
                claimed: token.claimed(),
                ..none
            }
        }
    }
}

/// Proof that a granted request has an upstream to go to. Only [`Granted::place`] makes one.
pub(crate) struct Placed<'r> {
    granted: Granted<'r>,
    upstream: UpstreamId,
}

impl<'r> Placed<'r> {
    /// Takes from all limits of the route, or from none.
    pub(crate) async fn spend(
        self,
        tally: Option<&Tally>,
        arrival: &Arrival,
        request: &CanonicalRequest<'_>,
    ) -> Result<Limited<'r>, Refusal> {
        let Self { granted, upstream } = self;
        let Granted { routed, member, rule, shadow: _, glass: _ } = &granted;
        let (rules, route) = (routed.rules(), routed.route());
        let path = request.decoded_path();
        let mut named = [None; 4];
        for (named, source) in named.iter_mut().zip(rules.policy().sources()) {
            *named = match source {
                KeySource::Header(name) => request.field(name).ok().flatten(), // of several, none
                KeySource::Path(name) => route.parameter(&path, name),
            };
        }
        let stranger = Asker { named: &named, ..Asker::stranger(arrival.client, Some(&route.id), arrival.at) };
        let asker = member.as_ref().map_or(stranger, |member| asker(member, rule.as_ref(), rules, stranger));
        match shared::spend(rules.limits(), tally, &route.limits, &asker, route.cost, arrival.started).await {
            Ok(spent) => Ok(Limited { granted, upstream, spent }),
            Err(exceeded) => {
                let who = member.clone().map_or(Who::Nobody, Who::Member);
                Err(routed.refuse_as(Cause::Limited(exceeded), who))
            }
        }
    }
}

/// What of a member tells its budgets apart.
fn asker<'a>(member: &'a Member, rule: Option<&'a RuleId>, rules: &'a Rules, stranger: Asker<'a>) -> Asker<'a> {
    let (caller, tenant) = (member.caller(), member.membership().tenant());
    let registered = rules.limits().tell_tenants_apart().then(|| rules.tenants().get(tenant.as_str())).flatten();
    Asker {
        tenant: Some(tenant),
        plan: registered.and_then(|tenant| tenant.plan.as_ref()),
        zone: registered.and_then(|tenant| tenant.time_zone.as_ref()),
        user: Some((caller.vouched_by(), caller.subject())),
        api_key: caller.key().map(|key| key.id()),
        role: rule.map(RuleId::name),
        claims: caller.token().map_or(&[], |token| token.claimed()),
        ..stranger
    }
}

/// Proof that every limit had room for a granted request.
pub(crate) struct Limited<'r> {
    granted: Granted<'r>,
    upstream: UpstreamId,
    spent: Spent,
}

impl Limited<'_> {
    /// Keeps the decision, and only then makes the permit.
    pub(crate) async fn record(
        self,
        logs: &Logs,
        arrival: &Arrival,
        request: &CanonicalRequest<'_>,
        lodged: Lodged,
    ) -> Result<Permit, Refusal> {
        let Self { granted: Granted { routed, member, rule, shadow, glass }, upstream, spent } = self;
        let granted_by = if glass.is_some() { Glass::Broken } else { Glass::Whole };
        let by = crate::verdict::By { rule: rule.as_ref(), shadow, glass: glass.as_deref() };
        let member_ref = member.as_ref();
        let open = crate::verdict::admitted(logs, arrival, request, &routed, member_ref, by, &upstream, &spent);
        match open.await {
            Ok(open) => {
                let (rules, route) = (Arc::clone(routed.rules()), Arc::clone(routed.route()));
                Ok(Permit::new(rules, route, member, upstream, spent, open, lodged).in_shadow_of(shadow).by(granted_by))
            }
            // FAIL CLOSED: a decision that cannot be kept is not served.
            Err(unavailable) => {
                let who = member.map_or(Who::Nobody, Who::Member);
                Err(routed.refuse_as(Cause::Unrecorded(unavailable), who))
            }
        }
    }
}
