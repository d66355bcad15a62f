use std::collections::HashMap;

use terms::{Clients, IssuerId, TenantId};

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
}

/// Whether a tenant is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// Served.
    Active,
    /// Registered, but every request for it is refused.
    Suspended,
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

/// Of two tenants with one name the suspended one stays; whoever reads files refuses the second before it comes here.
impl FromIterator<Tenant> for Registry {
    fn from_iter<I: IntoIterator<Item = Tenant>>(tenants: I) -> Self {
        let mut registry = HashMap::new();
        for tenant in tenants {
            let suspended = tenant.status == Status::Suspended; // FAIL CLOSED: of two words the stricter counts
            let entry = registry.entry(tenant.id.clone()).or_insert(tenant);
            if suspended {
                entry.status = Status::Suspended;
            }
        }
        Self(registry)
    }
}
