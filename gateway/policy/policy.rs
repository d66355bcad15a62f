use std::collections::HashMap;
use std::sync::Arc;

use tenancy::{Members, Registry, Revocations, TenantRow, Voucher};
use terms::{Findings, IssuerId, Permission, PlanId, RoleName, Weight};

use crate::Known;

use crate::case::Case;
use crate::known::{DirectoryAt, TenantsAt};
use crate::limit::{KeySource, LimitRule};
use crate::role::{Own, Role};
use crate::route::Route;
use crate::service::Services;
use crate::table::{Matched, Table};

/// Everything that the policy files say, compiled. It never changes; a reload makes another.
#[derive(Debug)]
pub struct Policy {
    pub(crate) table: Table,
    pub(crate) routes: Vec<Arc<Route>>,
    pub(crate) roles: HashMap<RoleName, Role>,
    /// Those that tenants have made for their own members.
    pub(crate) own_roles: Own,
    /// What routes ask for, sorted. [`Role`] and [`Route`] name them by their place here.
    pub(crate) permissions: Vec<Permission>,
    pub(crate) limits: Vec<LimitRule>,
    pub(crate) plans: Vec<PlanId>,
    /// How much of what is short the tenants of plans get, where that is said.
    pub(crate) weights: HashMap<PlanId, Weight>,
    pub(crate) arrival: Vec<usize>,
    pub(crate) sources: Vec<KeySource>,
    pub(crate) tenants: Registry,
    pub(crate) members: Members,
    pub(crate) directory: DirectoryAt,
    pub(crate) tenants_at: TenantsAt,
    pub(crate) revocations: Revocations,
    pub(crate) issuers: HashMap<IssuerId, Voucher>,
    pub(crate) services: Services,
    pub(crate) cases: Vec<Case>,
}

impl Policy {
    /// The route of a request: of those that match, the one that describes it most closely. Allocates nothing.
    ///
    /// `host` is in lower case and has no port; `path` is canonical and decoded: what a backend makes of it. It
    /// starts with `/` and has no empty segment but perhaps the last, since a slash at the end means something.
    #[must_use]
    pub fn route<'r>(&self, host: &'r str, path: &'r str, method: &str) -> Option<Matched<'_, 'r>> {
        self.table.find(host, path, method)
    }

    /// Every route, in the order of the files.
    #[must_use]
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// Every limit. [`Route::limits`] are places in this list.
    #[must_use]
    pub fn limits(&self) -> &[LimitRule] {
        &self.limits
    }

    /// Where requests name what limits count by.
    #[must_use]
    pub fn sources(&self) -> &[KeySource] {
        &self.sources
    }

    /// The limits that count every request before anything is spent on it, as places in [`Policy::limits`].
    #[must_use]
    pub fn arrival(&self) -> &[usize] {
        &self.arrival
    }

    /// Every plan, in the order of the files. Where there is none, the plan of a tenant is a name and nothing more.
    #[must_use]
    pub fn plans(&self) -> &[PlanId] {
        &self.plans
    }

    /// The tenants as far as they are known without a database: if others stand there, they are unread.
    #[must_use]
    pub fn tenants_for_now(&self) -> Registry {
        match self.tenants_at {
            TenantsAt::Database => self.tenants.clone().unread(),
            TenantsAt::Files => self.tenants.clone(),
        }
    }

    /// The tenants of the policy files and those of a table, by the same rules. A row that cannot be read makes its tenant one
    /// that is refused, and no other: the findings say why.
    ///
    /// Of a tenant that stands in both, a row may say its status and nothing else, and the stricter of the two counts.
    #[must_use]
    pub fn with_rows(&self, rows: &[TenantRow], known: &Known) -> (Registry, Findings) {
        crate::compile::with_rows(self, rows, known)
    }

    /// The tenants of the policy files.
    #[must_use]
    pub fn tenants(&self) -> &Registry {
        &self.tenants
    }

    /// The directory.
    #[must_use]
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The tokens that were taken back.
    #[must_use]
    pub const fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// What this issuer vouches for.
    #[must_use]
    pub fn voucher(&self, issuer: &IssuerId) -> Option<&Voucher> {
        self.issuers.get(issuer)
    }

    /// The services.
    #[must_use]
    pub const fn services(&self) -> &Services {
        &self.services
    }

    /// The roles that the files define, in no order.
    pub fn roles(&self) -> impl Iterator<Item = &RoleName> {
        self.roles.keys()
    }

    /// The role of this name that counts for the members of a tenant: one for all, or one of the tenant's own. No name is both.
    pub(crate) fn role(&self, tenant: Option<&str>, name: &str) -> Option<&Role> {
        let own = || self.own_roles.get(tenant?)?.get(name);
        self.roles.get(name).or_else(own)
    }

    /// What routes ask for, sorted: the columns of a role matrix.
    #[must_use]
    pub fn permissions(&self) -> &[Permission] {
        &self.permissions
    }

    /// Asks every role for every permission, in order of name: the rows of a role matrix. What counts on a condition is taken
    /// for what it may be at most: what is granted on one is granted, what is denied on one is not denied.
    pub fn matrix(&self) -> impl Iterator<Item = (&RoleName, Vec<bool>)> {
        let mut roles: Vec<_> = self.roles.iter().collect();
        roles.sort_by_key(|(name, _)| *name);
        let row = |role: &Role| {
            (0..self.permissions.len())
                .map(|permission| !role.denies.always(permission) && role.allows.has(permission))
                .collect()
        };
        roles.into_iter().map(move |(name, role)| (name, row(role)))
    }
}
