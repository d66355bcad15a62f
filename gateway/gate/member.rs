use std::sync::Arc;

use canonical::CanonicalRequest;
use directory::{Directory, Question, Unavailable};
use policy::{Access, TenantSource};
use tenancy::{Identity, Members, Membership, MembershipSource, Named, Naming, Outsider, Registry, Source};
use terms::RoleName;

use crate::holder::Held;
use crate::refusal::{Cause, Refusal};
use crate::route::Routed;
use crate::veil::Veil;
use crate::vouch::Confined;
use crate::{Arrival, Principal, Who};

/// A caller inside its tenant.
#[derive(Clone, Debug)]
pub struct Member {
    caller: Principal,
    membership: Membership,
    veil: Veil,
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

    /// What records have in place of the caller's name.
    pub(crate) const fn veil(&self) -> &Veil {
        &self.veil
    }

    pub(crate) fn veiled(self, veil: Veil) -> Self {
        Self { veil, ..self }
    }
}

/// Proof that the caller is a member of the tenant that every source names. Only [`Entered::enter`] makes one.
pub(crate) struct Entered<'r> {
    pub(crate) routed: Routed<'r>,
    pub(crate) member: Member,
}

impl<'r> Entered<'r> {
    pub(crate) async fn enter(
        held: Held<'r>,
        directory: Option<&Directory>,
        arrival: &Arrival,
        request: &CanonicalRequest<'_>,
    ) -> Result<Self, Refusal> {
        let Held { routed, caller } = held;
        let sources: &[TenantSource] = match &routed.route().access {
            Access::Guarded { tenant_from, .. } | Access::Services { tenant_from, .. } => tenant_from,
            Access::Public => &[],
        };
        let confined = Confined::by(arrival, &routed);
        // Every kind of source stands at most once in a route, so five places are enough; none is left out silently.
        let mut named = [Named { source: Source::Token, tenant: None }; 5];
        let Some(named) = named.get_mut(..sources.len()) else {
            return Err(routed.refuse_as(Cause::Broken("tenant_sources"), Who::Caller(caller)));
        };
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
        let asked = named.iter().filter(|place| place.source != Source::Token).find_map(|place| place.tenant);
        let acting = match Acting::of(&caller, asked, routed.rules().tenants()) {
            Ok(acting) => acting,
            Err(outsider) => return Err(routed.refuse_as(Cause::Outsider(outsider), Who::Caller(caller))),
        };
        for place in named.iter_mut().filter(|place| place.source == Source::Token) {
            place.tenant = acting.tenant;
        }
        let naming = if caller.token().is_some() { Naming::Foreign } else { Naming::Ours };
        let (members, speaks_for) = match &caller {
            Principal::Key(_) | Principal::Service(_) => (MembershipSource::Claims, None), // its roles come with it
            Principal::Token(token) => match policy.voucher(token.issuer()) {
                Some(voucher) => (voucher.members, voucher.tenants.as_deref()),
                // FAIL CLOSED: rules that do not know the issuer cannot say who its members are.
                None => return Err(routed.refuse_as(Cause::Broken("voucher"), Who::Caller(caller))),
            },
        };
        let identity = Identity {
            issuer: caller.issuer(),
            subject: caller.subject(),
            tenant: acting.tenant,
            roles: acting.roles,
            members,
            naming,
            speaks_for,
            realm: caller.token().and_then(|token| token.realm()),
            confined_to: confined.as_ref().map(Confined::tenants),
        };
        // ORDER: whatever can be said without the directory comes first, so that it is asked for nobody who is refused anyway.
        let entered = match tenancy::locate(&identity, named, routed.rules().tenants()) {
            Ok(located) => match located.asks_directory() {
                None => located.join(None),
                Some(tenant) => {
                    let question = Question { issuer: caller.issuer(), tenant, subject: caller.subject() };
                    match known(question, directory, policy.members()).await {
                        Ok(roles) => located.join(roles),
                        // FAIL CLOSED: who cannot be shown to belong there does not get in, and that is an outage of ours.
                        Err(Unavailable) => Err(located.unavailable()),
                    }
                }
            },
            Err(outsider) => Err(outsider),
        };
        match entered {
            Ok(membership) => Ok(Self { routed, member: Member { caller, membership, veil: Veil::Unknown } }),
            Err(outsider) => Err(routed.refuse_as(Cause::Outsider(outsider), Who::Caller(caller))),
        }
    }
}

/// What the directory knows of somebody: the one in the database, where there is one, or that of the policy files.
async fn known(
    question: Question<'_>,
    directory: Option<&Directory>,
    files: &Members,
) -> Result<Option<Arc<[RoleName]>>, Unavailable> {
    match directory {
        Some(directory) => directory.roles(question).await,
        None => Ok(files.roles(question.tenant, question.subject).cloned()),
    }
}

/// The tenant that a caller acts for as far as its token says, and what it is there.
struct Acting<'c> {
    tenant: Option<&'c str>,
    roles: &'c Arc<[RoleName]>,
}

impl<'c> Acting<'c> {
    /// Of several tenants that a token lists, the one that the request asks for.
    fn of(caller: &'c Principal, asked: Option<&str>, registry: &Registry) -> Result<Self, Outsider> {
        let Some(listed) = caller.token().and_then(|token| token.belongings()) else {
            return Ok(Self { tenant: caller.tenant(), roles: caller.roles() });
        };
        let chosen = tenancy::choose(listed.iter().map(|belonging| &*belonging.tenant), asked, registry)?;
        let chosen = listed.get(chosen);
        let roles = chosen.and_then(|belonging| belonging.roles.as_ref()).unwrap_or_else(|| caller.roles());
        Ok(Self { tenant: chosen.map(|belonging| &*belonging.tenant), roles })
    }
}
