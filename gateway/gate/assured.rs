use std::time::UNIX_EPOCH;

use policy::Access;
use tenancy::Authenticated;
use token::Caller;

use crate::member::Member;
use crate::origin::Present;
use crate::refusal::{Cause, Refusal};
use crate::route::Routed;
use crate::{Arrival, Principal, Who};

/// Proof that whoever a token speaks of has proven itself as well, and as lately, as the route and the tenant demand. Only
/// [`Assured::check`] makes one.
pub(crate) struct Assured<'r> {
    pub(crate) routed: Routed<'r>,
    pub(crate) member: Member,
}

impl<'r> Assured<'r> {
    /// Asked on every request, since what was young enough does not stay so. Of users alone: a program that shows a
    /// certificate or a key has no factors.
    pub(crate) fn check(present: Present<'r>, arrival: &Arrival) -> Result<Self, Refusal> {
        let Present { routed, member } = present;
        let found = match member.caller() {
            Principal::Key(_) | Principal::Service(_) => Ok(()),
            Principal::Token(token) => enough(&routed, &member, token, arrival),
        };
        match found {
            Ok(()) => Ok(Self { routed, member }),
            Err(cause) => Err(routed.refuse_as(cause, Who::Member(member))),
        }
    }
}

fn enough(routed: &Routed<'_>, member: &Member, token: &Caller, arrival: &Arrival) -> Result<(), Cause> {
    // FAIL CLOSED: before 1970 everything is still to come.
    let now = arrival.at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let said = said(token);
    if let Access::Guarded { demands, .. } = &routed.route().access {
        demands.authentication.met_by(&said, now).map_err(Cause::Insufficient)?;
    }
    // FAIL CLOSED: rules that do not know the tenant cannot say what it demands.
    let tenant = routed.rules().tenants().get(member.membership().tenant().as_str());
    tenant.ok_or(Cause::Broken("tenant"))?.is_content_with(&said, now).map_err(Cause::Insufficient)
}

/// What a token says about how its subject has proven itself.
pub(crate) fn said(token: &Caller) -> Authenticated<'_> {
    Authenticated { acr: token.acr(), amr: token.amr(), at: token.auth_time(), issued_at: token.issued_at() }
}
