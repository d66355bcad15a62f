use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a place among those in flight is kept without a word from its gateway.
pub(crate) const LASTS: Duration = Duration::from_secs(30);

/// How often the word is given.
pub(crate) const RENEWED: Duration = Duration::from_secs(10);

/// The leases that requests of this gateway have.
#[derive(Debug)]
pub(crate) struct Leases {
    /// By chance, another one for each process.
    gateway: u64,
    last: AtomicU64,
    held: Mutex<HashMap<u64, Place>>,
}

#[derive(Debug)]
struct Place {
    since: Instant,
    keys: Vec<String>,
}

/// The lease of one request. Nobody renews it after this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    number: u64,
    of: Arc<Leases>,
}

impl Leases {
    pub(crate) fn new() -> Self {
        Self { gateway: fastrand::u64(..), last: AtomicU64::new(0), held: Mutex::default() }
    }

    pub(crate) fn next(self: &Arc<Self>) -> Lease {
        Lease { number: self.last.fetch_add(1, Ordering::Relaxed), of: Arc::clone(self) }
    }

    /// Those that last for so long that they must be renewed.
    pub(crate) fn lasting(&self, now: Instant) -> Vec<(String, String)> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let lasting = held.iter().filter(|(_, place)| now.saturating_duration_since(place.since) >= RENEWED / 2);
        lasting.flat_map(|(number, place)| place.keys.iter().map(|key| (key.clone(), self.name(*number)))).collect()
    }

    fn name(&self, number: u64) -> String {
        format!("{:016x}-{number:x}", self.gateway)
    }
}

impl Lease {
    pub(crate) fn name(&self) -> String {
        self.of.name(self.number)
    }

    /// It has places there.
    pub(crate) fn has(&self, keys: Vec<String>) {
        if !keys.is_empty() {
            let place = Place { since: Instant::now(), keys };
            self.of.held.lock().unwrap_or_else(PoisonError::into_inner).insert(self.number, place);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.of.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}
