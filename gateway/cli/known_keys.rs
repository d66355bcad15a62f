//! The API keys in force: found in the store, and what they were used for told to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use apikey::ApiKeys;
use prometheus::{IntCounter, IntGauge};
use store::{Store, StoreError};
use terms::{Clock, Live};

/// How often it is told when keys were used last, in seconds.
const TELL: u64 = 300;

/// What is in force of the store, and who keeps it so.
pub(crate) struct KnownKeys {
    store: Arc<Store>,
    live: Arc<Live<ApiKeys>>,
    clock: Arc<dyn Clock>,
    seen: Mutex<Option<u64>>,
    told: AtomicU64,
    failures: IntCounter,
    count: IntGauge,
}

/// Whether the gateway ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ends {
    /// It goes on.
    No,
    /// It does.
    Yes,
}

impl KnownKeys {
    /// Puts in force what the store holds. Fails rather than begin without it.
    pub(crate) fn start(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        failures: IntCounter,
        count: IntGauge,
    ) -> Result<Self, StoreError> {
        let (live, seen, told) =
            (Arc::new(Live::new(ApiKeys::default())), Mutex::default(), AtomicU64::new(clock.unix_seconds()));
        let this = Self { store, live, clock, seen, told, failures, count };
        this.look(this.store.version()?)?;
        Ok(this)
    }

    /// What is in force.
    pub(crate) fn live(&self) -> Arc<Live<ApiKeys>> {
        Arc::clone(&self.live)
    }

    /// Looks at the store, if its version could be read, and tells it what it does not know yet, if it is time or all `ends`.
    /// What was in force stays where it cannot be read: `Revoking` says so, and that nobody should be sent here.
    pub(crate) fn refresh_at(&self, version: Option<u64>, ends: Ends) {
        let looked = version.map_or(Ok(()), |version| self.look(version));
        let done = looked.and_then(|()| self.tell(ends));
        if version.is_none() || done.is_err() {
            self.failures.inc();
        }
        if let Err(error) = done {
            tracing::debug!(error = terms::chain(&error), "the api keys cannot be read or told of");
        }
    }

    /// ORDER: the version was read before the rest, so that a change between both is seen next time.
    fn look(&self, version: u64) -> Result<(), StoreError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == Some(version) {
            return Ok(());
        }
        let rows: Vec<_> = self.store.keys()?.into_iter().map(|kept| kept.row).collect();
        let now = self.clock.unix_seconds();
        let good = rows.iter().filter(|row| row.revoked.is_none() && row.expires.is_none_or(|expires| now < expires));
        self.count.set(i64::try_from(good.count()).unwrap_or(i64::MAX));
        self.live.replace(self.live.snapshot().succeeded_by(rows));
        *seen = Some(version);
        Ok(())
    }

    fn tell(&self, ends: Ends) -> Result<(), StoreError> {
        let (now, told) = (self.clock.unix_seconds(), self.told.load(Ordering::Relaxed));
        if ends == Ends::No && now.saturating_sub(told) < TELL {
            return Ok(());
        }
        let used = self.live.snapshot().used_since(told);
        if !used.is_empty() {
            self.store.note_used(&used)?;
        }
        self.told.store(now, Ordering::Relaxed);
        Ok(())
    }
}
