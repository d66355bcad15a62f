use canonical::CanonicalRequest;
use policy::{Access, TenantSource};
use tenancy::{Identity, Membership, MembershipSource, Named, Source};

use crate::holder::Held;
use crate::refusal::{Cause, Refusal};
use crate::route::Routed;
use crate::vouch::Confined;
use crate::{Arrival, Principal, Who};

/// A caller inside its tenant.
#[derive(Clone, Debug)]
pub struct Member {
    caller: Principal,
    membership: Membership,
}

impl Member {
    /// Who the token or the certificate says it is.
    #[must_use]
    pub const fn caller(&self) -> &Principal {
        &self.caller
    }

    /// The tenant, and what the caller is there.
    #[must_use]
    pub const fn membership(&self) -> &Membership {
        &self.membership
    }
}

/// Proof that the caller is a member of the tenant that every source names. Only [`Entered::enter`] makes one.
pub(crate) struct Entered<'r> {
    pub(crate) routed: Routed<'r>,
    pub(crate) member: Member,
}

impl<'r> Entered<'r> {
    pub(crate) fn enter(held: Held<'r>, arrival: &Arrival, request: &CanonicalRequest<'_>) -> Result<Self, Refusal> {
        let Held { routed, caller } = held;
        let sources: &[TenantSource] = match &routed.route().access {
            Access::Guarded { tenant_from, .. } | Access::Services { tenant_from, .. } => tenant_from,
            Access::Public => &[],
        };
        let confined = Confined::by(arrival, &routed);
        // Every kind of source stands at most once in a route, so five places are enough; none is left out silently.
        let mut named = [Named { source: Source::Token, tenant: None }; 5];
        if sources.len() > named.len() {
            return Err(routed.refuse_as(Cause::Broken("tenant_sources"), Who::Caller(caller)));
        }
        for (place, source) in named.iter_mut().zip(sources) {
            *place = match source {
                TenantSource::Certificate => {
                    Named { source: Source::Certificate, tenant: confined.as_ref().and_then(Confined::tenant) }
                }
                TenantSource::Token => Named { source: Source::Token, tenant: caller.tenant() },
                TenantSource::Host => Named { source: Source::Host, tenant: routed.tenant_in_host },
                TenantSource::Path => Named { source: Source::Path, tenant: routed.tenant_in_path.as_deref() },
                TenantSource::Header(name) => match request.field(name) {
                    Ok(tenant) => Named { source: Source::Header, tenant },
                    Err(malformed) => {
                        return Err(routed.refuse_as(Cause::Malformed(malformed), Who::Caller(caller)));
                    }
                },
            };
        }
        let policy = routed.rules().policy();
        let (members, speaks_for) = match &caller {
            Principal::Service(_) => (MembershipSource::Claims, None), // its roles come with it
            Principal::Token(token) => match policy.voucher(token.issuer()) {
                Some(voucher) => (voucher.members, voucher.tenants.as_deref()),
                // FAIL CLOSED: rules that do not know the issuer cannot say who its members are.
                None => return Err(routed.refuse_as(Cause::Broken("voucher"), Who::Caller(caller))),
            },
        };
        let identity = Identity {
            issuer: caller.issuer(),
            subject: caller.subject(),
            tenant: caller.tenant(),
            roles: caller.roles(),
            members,
            speaks_for,
            realm: caller.token().and_then(|token| token.realm()),
            confined_to: confined.as_ref().map(Confined::tenants),
        };
        let entered =
            tenancy::enter(&identity, named.get(..sources.len()).unwrap_or(&named), policy.tenants(), policy.members());
        match entered {
            Ok(membership) => Ok(Self { routed, member: Member { caller, membership } }),
            Err(outsider) => Err(routed.refuse_as(Cause::Outsider(outsider), Who::Caller(caller))),
        }
    }
}
