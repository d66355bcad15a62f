use std::collections::HashMap;
use std::time::Duration;

use terms::{Clients, IssuerId, PlanId, RegionId, TenantId};

use crate::Mfa;

/// One tenant as it is registered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tenant {
    /// Its name.
    pub id: TenantId,
    /// Whether it is served.
    pub status: Status,
    /// From which addresses.
    pub clients: Clients,
    /// Who may speak for it, of issuers and authorities; whoever a route accepts, if nothing is said about that.
    pub issuers: Option<Box<[IssuerId]>>,
    /// What it has bought.
    pub plan: Option<PlanId>,
    /// Where it is at home.
    pub region: Option<RegionId>,
    /// The longest that a session of a member's may last, since the member has proven itself.
    pub session_max: Option<Duration>,
    /// By what its members must be known, if by more than one factor.
    pub mfa: Option<Mfa>,
}

impl Tenant {
    /// One that demands nothing.
    #[must_use]
    pub fn new(id: TenantId, status: Status) -> Self {
        Self {
            id,
            status,
            clients: Clients::default(),
            issuers: None,
            plan: None,
            region: None,
            session_max: None,
            mfa: None,
        }
    }
}

/// Whether a tenant is served, from the laxest to the strictest.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Status {
    /// Served.
    Active,
    /// Registered, but every request for it is refused.
    Suspended,
    /// No more: refused as well. Its name stays, so that nobody gets it and what is on record under it.
    Closed,
}

/// All tenants there are. A look-up costs the same with ten and with ten thousand of them.
#[derive(Clone, Debug, Default)]
pub struct Registry(HashMap<TenantId, Tenant>);

impl Registry {
    /// The tenant of this name, asked with text as it came off the wire.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tenant> {
        self.0.get(name)
    }

    /// Every tenant, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Tenant> {
        self.0.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Of two tenants with one name the stricter status stays; whoever reads files refuses the second before it comes here.
impl FromIterator<Tenant> for Registry {
    fn from_iter<I: IntoIterator<Item = Tenant>>(tenants: I) -> Self {
        let mut registry = HashMap::new();
        for tenant in tenants {
            let status = tenant.status;
            let entry = registry.entry(tenant.id.clone()).or_insert(tenant);
            entry.status = entry.status.max(status); // FAIL CLOSED: of two words the stricter counts
        }
        Self(registry)
    }
}
