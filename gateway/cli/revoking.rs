//! Tokens that are taken back while the gateway runs: found in the store, put in force, and put on record.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use admin::{Check, Standing};
use audit::{Note, TokensOf};
use prometheus::{IntCounter, IntGauge};
use store::{Event, Extent, Store, StoreError, Turn};
use tenancy::{Revocations, Revoked};
use terms::{Clock, Live};
use tokio::sync::Notify;

use crate::logs::TenantLogs;

/// How many events are put on record at a time.
const EVENTS: u32 = 256;

/// What is in force of the store, and who keeps it so.
pub(crate) struct Revoking {
    store: Arc<Store>,
    live: Arc<Live<Revocations>>,
    logs: TenantLogs,
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
        logs: TenantLogs,
        clock: Arc<dyn Clock>,
        failures: IntCounter,
        count: IntGauge,
    ) -> Result<Self, StoreError> {
        let (live, seen, blind) =
            (Arc::new(Live::new(Revocations::default())), Mutex::default(), AtomicBool::new(false));
        let this = Self { store, live, logs, clock, seen, blind, others, changed: Notify::new(), failures, count };
        this.store.forget(this.clock.unix_seconds())?;
        this.look(this.store.version()?)?;
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

    /// Ends when somebody wants it to look at once.
    pub(crate) async fn nudged(&self) {
        self.changed.notified().await;
    }

    /// Looks at the store now.
    pub(crate) fn refresh(&self) {
        self.refresh_at(self.store.version());
    }

    /// Looks at the store, which is at this version, and says so when it cannot. What was in force stays.
    pub(crate) fn refresh_at(&self, version: Result<u64, StoreError>) {
        let looked = version.and_then(|version| self.look(version));
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

    /// ORDER: the version was read before the rest, so that a change between both is seen next time.
    fn look(&self, mut version: u64) -> Result<(), StoreError> {
        let now = self.clock.unix_seconds();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let over = seen.until.is_some_and(|until| until <= now);
        if seen.version == Some(version) && !over && !seen.unrecorded {
            return Ok(());
        }
        if over {
            self.store.forget(now)?;
            version = self.store.version()?;
        }
        let news = self.store.news(seen.version, version)?;
        if news.extent == Extent::All || !(news.gone.is_empty() && news.revoked.is_empty()) {
            let mut next = match news.extent {
                Extent::All => Revocations::default(),
                Extent::Changes => Revocations::clone(&self.live.glance()),
            };
            news.gone.iter().for_each(|revoked| next.remove(revoked));
            for revocation in news.revoked {
                next.remove(&revocation.revoked); // it may have been given back, and taken back from an earlier time
                next.add(revocation.revoked);
            }
            self.count.set(i64::try_from(next.len()).unwrap_or(i64::MAX));
            self.live.replace(next);
        }
        *seen = Seen { version: Some(version), until: news.until, unrecorded: true };
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
                if let Err(unavailable) = self.note(event) {
                    tracing::warn!(error = terms::chain(&unavailable), "a revocation is not on record yet");
                    return Ok(false);
                }
            }
            self.store.recorded(last)?;
        }
    }

    fn note(&self, event: &Event) -> Result<(), audit::Unavailable> {
        let turn = match event.turn {
            Turn::Restored => audit::Turn::Restored,
            Turn::Revoked => audit::Turn::Revoked,
        };
        let (of, before) = match &event.revoked {
            Revoked::Issuer { issuer, before } => (TokensOf::Issuer(issuer), Some(*before)),
            Revoked::Session { issuer, sid: _ } => (TokensOf::Session(issuer), None),
            Revoked::Subject { issuer, subject, before } => {
                (TokensOf::Subject(issuer, self.logs.first().pseudonym(issuer, subject)), *before)
            }
            Revoked::Tenant { tenant, before } => (TokensOf::Tenant(tenant), Some(*before)),
            Revoked::Token { issuer, jti: _ } => (TokensOf::Token(issuer), None),
        };
        let tenant = if let TokensOf::Tenant(tenant) = of { Some(tenant) } else { None };
        self.logs.of(tenant).note(&Note::Tokens { turn, of, before, by: event.author })
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
