//! The API keys in force: found in the store, and what they were used for told to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apikey::ApiKeys;
use prometheus::{IntCounter, IntGauge};
use store::{Store, StoreError};
use terms::{Clock, Live};

use crate::background::Shutdown;

/// How often the store is looked at.
const LOOK: Duration = Duration::from_millis(200);

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
        this.look()?;
        Ok(this)
    }

    /// What is in force.
    pub(crate) fn live(&self) -> Arc<Live<ApiKeys>> {
        Arc::clone(&self.live)
    }

    /// Keeps it so until `shutdown`, and tells the store at the end what it does not know yet.
    pub(crate) async fn run(self: Arc<Self>, mut shutdown: Shutdown) {
        loop {
            let ends = tokio::select! {
                () = &mut shutdown => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let this = Arc::clone(&self);
            // Away from the tasks that must not wait for a disk.
            drop(tokio::task::spawn_blocking(move || this.refresh(ends)).await);
            if ends {
                return;
            }
        }
    }

    /// What was in force stays where the store cannot be read: `revocations` says so, and that nobody should be sent here.
    fn refresh(&self, ends: bool) {
        let done = self.look().and_then(|()| self.tell(ends));
        if let Err(error) = done {
            self.failures.inc();
            tracing::debug!(error = terms::chain(&error), "the api keys cannot be read or told of");
        }
    }

    fn look(&self) -> Result<(), StoreError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.store.version()?; // ORDER: before the rest, so that a change between both is seen next time
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

    fn tell(&self, ends: bool) -> Result<(), StoreError> {
        let (now, told) = (self.clock.unix_seconds(), self.told.load(Ordering::Relaxed));
        if !ends && now.saturating_sub(told) < TELL {
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
