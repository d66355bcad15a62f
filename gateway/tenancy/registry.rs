use std::collections::HashMap;
use std::time::Duration;

use terms::{Clients, IssuerId, PlanId, RegionId, RetentionClass, TenantId, Weight, Zone};

use crate::{Bindings, Mfa};

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
    /// How much of what is short it gets, beside other tenants.
    pub weight: Weight,
    /// Where it is at home.
    pub region: Option<RegionId>,
    /// Whose days and months its quotas are of; those of UTC, if nothing is said about that.
    pub time_zone: Option<Zone>,
    /// How long records of it are kept.
    pub retention: RetentionClass,
    /// The longest that a session of a member's may last, since the member has proven itself.
    pub session_max: Option<Duration>,
    /// By what its members must be known, if by more than one factor.
    pub mfa: Option<Mfa>,
    /// What the names are worth that its tokens have for roles. They are those roles, if nothing is said about that.
    pub bindings: Option<Bindings>,
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
            weight: Weight::ONE,
            region: None,
            time_zone: None,
            retention: RetentionClass::DEFAULT,
            session_max: None,
            mfa: None,
            bindings: None,
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
    /// Registered in a way that cannot be read, and so refused as an outage of ours, until somebody puts it right.
    Unreadable,
}

impl Status {
    /// The word for it, as files and tables have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
            Self::Unreadable => "unreadable",
        }
    }
}

/// All tenants there are. A look-up costs the same with ten and with ten thousand of them.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    tenants: HashMap<TenantId, Tenant>,
    is_unread: bool,
}

/// A tenant as a table has it. What is missing says nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TenantRow {
    /// Its name.
    pub id: String,
    /// Whether it is served: `active`, `suspended` or `closed`.
    pub status: String,
    /// What it has bought.
    pub plan: Option<String>,
    /// Where it is at home.
    pub region: Option<String>,
    /// The time zone of its quotas.
    pub time_zone: Option<String>,
    /// How long records of it are kept: the name of a class.
    pub retention: Option<String>,
    /// Who may speak for it.
    pub issuers: Option<Vec<String>>,
    /// From which networks alone.
    pub clients_allow: Option<Vec<String>>,
    /// From which networks never.
    pub clients_deny: Option<Vec<String>>,
    /// The longest session.
    pub session_max: Option<String>,
    /// `required`, if more than one factor is.
    pub mfa: Option<String>,
    /// What of `amr` shows more than one factor.
    pub mfa_amr: Option<Vec<String>>,
    /// What `acr` does.
    pub mfa_acr: Option<Vec<String>>,
}

impl TenantRow {
    /// Whether it says nothing of its tenant but whether it is served.
    #[must_use]
    pub fn says_its_status_alone(&self) -> bool {
        let bare = Self { id: self.id.clone(), status: self.status.clone(), ..Self::default() };
        *self == bare
    }
}

impl Registry {
    /// The tenant of this name, asked with text as it came off the wire.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tenant> {
        self.tenants.get(name)
    }

    /// How long records of the tenant of this name are kept.
    #[must_use]
    pub fn retention(&self, name: &str) -> RetentionClass {
        self.get(name).map_or(RetentionClass::DEFAULT, |tenant| tenant.retention)
    }

    /// How much of what is short the tenant of this name gets. Who is not known has the least.
    #[must_use]
    pub fn weight(&self, name: &str) -> Weight {
        self.get(name).map_or(Weight::ONE, |tenant| tenant.weight)
    }

    /// Every tenant, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Tenant> {
        self.tenants.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tenants.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// The tenant of this name, if there may be one.
    #[must_use]
    pub fn possible(&self, name: &str) -> Option<TenantId> {
        let known = self.get(name).map(|tenant| tenant.id.clone());
        known.or_else(|| name.parse().ok().filter(|_| self.is_unread))
    }

    /// The same, where others stand in a table that has not been read: of none it is known yet whether it is served.
    #[must_use]
    pub fn unread(self) -> Self {
        Self { is_unread: true, ..self }
    }

    /// Whether it is not known yet which tenants there are, and whether they are served.
    #[must_use]
    pub const fn is_unread(&self) -> bool {
        self.is_unread
    }
}

/// Of two tenants with one name the stricter status stays; whoever reads files refuses the second before it comes here.
impl FromIterator<Tenant> for Registry {
    fn from_iter<I: IntoIterator<Item = Tenant>>(tenants: I) -> Self {
        let mut registry: HashMap<TenantId, Tenant> = HashMap::new();
        for tenant in tenants {
            let status = tenant.status;
            let entry = registry.entry(tenant.id.clone()).or_insert(tenant);
            entry.status = entry.status.max(status); // FAIL CLOSED: of two words the stricter counts
        }
        Self { tenants: registry, is_unread: false }
    }
}
