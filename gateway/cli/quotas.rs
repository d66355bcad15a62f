//! What was used of quotas, kept so that a restart gives nothing back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gate::Rules;
use limit::{Limits, Seed, UsedQuota};
use store::{Keeping, KeptQuota, LastRun, Store, StoreError};
use terms::{Clock, Live, Period};

use crate::background::Shutdown;

/// How often what was used is kept: so much of it a process that is killed forgets.
const KEEP: Duration = Duration::from_secs(1);

/// Keeps what requests use of quotas, away from the requests.
pub(crate) struct Quotas {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    /// What could not be kept yet, the latest of each key.
    pending: Mutex<HashMap<(String, &'static str, u64), KeptQuota>>,
    /// When everything was kept last, in seconds since the Unix epoch.
    kept: AtomicU64,
    failures: AtomicU64,
}

impl Quotas {
    pub(crate) fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        let kept = AtomicU64::new(clock.unix_seconds());
        Self { store, clock, pending: Mutex::default(), kept, failures: AtomicU64::new(0) }
    }

    /// The secret under which keys have their names, the same as before a restart.
    pub(crate) fn seed(&self) -> Result<Seed, StoreError> {
        self.store.quota_seed(Seed::random().bytes()).map(Seed::from)
    }

    /// Charges what was used before a restart. Fails rather than begin without it.
    pub(crate) fn restore(&self, limits: &Limits) -> Result<(), StoreError> {
        let (kept, last) = self.store.quotas(self.clock.unix_seconds())?;
        if last == LastRun::Torn {
            tracing::warn!(
                keys = kept.len(),
                "the last run did not end well: quotas are charged what it may have counted last"
            );
        }
        let used = |kept: KeptQuota| {
            let KeptQuota { limit, period, key, ends, count } = kept;
            let per = [Period::Day, Period::Month].into_iter().find(|per| per.as_str() == period)?;
            Some(UsedQuota { limit: limit.parse().ok()?, per, key, ends, count })
        };
        limits.restore(&kept.into_iter().filter_map(used).collect::<Vec<_>>());
        Ok(())
    }

    /// Keeps what was used until `shutdown`, and the last of it then. Tells who comes near the end of a quota.
    pub(crate) async fn run(self: Arc<Self>, rules: Arc<Live<Rules>>, mut shutdown: Shutdown) {
        loop {
            let keeping = tokio::select! {
                () = &mut shutdown => Keeping::Ended,
                () = tokio::time::sleep(KEEP) => Keeping::On,
            };
            let (this, rules) = (Arc::clone(&self), Arc::clone(&rules));
            // Away from the tasks that must not wait for a disk.
            drop(tokio::task::spawn_blocking(move || this.keep(rules.snapshot().limits(), keeping)).await);
            if keeping == Keeping::Ended {
                return;
            }
        }
    }

    fn keep(&self, limits: &Limits, keeping: Keeping) {
        for near in limits.take_near() {
            let (tenant, limit) = (near.tenant.as_ref().map(ToString::to_string), near.limit.as_str());
            tracing::warn!(tenant, limit, used = near.mark.as_str(), "a quota is nearly used up, or is");
        }
        let now = self.clock.unix_seconds();
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for UsedQuota { limit, per, key, ends, count } in limits.take_used() {
            let kept = KeptQuota { limit: limit.to_string(), period: per.as_str().to_owned(), key, ends, count };
            pending.insert((limit.to_string(), per.as_str(), key), kept);
        }
        if pending.is_empty() && keeping == Keeping::On {
            return self.kept.store(now, Ordering::Relaxed);
        }
        let used: Vec<KeptQuota> = pending.values().cloned().collect();
        match self.store.keep_quotas(&used, now, keeping) {
            Ok(()) => {
                pending.clear();
                self.kept.store(now, Ordering::Relaxed);
            }
            Err(error) => {
                // What is in memory counts all the same: nobody gets more than the quota while the process lives.
                self.failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    error = terms::chain(&error),
                    keys = used.len(),
                    "what was used of quotas cannot be kept"
                );
            }
        }
    }

    /// For how long what was used has not been kept, in seconds, and how often it could not be.
    pub(crate) fn unkept(&self) -> (u64, u64) {
        let since = self.clock.unix_seconds().saturating_sub(self.kept.load(Ordering::Relaxed));
        (since, self.failures.load(Ordering::Relaxed))
    }
}
