use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use terms::{IssuerId, TenantId};
use tokio::sync::Notify;

use crate::fetch::Source;
use crate::issuer::{Budget, Issuer};
use crate::pattern::Pattern;
use crate::settings::Located;
use crate::{IssuerSettings, TokenError};

/// The issuers of one pattern: one for each tenant, made when the first token of its realm comes, and let go when no
/// token of its was good for a long while.
///
/// Only tenants that are registered get here, so no `iss` that somebody makes up takes memory or asks anybody anything.
pub(crate) struct Realms {
    pub(crate) settings: IssuerSettings,
    pattern: Pattern,
    client: Option<reqwest::Client>,
    loaded: RwLock<HashMap<TenantId, Arc<Issuer>>>,
    /// Until when there is no use in looking for one that could give way.
    full_until: AtomicU64,
    crowded: AtomicU64,
    budget: Arc<Budget>,
    /// Failures of those that were let go, so that the count does not fall.
    failures: AtomicU64,
}

/// How the issuers of one pattern do, for metrics and readiness.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RealmsState {
    /// Which pattern.
    pub id: IssuerId,
    /// How many issuers are loaded.
    pub loaded: usize,
    /// How many of them have no keys that could be used.
    pub unusable: usize,
    /// How many reads of keys have failed since the start.
    pub failures: u64,
    /// How many tokens were answered with `auth.unavailable` because so many issuers were loaded and in use.
    pub crowded: u64,
}

/// An issuer that a token of its has been good for within so many seconds gives way to no other.
const IN_USE: u64 = 60;

impl Realms {
    pub(crate) fn new(settings: IssuerSettings, pattern: Pattern, client: Option<reqwest::Client>) -> Self {
        Self {
            settings,
            pattern,
            client,
            loaded: RwLock::default(),
            full_until: AtomicU64::new(0),
            crowded: AtomicU64::new(0),
            budget: Arc::default(),
            failures: AtomicU64::new(0),
        }
    }

    pub(crate) fn tenant_of(&self, issuer: &str) -> Option<TenantId> {
        self.pattern.tenant_of(issuer)
    }

    /// The issuer of this tenant, which is registered: the one that is loaded, or else a new one, which is given to
    /// `newcomers` to have its keys read.
    ///
    /// # Errors
    /// [`TokenError::Unavailable`] when as many are loaded as may be and all of them are in use.
    pub(crate) fn issuer(&self, tenant: &TenantId, now: u64, newcomers: &Newcomers) -> Result<Arc<Issuer>, TokenError> {
        let known = self.loaded.read().unwrap_or_else(PoisonError::into_inner).get(tenant).map(Arc::clone);
        if let Some(issuer) = known {
            return Ok(issuer);
        }
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(issuer) = loaded.get(tenant) {
            return Ok(Arc::clone(issuer)); // another request was first
        }
        if loaded.len() >= self.settings.max_tenants {
            self.make_room(&mut loaded, now)?;
        }
        let issuer = Arc::new(self.make(tenant, now)?);
        loaded.insert(tenant.clone(), Arc::clone(&issuer));
        drop(loaded);
        newcomers.add(Arc::clone(&issuer));
        Ok(issuer)
    }

    fn make(&self, tenant: &TenantId, now: u64) -> Result<Issuer, TokenError> {
        let settings = self.settings.of_tenant(tenant);
        // FAIL CLOSED: the pattern was judged when the settings were, with another tenant's name.
        let source = match settings.place().map_err(|_| TokenError::Unavailable)? {
            Located::File(path) => Source::File(path),
            Located::Url(url) => Source::Url(self.client.clone().ok_or(TokenError::Unavailable)?, url),
            Located::Nowhere => return Err(TokenError::Unavailable),
            Located::Discovery(document) => Source::Discovery {
                client: self.client.clone().ok_or(TokenError::Unavailable)?,
                document,
                issuer: settings.issuer.clone(),
                reach: settings.reach,
            },
        };
        Ok(Issuer::of_realm(settings, source, tenant.clone(), &self.budget, now))
    }

    /// Lets the one go whose last good token is the longest ago, unless that is not long.
    fn make_room(&self, loaded: &mut HashMap<TenantId, Arc<Issuer>>, now: u64) -> Result<(), TokenError> {
        let idle_since = |issuer: &Issuer| issuer.used().saturating_add(IN_USE);
        if now >= self.full_until.load(Ordering::Relaxed)
            && let Some(eldest) = loaded.values().min_by_key(|issuer| issuer.used()).map(Arc::clone)
        {
            if idle_since(&eldest) <= now {
                if let Some(tenant) = &eldest.realm {
                    loaded.remove(tenant);
                }
                self.let_go(&eldest);
                return Ok(());
            }
            self.full_until.store(idle_since(&eldest), Ordering::Relaxed);
        }
        // FAIL CLOSED: those in use are not put out for whoever comes; an outage of ours, for this tenant alone.
        self.crowded.fetch_add(1, Ordering::Relaxed);
        Err(TokenError::Unavailable)
    }

    /// Lets this one go.
    pub(crate) fn forget(&self, issuer: &Arc<Issuer>) {
        if let Some(tenant) = &issuer.realm {
            let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
            if loaded.get(tenant).is_some_and(|current| Arc::ptr_eq(current, issuer)) {
                loaded.remove(tenant);
                self.let_go(issuer);
            }
        }
    }

    fn let_go(&self, issuer: &Issuer) {
        issuer.retire();
        self.failures.fetch_add(issuer.failures.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub(crate) fn loaded(&self) -> Vec<Arc<Issuer>> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect()
    }

    pub(crate) fn state(&self, now: u64) -> RealmsState {
        let loaded = self.loaded();
        let failures: u64 = loaded.iter().map(|issuer| issuer.failures.load(Ordering::Relaxed)).sum();
        RealmsState {
            id: self.settings.id.clone(),
            loaded: loaded.len(),
            unusable: loaded.iter().filter(|issuer| !issuer.trusts_keys(now)).count(),
            failures: self.failures.load(Ordering::Relaxed).saturating_add(failures),
            crowded: self.crowded.load(Ordering::Relaxed),
        }
    }
}

impl std::fmt::Debug for Realms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Realms").field("id", &self.settings.id).finish_non_exhaustive()
    }
}

/// Issuers whose keys nobody reads yet. There are never more than may be loaded.
#[derive(Debug, Default)]
pub(crate) struct Newcomers {
    waiting: Mutex<Vec<Arc<Issuer>>>,
    arrived: Notify,
}

impl Newcomers {
    fn add(&self, issuer: Arc<Issuer>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(issuer);
        self.arrived.notify_one();
    }

    /// Those that have come, if need be after a wait.
    pub(crate) async fn come(&self) -> Vec<Arc<Issuer>> {
        loop {
            let arrived = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !arrived.is_empty() {
                return arrived;
            }
            self.arrived.notified().await;
        }
    }
}
