use std::collections::HashSet;
use std::sync::Arc;

use terms::{Binding, IssuerId, Nonce, Reason, RoleName, Subject, TenantId};

use crate::{Members, Registry, Status};

/// What a verified token says about its bearer.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Who issued the token.
    pub issuer: &'a IssuerId,
    /// Whom it speaks of.
    pub subject: &'a Subject,
    /// The tenant that it names, if it names one.
    pub tenant: Option<&'a str>,
    /// The roles that it carries. They count only with [`MembershipSource::Claims`].
    pub roles: &'a Arc<[RoleName]>,
    /// Where this issuer's members are known from.
    pub members: MembershipSource,
    /// Whose names for roles those are.
    pub naming: Naming,
    /// The tenants that this issuer may speak for; all of them, if nothing is said about that.
    pub speaks_for: Option<&'a HashSet<TenantId>>,
    /// The only tenant that the issuer may speak for, if it is one of those that each tenant has one of.
    pub realm: Option<&'a TenantId>,
    /// The tenants that the client's certificate may speak for, if it has shown one.
    pub confined_to: Option<&'a HashSet<TenantId>>,
}

/// What is known of an issuer, besides how its tokens are verified in particular.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Voucher {
    /// Where its members are known from.
    pub members: MembershipSource,
    /// The tenants that it may speak for; all of them, if nothing is said about that.
    pub tenants: Option<Arc<HashSet<TenantId>>>,
    /// What its tokens must be bound to: at least one of these. Whatever they say, if nothing is said about that.
    pub bound_to: Vec<Binding>,
    /// Whether proofs that come with them must have a nonce of ours.
    pub nonce: Nonce,
    /// What becomes of tokens that do not say whose they are.
    pub opaque: OpaqueTokens,
}

/// What becomes of tokens that do not say whose they are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OpaqueTokens {
    /// This issuer is asked about them. Of all those that one route accepts, one may be.
    Asked,
    /// None is this issuer's.
    #[default]
    Refused,
}

/// One that may speak for every tenant, by tokens that are bound or not.
impl From<MembershipSource> for Voucher {
    fn from(members: MembershipSource) -> Self {
        Self { members, tenants: None, bound_to: Vec::new(), nonce: Nonce::None, opaque: OpaqueTokens::Refused }
    }
}

/// Where it is known from who belongs to a tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MembershipSource {
    /// The token says so, and with which roles. It must then name the tenant.
    Claims,
    /// The directory says so. Roles in the token count for nothing.
    Directory,
    /// Either says so, and the roles of both count. Of a tenant that the token does not name the directory alone speaks.
    Union,
}

/// Whose names the roles have that come with somebody.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Naming {
    /// An issuer's, which the tenant may bind to roles.
    Foreign,
    /// The platform's own: it gave them out itself.
    Ours,
}

/// A place in a request that names a tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The certificate that the client has shown.
    Certificate,
    /// A header field that the route names.
    Header,
    /// The first label of the host.
    Host,
    /// The path segment that the route calls `{tenant}`.
    Path,
    /// A claim of the token.
    Token,
}

/// What one source that the route demands says.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// Which source.
    pub source: Source,
    /// The tenant it names; `None` if it is silent.
    pub tenant: Option<&'a str>,
}

/// Proof that a caller acts inside a tenant that is registered, active and its own. Only [`Located::join`] makes
/// one.
#[derive(Clone, Debug)]
pub struct Membership {
    tenant: TenantId,
    roles: Arc<[RoleName]>,
}

impl Membership {
    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// What the caller is there.
    #[must_use]
    pub fn roles(&self) -> &Arc<[RoleName]> {
        &self.roles
    }
}

/// A caller who does not get in.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{why}")]
pub struct Outsider {
    why: Why,
    tenant: Option<TenantId>,
}

/// Why a caller does not get in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Why {
    /// The tenant is no more.
    #[error("the tenant is closed")]
    Closed,
    /// The issuer of the token does not speak for this tenant, or this tenant does not let it.
    #[error("the issuer may not speak for this tenant")]
    Issuer,
    /// The sources do not all name the same tenant, or one that must speak is silent.
    #[error("the sources do not name the same tenant")]
    Mismatch,
    /// The directory does not know the subject in this tenant.
    #[error("the subject is not a member of this tenant")]
    NotMember,
    /// The tenant is not served.
    #[error("the tenant is suspended")]
    Suspended,
    /// What must be known of the tenant or of its members cannot be had at the moment.
    #[error("it cannot be found out whether the subject belongs to this tenant")]
    Unavailable,
    /// No source names a tenant, or one that is not registered.
    #[error("no registered tenant is named")]
    Unknown,
}

impl Outsider {
    /// Why.
    #[must_use]
    pub fn why(&self) -> Why {
        self.why
    }

    /// The registered tenant whose record this belongs in: the one that was asked for, or, when the sources disagree,
    /// the one that the token names.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }

    /// The word for it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self.why {
            Why::Closed => Reason::TenantClosed,
            Why::Issuer => Reason::TenantIssuer,
            Why::Mismatch => Reason::TenantMismatch,
            Why::NotMember => Reason::TenantNotMember,
            Why::Suspended => Reason::TenantSuspended,
            Why::Unavailable => Reason::TenantUnavailable,
            Why::Unknown => Reason::TenantUnknown,
        }
    }
}

/// Lets a caller into the tenant that every source agrees on, by a directory that is at hand.
///
/// # Errors
/// [`Outsider`], whose [`Outsider::reason`] is one of the `tenant.*` words.
pub fn enter(
    identity: &Identity<'_>,
    named: &[Named<'_>],
    registry: &Registry,
    members: &Members,
) -> Result<Membership, Outsider> {
    let located = locate(identity, named, registry)?;
    let known = located.asks_directory().and_then(|tenant| members.roles(tenant, identity.subject)).cloned();
    located.join(known)
}

/// Finds the tenant that a caller asks for, and holds it to everything that can be said without its directory: who is refused
/// here makes nobody look anything up.
///
/// `named` has one entry for each source that the route demands. A tenant in the token must agree even where the route
/// does not ask for it, and must be there where the token is what says who is a member.
///
/// # Errors
/// [`Outsider`], whose [`Outsider::reason`] is one of the `tenant.*` words.
pub fn locate<'a>(
    identity: &Identity<'a>,
    named: &[Named<'_>],
    registry: &'a Registry,
) -> Result<Located<'a>, Outsider> {
    let registered = |name: &str| registry.get(name).map(|tenant| tenant.id.clone());
    let refuse = |why, tenant| Err(Outsider { why, tenant });

    let Some(name) = identity.tenant.or_else(|| named.iter().find_map(|source| source.tenant)) else {
        return refuse(Why::Unknown, None);
    };
    let token_agrees = match (identity.members, identity.tenant) {
        (MembershipSource::Claims, None) => false, // FAIL CLOSED: who says who is a member must say of what
        (MembershipSource::Directory | MembershipSource::Union, None) => true,
        (_, Some(_)) => true, // it is what the others agree with
    };
    // FAIL CLOSED: a source that the route demands and that is silent disagrees.
    let certificate_agrees = identity.confined_to.is_none_or(|tenants| tenants.contains(name));
    if !token_agrees || !certificate_agrees || named.iter().any(|source| source.tenant != Some(name)) {
        return refuse(Why::Mismatch, identity.tenant.and_then(registered));
    }
    // FAIL CLOSED: whoever does not know yet which tenants there are takes none for unknown, and none for served.
    if registry.is_unread() {
        return refuse(Why::Unavailable, registered(name));
    }
    let Some(tenant) = registry.get(name) else {
        return refuse(Why::Unknown, None);
    };
    let is_theirs = identity.realm.is_none_or(|realm| realm.as_str() == name);
    let speaks = is_theirs && identity.speaks_for.is_none_or(|tenants| tenants.contains(name));
    let is_let = tenant.issuers.as_ref().is_none_or(|issuers| issuers.contains(identity.issuer));
    if !speaks || !is_let {
        return refuse(Why::Issuer, Some(tenant.id.clone()));
    }
    match tenant.status {
        Status::Active => {}
        Status::Closed => return refuse(Why::Closed, Some(tenant.id.clone())),
        Status::Suspended => return refuse(Why::Suspended, Some(tenant.id.clone())),
        Status::Unreadable => return refuse(Why::Unavailable, Some(tenant.id.clone())),
    }
    let in_token = match identity.members {
        MembershipSource::Claims | MembershipSource::Union => identity.tenant.map(|_| identity.roles),
        MembershipSource::Directory => None,
    };
    // FAIL CLOSED: where names are bound, one that is not is worth nothing, whatever role is called so.
    let bindings = tenant.bindings.as_ref().filter(|_| identity.naming == Naming::Foreign);
    let in_token = in_token.map(|names| bindings.map_or_else(|| Arc::clone(names), |bindings| bindings.roles(names)));
    Ok(Located { tenant: &tenant.id, in_token, members: identity.members })
}

/// Proof that a caller asks for a tenant that every source names, that is served, and for which its issuer may speak. Whether
/// the caller belongs there may still be for the directory to say. Only [`locate`] makes one.
#[derive(Clone, Debug)]
pub struct Located<'a> {
    tenant: &'a TenantId,
    in_token: Option<Arc<[RoleName]>>,
    members: MembershipSource,
}

impl<'a> Located<'a> {
    /// The tenant whose directory is to be asked, if it is one that says who is a member.
    ///
    /// Also where the token alone would do: of the roles of both, one in the directory may deny something.
    #[must_use]
    pub const fn asks_directory(&self) -> Option<&'a TenantId> {
        match self.members {
            MembershipSource::Claims => None,
            MembershipSource::Directory | MembershipSource::Union => Some(self.tenant),
        }
    }

    /// Lets the caller in, with the roles that the directory knows of it there; `None`: it knows of none.
    ///
    /// # Errors
    /// [`Outsider`], for the reason `tenant.not_member`.
    pub fn join(self, in_directory: Option<Arc<[RoleName]>>) -> Result<Membership, Outsider> {
        let roles = match self.members {
            MembershipSource::Claims => self.in_token,
            MembershipSource::Directory => in_directory,
            MembershipSource::Union => both(self.in_token, in_directory),
        };
        match roles {
            Some(roles) => Ok(Membership { tenant: self.tenant.clone(), roles }),
            None => Err(Outsider { why: Why::NotMember, tenant: Some(self.tenant.clone()) }),
        }
    }

    /// Keeps the caller out, since the directory could not be asked.
    #[must_use]
    pub fn unavailable(self) -> Outsider {
        Outsider { why: Why::Unavailable, tenant: Some(self.tenant.clone()) }
    }
}

/// The roles of both. They are put together for each request: what the directory says may change from one to the next.
fn both(one: Option<Arc<[RoleName]>>, other: Option<Arc<[RoleName]>>) -> Option<Arc<[RoleName]>> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let more = other.iter().filter(|role| !one.contains(role));
            Some(one.iter().chain(more).cloned().collect())
        }
        (roles, None) | (None, roles) => roles,
    }
}

/// Which of several tenants a request is about, of those that its token lists: the one that another place of the request names,
/// or the only one.
///
/// # Errors
/// [`Outsider`], for the reason `tenant.not_member` if the token does not list it, or `tenant.unknown` if nothing names one.
pub fn choose<'a>(
    listed: impl Iterator<Item = &'a str> + Clone,
    asked: Option<&str>,
    registry: &Registry,
) -> Result<usize, Outsider> {
    let refuse = |why, name: Option<&str>| {
        Err(Outsider { why, tenant: name.and_then(|name| registry.get(name)).map(|tenant| tenant.id.clone()) })
    };
    match asked {
        Some(name) => listed.clone().position(|one| one == name).map_or_else(|| refuse(Why::NotMember, asked), Ok),
        None if listed.clone().take(2).count() == 1 => Ok(0),
        None => refuse(Why::Unknown, None), // FAIL CLOSED: nobody guesses
    }
}

/// Holds a client without a token to its certificate: it asks for no tenant that the certificate may not speak for.
///
/// # Errors
/// [`Outsider`], for the reason `tenant.mismatch`.
pub fn confine(named: &[Option<&str>], tenants: &HashSet<TenantId>) -> Result<(), Outsider> {
    if named.iter().flatten().all(|name| tenants.contains(*name)) {
        Ok(())
    } else {
        Err(Outsider { why: Why::Mismatch, tenant: None })
    }
}

#[cfg(test)]
mod tests;
