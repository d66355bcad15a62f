use std::collections::HashMap;

use tenancy::Membership;
use terms::{TenantId, UpstreamId};

/// Where the requests of a route go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Destination {
    /// Each tenant's to its own: silos, pools, or both.
    ByTenant {
        /// The tenants that have an upstream of their own, and the upstream.
        named: HashMap<TenantId, UpstreamId>,
        /// Where all others go. `None`: they are refused.
        otherwise: Option<UpstreamId>,
    },
    /// All to one.
    One(UpstreamId),
}

impl Destination {
    /// The upstream for members of a tenant: the one that was verified, never one that a request merely names.
    #[must_use]
    pub fn of(&self, membership: Option<&Membership>) -> Option<&UpstreamId> {
        match self {
            Self::ByTenant { named, otherwise } => {
                // FAIL CLOSED: without a tenant there is nothing to go by, not even `otherwise`.
                let tenant = membership?.tenant();
                named.get(tenant).or(otherwise.as_ref())
            }
            Self::One(upstream) => Some(upstream),
        }
    }

    /// Every upstream that requests may go to.
    pub(crate) fn all(&self) -> impl Iterator<Item = &UpstreamId> {
        let (one, by_tenant) = match self {
            Self::ByTenant { named, otherwise } => (otherwise.as_ref(), Some(named.values())),
            Self::One(upstream) => (Some(upstream), None),
        };
        one.into_iter().chain(by_tenant.into_iter().flatten())
    }
}
