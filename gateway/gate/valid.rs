use tenancy::{Credential, Revocations};

use crate::member::{Entered, Member};
use crate::refusal::{Cause, Refusal};
use crate::route::Routed;
use crate::{Principal, Rules, Who};

/// Proof that a member's token was not taken back. Only [`Valid::check`] makes one.
pub(crate) struct Valid<'r> {
    pub(crate) routed: Routed<'r>,
    pub(crate) member: Member,
}

impl<'r> Valid<'r> {
    pub(crate) fn check(entered: Entered<'r>, kept: &Revocations) -> Result<Self, Refusal> {
        let Entered { routed, member } = entered;
        if is_revoked(member.caller(), member.membership().tenant(), routed.rules(), kept) {
            return Err(routed.refuse_as(Cause::Revoked, Who::Member(member)));
        }
        Ok(Self { routed, member })
    }
}

/// Whether what a caller proved itself with was taken back: in the policy, or by somebody who said so to the gateway.
/// Certificates are taken back by the lists of their authorities.
pub(crate) fn is_revoked(caller: &Principal, tenant: &terms::TenantId, rules: &Rules, kept: &Revocations) -> bool {
    caller.token().is_some_and(|token| {
        let (subject, issued_at) = (token.subject(), token.issued_at());
        let revoked = |issuer| {
            let credential = Credential { issuer, subject, jti: token.jti(), sid: token.sid(), issued_at };
            rules.policy().revocations().revoke(&credential, tenant) || kept.revoke(&credential, tenant)
        };
        // Where each tenant has an issuer of its own, it speaks of its own subjects; whoever names them all means all.
        revoked(token.vouched_by()) || (token.realm().is_some() && revoked(token.issuer()))
    })
}
