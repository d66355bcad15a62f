//! Opaque tokens: what they mean, their issuer says when it is asked (RFC 7662).

mod answer;
mod client;
mod client_key;
mod memory;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use terms::{Breaker, Clock, IssuerId};
use tokio::sync::Semaphore;

pub use client_key::{ClientKey, InvalidClientKey};
pub(crate) use memory::Memory;

use crate::{Caller, IssuerSettings, TokenError};
use answer::Answer;
use client::{Asking, Client};

/// One issuer that is asked about its tokens.
pub(crate) struct Introspector {
    pub(crate) settings: IssuerSettings,
    /// Its place among those that are asked, which tells what is remembered of its tokens from what is of others'.
    place: u32,
    client: Client,
    memory: Arc<Memory>,
    clock: Arc<dyn Clock>,
    /// Tokens that it is asked about now. Whoever comes with the same one waits for the same answer.
    flights: Mutex<HashMap<[u8; 32], WeakShared<Flight>>>,
    places: Semaphore,
    waiting: AtomicUsize,
    breaker: Breaker,
    counts: Counts,
    last_error: Mutex<Option<String>>,
}

type Verdict = Result<Arc<Caller>, TokenError>;
type Flight = BoxFuture<'static, Verdict>;

/// What came of asking.
#[derive(Debug, Default)]
struct Counts {
    remembered: AtomicU64,
    active: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    unasked: AtomicU64,
}

/// How asking one issuer about its tokens goes, for metrics and readiness.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IntrospectionState {
    /// Which issuer.
    pub id: IssuerId,
    /// Tokens about which it did not have to be asked.
    pub remembered: u64,
    /// Answers that a token is good.
    pub active: u64,
    /// Answers that a token is not active, or not good for us.
    pub refused: u64,
    /// Requests that had no answer, or none that could be believed.
    pub failed: u64,
    /// Tokens that it was not asked about, since too many were under way or it had failed again and again.
    pub unasked: u64,
    /// Whether it is left alone for a while.
    pub open: bool,
    /// What went wrong last, while something does.
    pub last_error: Option<String>,
}

/// Beyond so many tokens that it is asked about, those are forgotten for which nobody waits any more.
const MOST_FLIGHTS: usize = 1_024;

/// How many requests wait for a place, for each place.
const WAITING_PER_PLACE: usize = 4;

impl Introspector {
    /// Asks this issuer as its settings say. `None` if they do not say how.
    pub(crate) fn new(
        settings: IssuerSettings,
        http: reqwest::Client,
        place: u32,
        memory: Arc<Memory>,
        clock: Arc<dyn Clock>,
    ) -> Option<Self> {
        let asked = settings.introspection.as_ref()?;
        let client = Client::new(asked, http)?;
        Some(Self {
            places: Semaphore::new(asked.concurrency),
            client,
            settings,
            place,
            memory,
            clock,
            flights: Mutex::default(),
            waiting: AtomicUsize::new(0),
            breaker: Breaker::default(),
            counts: Counts::default(),
            last_error: Mutex::default(),
        })
    }

    /// Who bears this token, as the issuer says, or said a moment ago.
    ///
    /// Everything is asked again each time that is not the issuer's to say: whether it has expired since, and, by those
    /// who call, whether it was taken back.
    pub(crate) async fn judge(self: &Arc<Self>, token: &str, fingerprint: [u8; 32]) -> Verdict {
        let now = self.clock.unix_seconds();
        if let Some(known) = self.memory.recall(self.place, &fingerprint, now) {
            self.counts.remembered.fetch_add(1, Ordering::Relaxed);
            return known;
        }
        self.flight(token, fingerprint).await
    }

    /// The answer that is under way, or a new one. It is dropped when nobody waits for it any more.
    fn flight(self: &Arc<Self>, token: &str, fingerprint: [u8; 32]) -> Shared<Flight> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&fingerprint).and_then(WeakShared::upgrade) {
            return flight;
        }
        let (this, token) = (Arc::clone(self), token.to_owned());
        let flight = async move {
            let verdict = this.ask(&token, fingerprint).await;
            this.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&fingerprint);
            verdict
        };
        let flight = flight.boxed().shared();
        if flights.len() >= MOST_FLIGHTS {
            flights.retain(|_, flight| flight.upgrade().is_some()); // those that everybody left
        }
        flights.extend(flight.downgrade().map(|flight| (fingerprint, flight)));
        flight
    }

    async fn ask(&self, token: &str, fingerprint: [u8; 32]) -> Verdict {
        let Some(asked) = &self.settings.introspection else { return Err(TokenError::Unavailable) };
        // FAIL CLOSED: whatever keeps it from being asked, nobody gets in by that, and it is an outage of ours.
        let unasked = || {
            self.counts.unasked.fetch_add(1, Ordering::Relaxed);
            TokenError::Unavailable
        };
        let attempt = self.breaker.attempt(self.clock.unix_seconds()).ok_or_else(unasked)?;
        let place = self.place_within(asked.timeout, asked.concurrency).await.ok_or_else(unasked)?;
        let asking = tokio::time::timeout(asked.timeout, self.client.ask(token, self.clock.unix_seconds())).await;
        drop(place);
        let answer = asking.unwrap_or(Err(Asking::Late)).and_then(|body| Answer::parse(&body));
        let now = self.clock.unix_seconds();
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                // What one token alone may bring about says nothing about the issuer.
                if error.is_of_the_issuer() && attempt.failed(now) {
                    tracing::warn!(issuer = %self.settings.id, "an issuer that is asked about tokens fails and is left alone for a while");
                }
                self.note(Some(terms::chain(&error)));
                return Err(TokenError::Unavailable);
            }
        };
        attempt.succeeded();
        self.note(None);
        let verdict = answer.believe(&self.settings, now, fingerprint);
        match &verdict {
            Ok(caller) => {
                self.counts.active.fetch_add(1, Ordering::Relaxed);
                let until = caller.good_until().min(now.saturating_add(asked.remember.as_secs()));
                self.memory.remember(self.place, fingerprint, Arc::clone(caller), until);
            }
            Err(refused) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                self.memory.remember_refused(self.place, fingerprint, *refused, now);
            }
        }
        verdict
    }

    /// One of the places, if one comes free in time and not too many wait for it.
    async fn place_within(&self, wait: std::time::Duration, places: usize) -> Option<tokio::sync::SemaphorePermit<'_>> {
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        let _waiting = Waiting::begin(&self.waiting, places.saturating_mul(WAITING_PER_PLACE))?;
        tokio::time::timeout(wait, self.places.acquire()).await.ok()?.ok()
    }

    fn note(&self, problem: Option<String>) {
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = &problem
            && last.as_ref() != Some(problem)
        {
            tracing::warn!(issuer = %self.settings.id, problem, "an issuer cannot be asked about a token");
        }
        *last = problem;
    }

    pub(crate) fn state(&self) -> IntrospectionState {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { remembered, active, refused, failed, unasked } = &self.counts;
        IntrospectionState {
            id: self.settings.id.clone(),
            remembered: count(remembered),
            active: count(active),
            refused: count(refused),
            failed: count(failed),
            unasked: count(unasked),
            open: self.breaker.is_open(self.clock.unix_seconds()),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl std::fmt::Debug for Introspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Introspector").field("id", &self.settings.id).finish_non_exhaustive()
    }
}

/// One of those who wait.
struct Waiting<'w>(&'w AtomicUsize);

impl<'w> Waiting<'w> {
    fn begin(waiting: &'w AtomicUsize, most: usize) -> Option<Self> {
        let this = Self(waiting);
        (waiting.fetch_add(1, Ordering::AcqRel) < most).then_some(this) // one too many leaves again as it is dropped
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
