use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use terms::{IssuerId, RoleName, Subject, TenantId};

/// A program that proves itself by a certificate in place of a token.
#[derive(Debug)]
pub struct Service {
    /// What the policy calls it, which is whom records and backends see acting.
    pub name: Subject,
    /// Who must vouch for its certificate.
    pub authority: IssuerId,
    /// The tenant that it acts for.
    pub tenant: TenantId,
    /// That tenant alone.
    pub only: HashSet<TenantId>,
    /// What it is there.
    pub roles: Arc<[RoleName]>,
}

/// By what a certificate is known to be that of a service.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ServiceMark {
    /// Its public key.
    Key([u8; 32]),
    /// One of its subject alternative names: a URI, or a DNS name. The two have no text in common, as only one has a colon.
    San(Box<str>),
}

/// Every service of a policy.
#[derive(Debug, Default)]
pub struct Services {
    by_mark: HashMap<IssuerId, HashMap<ServiceMark, Arc<Service>>>,
    by_name: HashMap<Subject, Arc<Service>>,
}

/// Whose certificate it is.
#[derive(Clone, Debug)]
pub enum Recognised {
    /// No service's.
    Nobody,
    /// This one's.
    One(Arc<Service>),
    /// That of several, so nobody can say which one acts.
    Several,
}

impl Services {
    /// Whose certificate it is that these authorities vouch for, with this key and these names.
    #[must_use]
    pub fn recognise<'n>(
        &self,
        vouchers: &[IssuerId],
        key: &[u8; 32],
        names: impl Iterator<Item = &'n str> + Clone,
    ) -> Recognised {
        let mut found: Option<&Arc<Service>> = None;
        for marks in vouchers.iter().filter_map(|authority| self.by_mark.get(authority)) {
            let by_name = names.clone().filter_map(|name| marks.get(&ServiceMark::San(name.into())));
            for service in marks.get(&ServiceMark::Key(*key)).into_iter().chain(by_name) {
                match found {
                    Some(before) if before.name != service.name => return Recognised::Several,
                    Some(_) | None => found = Some(service),
                }
            }
        }
        found.map_or(Recognised::Nobody, |service| Recognised::One(Arc::clone(service)))
    }

    /// The service of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Service>> {
        self.by_name.get(name)
    }

    /// Every service, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.by_name.values()
    }

    /// Every name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(Subject::as_str)
    }

    /// Adds one. `Err` names the service that has this mark already.
    pub(crate) fn add(&mut self, service: Arc<Service>, mark: ServiceMark) -> Result<(), Subject> {
        let marks = self.by_mark.entry(service.authority.clone()).or_default();
        if let Some(taken) = marks.get(&mark) {
            return Err(taken.name.clone());
        }
        marks.insert(mark, Arc::clone(&service));
        self.by_name.insert(service.name.clone(), service);
        Ok(())
    }
}
