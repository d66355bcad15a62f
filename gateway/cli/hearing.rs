//! Takes back what issuers say is over.

use std::sync::Arc;

use admin::{Notices, Unheard};
use async_trait::async_trait;
use prometheus::{IntCounterVec, Opts, Registry};
use store::{Revocation, StoreError, Taken};
use tenancy::Revoked;
use terms::{Author, Clock, IssuerId};
use token::{About, IssuerSettings, Notice, NoticeKind, TokenError, Verifier};
use tokio::task::spawn_blocking;

use crate::failure::Failure;
use crate::revoking::Revoking;

/// Whoever listens.
pub(crate) struct Hearing {
    tokens: Arc<Verifier>,
    revoking: Arc<Revoking>,
    clock: Arc<dyn Clock>,
    heard: IntCounterVec,
}

/// Of whom it is not known.
const NOBODY: &str = "-";

/// What becomes of what an issuer says.
const OUTCOMES: [&str; 7] = ["audience", "coarse", "issuer", "key", "request", "taken", "unavailable"];

impl Hearing {
    /// Nobody, if nothing of the kind is taken from any issuer.
    pub(crate) fn new(
        issuers: &[IssuerSettings],
        tokens: &Arc<Verifier>,
        revoking: &Arc<Revoking>,
        clock: &Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Option<Self>, Failure> {
        let heard: Vec<_> =
            issuers.iter().filter(|issuer| issuer.notices.is_some()).map(|issuer| issuer.id.as_str()).collect();
        if heard.is_empty() {
            return Ok(None);
        }
        let counter = Opts::new("cloister_notices_total", "What issuers said about sessions, by what came of it");
        let counter = IntCounterVec::new(counter, &["issuer", "outcome"]).and_then(|counter| {
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        });
        let counter = counter.map_err(|error| Failure::setup("metrics", &error))?;
        for issuer in heard.into_iter().chain([NOBODY]) {
            OUTCOMES.into_iter().for_each(|outcome| counter.with_label_values(&[issuer, outcome]).inc_by(0));
        }
        let (tokens, revoking, clock) = (Arc::clone(tokens), Arc::clone(revoking), Arc::clone(clock));
        Ok(Some(Self { tokens, revoking, clock, heard: counter }))
    }

    fn count(&self, by: Option<&IssuerId>, outcome: &str) {
        self.heard.with_label_values(&[by.map_or(NOBODY, IssuerId::as_str), outcome]).inc();
    }

    /// Takes back what an issuer says is over: in force and on disk before it is told so.
    async fn take(&self, kind: NoticeKind, token: &str) -> Result<(), Unheard> {
        let notice = self.tokens.notice(kind, token).await.map_err(|refused| {
            let unheard = unheard(refused.error);
            tracing::debug!(error = %refused, "what an issuer says about its tokens is not taken");
            self.count(refused.by.as_ref(), word(&unheard));
            unheard
        })?;
        let (by, name) = (notice.by.clone(), notice.issuer.clone());
        let (revoking, now) = (Arc::clone(&self.revoking), self.clock.unix_seconds());
        let taken = spawn_blocking(move || {
            let taken = revoke(&revoking, notice, now)?;
            revoking.refresh();
            Ok::<_, StoreError>(taken)
        });
        match taken.await {
            Ok(Ok(taken)) => {
                if taken == Taken::Coarsely {
                    tracing::error!(issuer = %name, "an issuer takes back more than it may: all tokens that it has issued so far are taken back");
                }
                self.count(Some(&by), if taken == Taken::Coarsely { "coarse" } else { "taken" });
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::error!(error = terms::chain(&error), "what an issuer says about its tokens could not be kept");
                self.count(Some(&by), word(&Unheard::Unavailable));
                Err(Unheard::Unavailable)
            }
            Err(_) => Err(Unheard::Unavailable),
        }
    }
}

#[async_trait]
impl Notices for Hearing {
    async fn logout(&self, token: &str) -> Result<(), Unheard> {
        self.take(NoticeKind::Logout, token).await
    }

    async fn security_event(&self, token: &str) -> Result<(), Unheard> {
        self.take(NoticeKind::SecurityEvent, token).await
    }

    fn turned_away(&self) {
        self.count(None, word(&Unheard::Unavailable));
    }
}

fn revoke(revoking: &Revoking, notice: Notice, now: u64) -> Result<Taken, StoreError> {
    let Notice { by: _, issuer, realm: _, about, before, most, until } = notice;
    let made = |revoked| Revocation { revoked, until: Some(until), made: now, author: Some(Author::Issuer) };
    let all: Vec<_> = about
        .into_iter()
        .map(|about| match about {
            About::Session(sid) => made(Revoked::Session { issuer: issuer.clone(), sid }),
            About::Subject(subject, before) => {
                made(Revoked::Subject { issuer: issuer.clone(), subject, before: Some(before) })
            }
        })
        .collect();
    if all.is_empty() {
        return Ok(Taken::Singly);
    }
    // As the issuer's clock has it, so that nothing more is taken back by saying it again.
    let coarser = made(Revoked::Issuer { issuer, before });
    revoking.store().revoke_by_issuer(&all, &coarser, most, now)
}

/// The word for what became of it.
const fn word(unheard: &Unheard) -> &'static str {
    match unheard {
        Unheard::Audience => "audience",
        Unheard::Issuer => "issuer",
        Unheard::Key => "key",
        Unheard::Request(_) => "request",
        Unheard::Unavailable => "unavailable",
    }
}

fn unheard(error: TokenError) -> Unheard {
    match error {
        TokenError::Unavailable => Unheard::Unavailable,
        TokenError::Audience => Unheard::Audience,
        TokenError::Issuer => Unheard::Issuer,
        TokenError::Key(_) | TokenError::Signature => Unheard::Key,
        TokenError::Algorithm(_)
        | TokenError::Claims(_)
        | TokenError::Confirmation(_)
        | TokenError::Expired
        | TokenError::Header(_)
        | TokenError::Inactive
        | TokenError::Malformed(_)
        | TokenError::NotYet
        | TokenError::TooLarge => Unheard::Request(error.to_string()),
    }
}
