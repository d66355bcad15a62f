use std::hash::Hash;
use std::sync::Arc;

use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use terms::{RoleName, Subject, TenantId};

use crate::Injected;
use crate::backend::Audience;
use crate::identity::Identity;

/// Assertions that are used again: for the same token, tenant and audience, for the first half of their life, and only
/// as long as they say what the gate found. Bounded; the least used go first.
#[derive(Debug)]
pub(crate) struct Reusable(Cache<Key, Arc<Made>>);

/// A key of its own for each token: a SHA-256, which nobody can aim at another's.
#[derive(Debug, Eq, Hash, PartialEq)]
struct Key {
    token: [u8; 32],
    tenant: TenantId,
    audience: Audience,
}

/// The same, borrowed, so that looking up costs no allocation.
#[derive(Hash)]
struct Asked<'a> {
    token: &'a [u8; 32],
    tenant: &'a TenantId,
    audience: &'a Audience,
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        let Self { token, tenant, audience } = *self;
        *token == key.token && *tenant == key.tenant && *audience == key.audience
    }
}

#[derive(Debug)]
struct Made {
    injected: Injected,
    subject: Subject,
    roles: Box<[RoleName]>,
    /// What it was signed with: a key that was withdrawn must not speak on.
    kid: Arc<str>,
    /// From when on a new one is made, in seconds since the Unix epoch.
    stale_at: u64,
}

impl Reusable {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Cache::new(capacity))
    }

    /// Fields made before that still say the same of the same caller.
    pub(crate) fn find(&self, identity: &Identity<'_>, audience: &Audience, kid: &str, now: u64) -> Option<Injected> {
        let Identity { tenant, subject, roles, token, .. } = *identity;
        let made = self.0.get(&Asked { token, tenant, audience })?;
        // Roles can change while a token lives: the directory is read again.
        let same = made.subject == *subject && *made.roles == *roles && *made.kid == *kid;
        (same && now < made.stale_at).then(|| made.injected.clone())
    }

    pub(crate) fn keep(
        &self,
        identity: &Identity<'_>,
        audience: &Audience,
        kid: &Arc<str>,
        stale_at: u64,
        injected: Injected,
    ) {
        let Identity { tenant, subject, roles, token, .. } = *identity;
        let key = Key { token: *token, tenant: tenant.clone(), audience: audience.clone() };
        let (subject, roles, kid) = (subject.clone(), roles.into(), Arc::clone(kid));
        self.0.insert(key, Arc::new(Made { injected, subject, roles, kid, stale_at }));
    }
}
