use std::sync::Arc;

use limit::Limits;
use policy::Policy;
use tenancy::Registry;
use terms::{RetentionClass, TenantId, Weight};

/// All that is in force at one moment: replaced as a whole, never in part.
#[derive(Debug)]
pub struct Rules {
    policy: Arc<Policy>,
    tenants: Registry,
    limits: Arc<Limits>,
    digest: audit::Digest,
}

impl Rules {
    /// Rules made of a compiled policy and its limits, in the policy's order. `digest` names the files that they were
    /// made of, in records and metrics. If tenants stand in a database, none is served before [`Rules::serving`] says which.
    #[must_use]
    pub fn new(policy: Policy, limits: Limits, digest: audit::Digest) -> Self {
        let tenants = policy.tenants_for_now();
        Self { policy: Arc::new(policy), tenants, limits: Arc::new(limits), digest }
    }

    /// The same rules for these tenants.
    #[must_use]
    pub fn serving(&self, tenants: Registry) -> Self {
        let (policy, limits) = (Arc::clone(&self.policy), Arc::clone(&self.limits));
        Self { policy, tenants, limits, digest: self.digest }
    }

    /// Who may do what.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The tenants that there are now, wherever they stand.
    #[must_use]
    pub const fn tenants(&self) -> &Registry {
        &self.tenants
    }

    /// How long records of this tenant are kept; those of nobody's, where there is none.
    #[must_use]
    pub fn retention(&self, tenant: Option<&TenantId>) -> RetentionClass {
        tenant.map_or(RetentionClass::DEFAULT, |tenant| self.tenants.retention(tenant.as_str()))
    }

    /// How much of what is short this tenant gets. All who have none, as on public routes, are together what one tenant is.
    #[must_use]
    pub fn weight(&self, tenant: Option<&TenantId>) -> Weight {
        tenant.map_or(Weight::ONE, |tenant| self.tenants.weight(tenant.as_str()))
    }

    /// How often.
    #[must_use]
    pub const fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// The name of this version.
    #[must_use]
    pub const fn digest(&self) -> audit::Digest {
        self.digest
    }
}
