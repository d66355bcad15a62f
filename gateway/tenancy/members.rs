use std::collections::HashMap;
use std::sync::Arc;

use terms::{RoleName, Subject, TenantId};

/// The directory: who belongs to which tenant, and with which roles there.
///
/// A subject is unique only within its issuer, so one directory serves one issuer; `policy` refuses files that would
/// let two issuers share it.
#[derive(Clone, Debug, Default)]
pub struct Members(HashMap<TenantId, HashMap<Subject, Arc<[RoleName]>>>);

impl Members {
    /// The roles of this subject in this tenant; nothing if it does not belong there.
    #[must_use]
    pub fn roles(&self, tenant: &TenantId, subject: &Subject) -> Option<&Arc<[RoleName]>> {
        self.0.get(tenant)?.get(subject)
    }

    /// Every membership, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&TenantId, &Subject, &Arc<[RoleName]>)> {
        self.0.iter().flat_map(|(tenant, of)| of.iter().map(move |(subject, roles)| (tenant, subject, roles)))
    }

    /// How many memberships there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(HashMap::len).sum()
    }

    /// Whether nobody belongs anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(TenantId, Subject, Arc<[RoleName]>)> for Members {
    fn from_iter<I: IntoIterator<Item = (TenantId, Subject, Arc<[RoleName]>)>>(memberships: I) -> Self {
        let mut members: HashMap<TenantId, HashMap<Subject, _>> = HashMap::new();
        for (tenant, subject, roles) in memberships {
            members.entry(tenant).or_default().insert(subject, roles);
        }
        Self(members)
    }
}
