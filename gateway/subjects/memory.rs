use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use terms::{IssuerId, Subject, TenantId};

use crate::{Person, Persona};

/// How long a persona is remembered at most, should nobody say that it was destroyed.
const LONGEST: Duration = Duration::from_secs(300);

/// Those who came lately. Bounded.
#[derive(Debug)]
pub(crate) struct Memory {
    cache: Cache<Owned, Entry>,
    /// How often something was destroyed, as far as it is known. What was read before is not believed.
    of: AtomicU64,
}

/// A person, on its own.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Owned {
    tenant: TenantId,
    issuer: IssuerId,
    subject: Subject,
}

#[derive(Clone, Debug)]
struct Entry {
    persona: Arc<Persona>,
    of: u64,
    at: Instant,
}

impl Owned {
    pub(crate) const fn person(&self) -> Person<'_> {
        Person { tenant: &self.tenant, issuer: &self.issuer, subject: &self.subject }
    }
}

impl From<Person<'_>> for Owned {
    fn from(Person { tenant, issuer, subject }: Person<'_>) -> Self {
        Self { tenant: tenant.clone(), issuer: issuer.clone(), subject: subject.clone() }
    }
}

impl Equivalent<Owned> for Person<'_> {
    fn equivalent(&self, owned: &Owned) -> bool {
        *self == owned.person()
    }
}

impl Memory {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { cache: Cache::new(capacity), of: AtomicU64::new(0) }
    }

    /// Takes the lock of one of many shards, for as long as it takes to clone an `Arc`.
    pub(crate) fn recall(&self, person: Person<'_>, now: Instant) -> Option<Arc<Persona>> {
        let entry = self.cache.get(&person)?;
        let counts = entry.of == self.now() && now.saturating_duration_since(entry.at) < LONGEST;
        counts.then_some(entry.persona)
    }

    /// To be asked before a row is read, and told when it is remembered.
    pub(crate) fn now(&self) -> u64 {
        self.of.load(Ordering::Acquire)
    }

    pub(crate) fn remember(&self, person: Owned, persona: Arc<Persona>, of: u64, at: Instant) {
        self.cache.insert(person, Entry { persona, of, at });
    }

    /// Something was destroyed: so often by now. What is remembered may be that. Answers whether that is new.
    pub(crate) fn is_destroyed(&self, count: u64) -> bool {
        // ORDER: nothing that was read before is believed, and only then it is let go. The count never falls: two may look at
        // the vault at the same time, and the later of them be told first.
        let new = self.of.fetch_max(count, Ordering::AcqRel) < count;
        if new {
            self.cache.clear();
        }
        new
    }

    pub(crate) fn len(&self) -> usize {
        self.cache.len()
    }
}
