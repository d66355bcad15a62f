//! The API keys in force: found in the store, and what they were used for told to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use apikey::{ApiKeys, KeyRow, Outlook};
use audit::{KeyChange, Note};
use prometheus::{IntCounter, IntGauge};
use store::{KeyEvent, KeyTurn, Store, StoreError};
use terms::{Clock, Live};

use crate::logs::TenantLogs;

/// How often it is told when keys were used last, in seconds.
const TELL: u64 = 300;

/// How often it is counted whose keys end soon, in seconds: that changes without a change of the store.
const COUNT: u64 = 60;

/// What is soon, in seconds: a week.
const SOON: u64 = 7 * 24 * 3600;

/// How many events are put on record at a time.
const EVENTS: u32 = 256;

/// What is in force of the store, and who keeps it so.
pub(crate) struct KnownKeys {
    store: Arc<Store>,
    live: Arc<Live<ApiKeys>>,
    logs: TenantLogs,
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
    told: AtomicU64,
    counts: Counts,
}

/// What is counted of keys.
pub(crate) struct Counts {
    pub(crate) failures: IntCounter,
    pub(crate) good: IntGauge,
    pub(crate) ending: IntGauge,
}

/// What the store held when it was looked at last.
#[derive(Default)]
struct Seen {
    version: Option<u64>,
    /// When it was counted.
    counted: u64,
    /// Whether something that was done waits to be put on record.
    unrecorded: bool,
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
        logs: TenantLogs,
        clock: Arc<dyn Clock>,
        counts: Counts,
    ) -> Result<Self, StoreError> {
        let (live, seen, told) =
            (Arc::new(Live::new(ApiKeys::default())), Mutex::default(), AtomicU64::new(clock.unix_seconds()));
        let this = Self { store, live, logs, clock, seen, told, counts };
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
            self.counts.failures.inc();
        }
        if let Err(error) = done {
            tracing::debug!(error = terms::chain(&error), "the api keys cannot be read or told of");
        }
    }

    /// ORDER: the version was read before the rest, so that a change between both is seen next time.
    fn look(&self, version: u64) -> Result<(), StoreError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, same) = (self.clock.unix_seconds(), seen.version == Some(version));
        if same && !seen.unrecorded && now.saturating_sub(seen.counted) < COUNT {
            return Ok(());
        }
        if !same || seen.unrecorded {
            let rows: Vec<_> = self.store.keys()?.into_iter().map(|kept| kept.row).collect();
            self.live.replace(self.live.snapshot().succeeded_by(rows.clone()));
            // ORDER: in force first. What is done is not undone because it cannot be put on record yet.
            (seen.version, seen.unrecorded) = (Some(version), true);
            seen.unrecorded = !self.record(&rows)?;
        }
        let Outlook { good, ending } = self.live.snapshot().outlook(now, now.saturating_add(SOON));
        self.counts.good.set(i64::try_from(good).unwrap_or(i64::MAX));
        self.counts.ending.set(i64::try_from(ending).unwrap_or(i64::MAX));
        seen.counted = now;
        Ok(())
    }

    /// Puts on record what was done, whoever did it, and when no gateway ran, too. `false`: not all of it could be.
    fn record(&self, rows: &[KeyRow]) -> Result<bool, StoreError> {
        loop {
            let events = self.store.key_events(EVENTS)?;
            let Some(last) = events.last() else { return Ok(true) };
            for event in &events {
                let Some(row) = rows.iter().find(|row| *row.id == *event.key) else {
                    return Ok(false); // it was made after the rows were read: next time
                };
                if let Err(unavailable) = self.note(event, row) {
                    tracing::warn!(error = terms::chain(&unavailable), "what was done with a key is not on record yet");
                    return Ok(false);
                }
            }
            self.store.key_recorded(last)?;
        }
    }

    fn note(&self, event: &KeyEvent, row: &KeyRow) -> Result<(), audit::Unavailable> {
        let KeyEvent { turn, key, replaces, who, done, .. } = event;
        let turn = match turn {
            KeyTurn::Created => audit::KeyTurn::Created,
            KeyTurn::Revoked => audit::KeyTurn::Revoked,
            KeyTurn::Rotated => audit::KeyTurn::Rotated,
        };
        let roles: Vec<_> = row.roles.iter().map(|role| role.as_str()).collect();
        self.logs.of(Some(&row.tenant)).note(&Note::ApiKey(KeyChange {
            turn,
            key,
            replaces: replaces.as_deref(),
            tenant: &row.tenant,
            roles: &roles.join(" "),
            expires: row.expires,
            by: *who,
            done: *done,
        }))
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
