use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};

use terms::{Subject, TenantId};

use crate::notice::Notice;

/// Which state of the database an answer is of: how often something was said to have changed that it may rest on.
///
/// Tenants and subjects share places, so that all of it has a bound: a notice of one may make others be asked for once more,
/// and never leaves one out.
#[derive(Debug)]
pub(crate) struct Generations {
    everything: AtomicU64,
    places: Box<[AtomicU64]>,
    hasher: RandomState,
}

/// The state that an answer is of. Two are the same if nothing was said in between.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Generation(u64);

const PLACES: usize = 1 << 14;

impl Default for Generations {
    fn default() -> Self {
        let places = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { everything: AtomicU64::new(0), places, hasher: RandomState::new() }
    }
}

impl Generations {
    /// The state that an answer about this subject is of, whose query begins now.
    ///
    /// None of the counts ever falls, so their sum changes whenever one of them does.
    pub(crate) fn now(&self, tenant: &TenantId, subject: &Subject) -> Generation {
        let everything = self.everything.load(Ordering::Acquire);
        let of_tenant = self.of_tenant(tenant).map_or(0, |count| count.load(Ordering::Acquire));
        let of_subject = self.of_subject(tenant, subject).map_or(0, |count| count.load(Ordering::Acquire));
        Generation(everything.wrapping_add(of_tenant).wrapping_add(of_subject))
    }

    /// Something has changed: no answer of before counts.
    pub(crate) fn end(&self, notice: &Notice) {
        let place = match notice {
            Notice::Everything => Some(&self.everything),
            Notice::Tenant(tenant) => self.of_tenant(tenant),
            Notice::Member(tenant, subject) => self.of_subject(tenant, subject),
        };
        place.unwrap_or(&self.everything).fetch_add(1, Ordering::AcqRel);
    }

    fn of_tenant(&self, tenant: &TenantId) -> Option<&AtomicU64> {
        self.place(self.hasher.hash_one(tenant))
    }

    fn of_subject(&self, tenant: &TenantId, subject: &Subject) -> Option<&AtomicU64> {
        self.place(self.hasher.hash_one((tenant, subject)))
    }

    fn place(&self, hash: u64) -> Option<&AtomicU64> {
        self.places.get(usize::try_from(hash % PLACES as u64).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_ends_the_generation_of_what_it_speaks_of() {
        let (acme, globex): (TenantId, TenantId) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let (ada, bob): (Subject, Subject) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        let generations = Generations::default();
        let all = || [(&acme, &ada), (&acme, &bob), (&globex, &ada)].map(|(of, who)| generations.now(of, who));
        for (notice, ended) in [
            (Notice::Member(acme.clone(), ada.clone()), [true, false, false]),
            (Notice::Tenant(acme.clone()), [true, true, false]),
            (Notice::Tenant(globex.clone()), [false, false, true]),
            (Notice::Everything, [true, true, true]),
        ] {
            let before = all();
            assert_eq!(before, all(), "nothing was said");
            generations.end(&notice);
            for ((before, after), ended) in before.into_iter().zip(all()).zip(ended) {
                // Two may share a place, one time in thousands; then more is forgotten, and never less.
                assert!(before != after || !ended, "{notice:?}");
            }
        }
    }
}
