use tenancy::{Credential, Revocations};

use crate::member::Member;
use crate::refusal::{Cause, Refusal};
use crate::route::Routed;
use crate::veil::Veiled;
use crate::{Principal, Rules, Who};

/// Proof that a member's token was not taken back. Only [`Valid::check`] makes one.
pub(crate) struct Valid<'r> {
    pub(crate) routed: Routed<'r>,
    pub(crate) member: Member,
}

impl<'r> Valid<'r> {
    pub(crate) fn check(veiled: Veiled<'r>, kept: &Revocations) -> Result<Self, Refusal> {
        let Veiled { routed, member } = veiled;
        if is_revoked(member.caller(), member.membership().tenant(), routed.rules(), kept) {
            return Err(routed.refuse_as(Cause::Revoked, Who::Member(member)));
        }
        Ok(Self { routed, member })
    }
}

/// Whether what a caller proved itself with was taken back: in the policy, or by somebody who said so to the gateway.
/// Certificates are taken back by the lists of their authorities.
pub(crate) fn is_revoked(caller: &Principal, tenant: &terms::TenantId, rules: &Rules, kept: &Revocations) -> bool {
    let revoked = |credential: &Credential<'_>| {
        rules.policy().revocations().revoke(credential, tenant) || kept.revoke(credential, tenant)
    };
    match caller {
        Principal::Key(key) => {
            let (issuer, subject, jti) = (key.issuer(), key.subject(), Some(key.id()));
            let issued_at = Some(key.made());
            key.is_revoked() || revoked(&Credential { issuer, subject, jti, sid: None, issued_at })
        }
        Principal::Service(_) => false,
        Principal::Token(token) => {
            let (subject, jti, sid, issued_at) = (token.subject(), token.jti(), token.sid(), token.issued_at());
            let by = |issuer| revoked(&Credential { issuer, subject, jti, sid, issued_at });
            // Where each tenant has an issuer of its own, it speaks of its own subjects; whoever names them all means all.
            by(token.vouched_by()) || (token.realm().is_some() && by(token.issuer()))
        }
    }
}
