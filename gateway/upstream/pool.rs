use std::hash::{BuildHasher as _, RandomState};

use terms::{TenantId, UpstreamId};

use crate::{ClientTls, Pool};

/// Tells apart whose requests may share a connection. What has another group never gets the same connection, whatever
/// else is equal.
///
/// Between them stand the upstream, everything that the TLS client is made of (its certificate, its key, what it believes
/// and checks), whether anybody was verified, and the tenant where the pool says so. The hash has a key of its own in each
/// process, so that nobody can choose the name of a tenant to fall into the group of another.
#[derive(Debug)]
pub struct Groups {
    keyed: RandomState,
    pool: Pool,
    members: u64,
    public: u64,
    checks: u64,
}

impl Groups {
    /// The groups of one upstream, over TLS as `tls` says.
    #[must_use]
    pub fn new(id: &UpstreamId, tls: Option<&ClientTls>, pool: Pool) -> Self {
        let keyed = RandomState::new();
        let group = |who: &str| keyed.hash_one((id, tls, who));
        let (members, public, checks) = (group("members"), group("public"), group("checks"));
        Self { keyed, pool, members, public, checks }
    }

    /// The group of connections of checks, which no request may use.
    #[must_use]
    pub const fn checks(&self) -> u64 {
        self.checks
    }

    /// The group of connections that requests of a tenant may use; `None` for those of a public route.
    #[must_use]
    pub fn of(&self, tenant: Option<&TenantId>) -> u64 {
        match (tenant, self.pool) {
            // A backend that knows its clients by their connection (NTLM does) must not take a member for whoever came
            // over the public route before.
            (None, _) => self.public,
            (Some(_), Pool::Shared) => self.members,
            (Some(tenant), Pool::PerTenant) => self.keyed.hash_one((self.members, tenant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_share_connections_only_where_the_pool_says_so_and_never_with_the_public() {
        let (acme, globex) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let id = "orders".parse().unwrap();
        let shared = Groups::new(&id, None, Pool::Shared);
        assert_eq!(shared.of(Some(&acme)), shared.of(Some(&globex)));
        assert_ne!(shared.of(Some(&acme)), shared.of(None));
        assert!([shared.of(Some(&acme)), shared.of(None)].iter().all(|group| *group != shared.checks()));
        let apart = Groups::new(&id, None, Pool::PerTenant);
        assert_ne!(apart.of(Some(&acme)), apart.of(Some(&globex)));
        assert_eq!(apart.of(Some(&acme)), apart.of(Some(&acme)));
        assert_ne!(apart.of(Some(&acme)), apart.of(None));
    }
}
