//! Tokens that are taken back while the gateway runs: found in the store, put in force, and put on record.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use admin::{Check, Standing};
use audit::{Journal, Note, TokensOf};
use prometheus::{IntCounter, IntGauge};
use store::{Store, StoreError, Turn};
use tenancy::{Revocations, Revoked};
use terms::{Clock, Live};
use tokio::sync::Notify;

use crate::background::Shutdown;

/// How often the store is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How many events are put on record at a time.
const EVENTS: u32 = 256;

/// What is in force of the store, and who keeps it so.
pub(crate) struct Revoking {
    store: Arc<Store>,
    live: Arc<Live<Revocations>>,
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
    blind: AtomicBool,
    others: Others,
    changed: Notify,
    failures: IntCounter,
    count: IntGauge,
}

/// Whether there are other gateways, which are to be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Others {
    /// There may be.
    Some,
    /// There are none.
    None,
}

/// What the store held when it was looked at last.
#[derive(Default)]
struct Seen {
    version: Option<u64>,
    /// When the first of it may be forgotten.
    until: Option<u64>,
    /// Whether something that was done waits to be put on record.
    unrecorded: bool,
}

impl Revoking {
    /// Puts in force what the store holds. Fails rather than begin without it.
    pub(crate) fn start(
        store: Arc<Store>,
        others: Others,
        journal: Arc<Journal>,
        clock: Arc<dyn Clock>,
        failures: IntCounter,
        count: IntGauge,
    ) -> Result<Self, StoreError> {
        let (live, seen, blind) =
            (Arc::new(Live::new(Revocations::default())), Mutex::default(), AtomicBool::new(false));
        let this = Self { store, live, journal, clock, seen, blind, others, changed: Notify::new(), failures, count };
        this.look()?;
        Ok(this)
    }

    /// What is in force.
    pub(crate) fn live(&self) -> Arc<Live<Revocations>> {
        Arc::clone(&self.live)
    }

    /// The store itself.
    pub(crate) const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Has it look at the store at once.
    pub(crate) fn nudge(&self) {
        self.changed.notify_one();
    }

    /// Keeps it so until `shutdown`.
    pub(crate) async fn run(self: Arc<Self>, mut shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                () = tokio::time::sleep(LOOK) => {}
                () = self.changed.notified() => {}
            }
            let this = Arc::clone(&self);
            // Away from the tasks that must not wait for a disk.
            drop(tokio::task::spawn_blocking(move || this.refresh()).await);
        }
    }

    /// Looks at the store, and says so when it cannot. What was in force stays.
    pub(crate) fn refresh(&self) {
        let looked = self.look();
        let blind = looked.is_err();
        if let Err(error) = looked {
            self.failures.inc();
            if !self.blind.load(Ordering::Relaxed) {
                tracing::error!(
                    error = terms::chain(&error),
                    "the store cannot be read: tokens may be good that were taken back"
                );
            }
        } else if self.blind.load(Ordering::Relaxed) {
            tracing::info!("the store can be read again");
        }
        self.blind.store(blind, Ordering::Relaxed);
    }

    fn look(&self) -> Result<(), StoreError> {
        let now = self.clock.unix_seconds();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.store.version()?; // ORDER: before the rest, so that a change between both is seen next time
        if seen.version == Some(version) && seen.until.is_none_or(|until| now < until) && !seen.unrecorded {
            return Ok(());
        }
        let all = self.store.revocations(now)?;
        let until = all.iter().filter_map(|revocation| revocation.until).min();
        self.count.set(i64::try_from(all.len()).unwrap_or(i64::MAX));
        self.live.replace(all.into_iter().map(|revocation| revocation.revoked).collect());
        *seen = Seen { version: Some(version), until, unrecorded: true };
        seen.unrecorded = !self.record()?;
        match self.others {
            Others::Some => Ok(()),
            Others::None => self.store.forget_outbox(),
        }
    }

    /// Puts on record what was done, whoever did it, and when no gateway ran, too. `false`: not all of it could be.
    fn record(&self) -> Result<bool, StoreError> {
        loop {
            let events = self.store.revocation_events(EVENTS)?;
            let Some(last) = events.last() else { return Ok(true) };
            for event in &events {
                if let Err(unavailable) = self.note(event.turn, &event.revoked) {
                    tracing::warn!(error = terms::chain(&unavailable), "a revocation is not on record yet");
                    return Ok(false);
                }
            }
            self.store.recorded(last)?;
        }
    }

    fn note(&self, turn: Turn, revoked: &Revoked) -> Result<(), audit::Unavailable> {
        let turn = match turn {
            Turn::Restored => audit::Turn::Restored,
            Turn::Revoked => audit::Turn::Revoked,
        };
        let (of, before) = match revoked {
            Revoked::Session { issuer, sid: _ } => (TokensOf::Session(issuer), None),
            Revoked::Subject { issuer, subject, before } => {
                (TokensOf::Subject(issuer, self.journal.pseudonym(issuer, subject)), *before)
            }
            Revoked::Tenant { tenant, before } => (TokensOf::Tenant(tenant), Some(*before)),
            Revoked::Token { issuer, jti: _ } => (TokensOf::Token(issuer), None),
        };
        self.journal.note(&Note::Tokens { turn, of, before })
    }
}

/// Who was refused may be let in while the store cannot be read, so nobody should be sent here.
impl Check for Revoking {
    fn name(&self) -> &'static str {
        "store"
    }

    fn check(&self) -> Standing {
        if self.blind.load(Ordering::Relaxed) {
            Standing::Down("the store cannot be read: tokens may be good that were taken back".into())
        } else {
            Standing::Up
        }
    }
}
