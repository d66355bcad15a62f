use std::sync::Arc;

use audit::Journal;
use canonical::CanonicalRequest;
use limit::{Asker, Standing};
use policy::{Access, Decision, RuleId};

use crate::member::{Entered, Member};
use crate::permit::Permit;
use crate::refusal::{Cause, Refusal};
use crate::route::Routed;
use crate::{Arrival, Who};

/// Proof that the policy grants a request: its route is public, or a role of the member grants it and none denies it.
/// Only [`Granted::public`] and [`Granted::decide`] make one.
pub(crate) struct Granted<'r> {
    routed: Routed<'r>,
    member: Option<Member>,
    rule: Option<RuleId>,
}

impl<'r> Granted<'r> {
    /// A public route wants nobody's token, so it gives nobody's identity to the backend either.
    pub(crate) fn public(routed: Routed<'r>) -> Result<Self, Refusal> {
        match &routed.route().access {
            Access::Public => Ok(Self { routed, member: None, rule: None }),
            // FAIL CLOSED: a guarded route never comes this way.
            Access::Guarded { .. } => Err(routed.refuse(Cause::Broken("public"))),
        }
    }

    pub(crate) fn decide(entered: Entered<'r>, request: &CanonicalRequest<'_>) -> Result<Self, Refusal> {
        let Entered { routed, member } = entered;
        let roles = member.membership().roles();
        let decision = routed.rules().policy().decide(routed.route(), request.method().as_str(), roles);
        match decision {
            Decision::Allow { rule } => {
                let rule = rule.clone();
                Ok(Self { routed, member: Some(member), rule: Some(rule) })
            }
            Decision::Deny(denial) => {
                let cause = Cause::Denied(denial.reason(), denial.rule().cloned());
                Err(routed.refuse_as(cause, Who::Member(member)))
            }
        }
    }

    /// Takes from all limits of the route, or from none.
    pub(crate) fn spend(self, arrival: &Arrival) -> Result<Limited<'r>, Refusal> {
        let asker = Asker {
            tenant: self.member.as_ref().map(|member| member.membership().tenant()),
            user: self.member.as_ref().map(|member| (member.caller().issuer(), member.caller().subject())),
            client_ip: arrival.client,
            route: &self.routed.route().id,
        };
        match self.routed.rules().limits().spend(&self.routed.route().limits, &asker, arrival.started) {
            Ok(standing) => Ok(Limited { granted: self, standing }),
            Err(exceeded) => {
                let who = self.member.clone().map_or(Who::Nobody, Who::Member);
                Err(self.routed.refuse_as(Cause::Limited(exceeded), who))
            }
        }
    }
}

/// Proof that every limit had room for a granted request.
pub(crate) struct Limited<'r> {
    granted: Granted<'r>,
    standing: Standing,
}

impl Limited<'_> {
    /// Keeps the decision, and only then makes the permit.
    pub(crate) async fn record(
        self,
        journal: &Arc<Journal>,
        arrival: &Arrival,
        request: &CanonicalRequest<'_>,
    ) -> Result<Permit, Refusal> {
        let Self { granted: Granted { routed, member, rule }, standing } = self;
        let open = crate::verdict::admitted(journal, arrival, request, &routed, member.as_ref(), rule.as_ref()).await;
        match open {
            Ok(open) => {
                let (rules, route) = (Arc::clone(routed.rules()), Arc::clone(routed.route()));
                Ok(Permit::new(rules, route, member, standing, open))
            }
            // FAIL CLOSED: a decision that cannot be kept is not served.
            Err(unavailable) => {
                let who = member.map_or(Who::Nobody, Who::Member);
                Err(routed.refuse_as(Cause::Unrecorded(unavailable), who))
            }
        }
    }
}
