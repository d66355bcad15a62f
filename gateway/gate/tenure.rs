use policy::Access;
use tenancy::{Revocations, Status};
use terms::{Reason, TenantId};

use crate::assured::said;
use crate::valid::is_revoked;
use crate::{Permit, Principal, Rules};

/// What the right of a request to go on stands on, when it runs long: its token's or certificate's time, how long ago its
/// user has proven itself, and its tenant. A permit is given once; this is asked again and again.
///
/// `max_age` of the route counts to the end: if it counted at the door alone, whoever keeps a stream open would never have to
/// prove anything again. So does the longest session of the tenant, as it is by now: whoever shortens it means it at once.
///
/// Nothing else of the rules is asked: a request ends on the rules that it began with, unless its tenant is suspended or
/// closed, or its token taken back.
#[derive(Clone, Debug)]
pub struct Tenure {
    caller: Principal,
    tenant: TenantId,
    /// The last second at which its user has proven itself lately enough for the route.
    fresh_until: Option<u64>,
}

impl Tenure {
    /// Whether it still stands, by the rules and the revocations in force and at this time in seconds since the Unix epoch.
    ///
    /// # Errors
    /// Why it has ended.
    pub fn stands(&self, rules: &Rules, kept: &Revocations, now: u64) -> Result<(), Reason> {
        // The leeway is for clocks that differ at the door. Inside, nothing lasts beyond `exp`.
        if now >= self.caller.expires_at() {
            return Err(Reason::StreamExpired);
        }
        if is_revoked(&self.caller, &self.tenant, rules, kept) {
            return Err(Reason::StreamRevoked);
        }
        let tenant = rules.tenants().get(self.tenant.as_str()).ok_or(Reason::TenantUnknown)?;
        match tenant.status {
            Status::Active => {}
            Status::Closed => return Err(Reason::TenantClosed),
            Status::Suspended => return Err(Reason::TenantSuspended),
            Status::Unreadable => return Err(Reason::TenantUnavailable),
        }
        let is_fresh = self.fresh_until.is_none_or(|until| now <= until);
        let session_lasts = self.caller.token().is_none_or(|token| tenant.session_lasts(&said(token), now));
        if is_fresh && session_lasts { Ok(()) } else { Err(Reason::StreamStale) }
    }
}

impl Permit {
    /// What this request's right to go on stands on. On a public route nobody asks, and nothing ends it.
    #[must_use]
    pub fn tenure(&self) -> Option<Tenure> {
        let member = self.member()?;
        let fresh_until = match (&self.route().access, member.caller().token()) {
            (Access::Guarded { demands, .. }, Some(token)) => demands.authentication.lasts_until(&said(token)),
            (Access::Guarded { .. } | Access::Public | Access::Services { .. }, _) => None,
        };
        Some(Tenure { caller: member.caller().clone(), tenant: member.membership().tenant().clone(), fresh_until })
    }
}
