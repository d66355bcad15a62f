use tenancy::{Revocations, Status};
use terms::{Reason, TenantId};

use crate::valid::is_revoked;
use crate::{Permit, Principal, Rules};

/// What the right of a request to go on stands on, when it runs long: its token's or certificate's time, and its
/// tenant. A permit is given
/// once; this is asked again and again.
///
/// Nothing else of the rules is asked: a request ends on the rules that it began with, unless its tenant is suspended or its
/// token taken back.
#[derive(Clone, Debug)]
pub struct Tenure {
    caller: Principal,
    tenant: TenantId,
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
        match rules.policy().tenants().get(self.tenant.as_str()).map(|tenant| tenant.status) {
            Some(Status::Active) => Ok(()),
            Some(Status::Suspended) => Err(Reason::TenantSuspended),
            None => Err(Reason::TenantUnknown),
        }
    }
}

impl Permit {
    /// What this request's right to go on stands on. On a public route nobody asks, and nothing ends it.
    #[must_use]
    pub fn tenure(&self) -> Option<Tenure> {
        let member = self.member()?;
        Some(Tenure { caller: member.caller().clone(), tenant: member.membership().tenant().clone() })
    }
}
