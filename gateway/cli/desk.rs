//! What operators ask for at the admin listener.

use std::sync::Arc;

use admin::{Desk, Notices, Refusal, Unheard};
use async_trait::async_trait;
use gate::Rules;
use store::{Revocation, StoreError};
use tenancy::Revoked;
use terms::{Clock, IssuerId, Live};
use token::{About, Notice, NoticeKind, TokenError, Verifier};
use tokio::task::spawn_blocking;

use crate::revoking::Revoking;
use crate::which::{Names, Which};

/// Fulfils it, by the rules in force; and what issuers say about their own tokens.
pub(crate) struct Front {
    pub(crate) tokens: Arc<Verifier>,
    pub(crate) revoking: Arc<Revoking>,
    pub(crate) issuers: Vec<IssuerId>,
    pub(crate) realms: Vec<IssuerId>,
    pub(crate) rules: Arc<Live<Rules>>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Front {
    fn read(&self, which: &[u8]) -> Result<Revocation, Refusal> {
        let which: Which = serde_json::from_slice(which).map_err(|error| Refusal::Unclear(error.to_string()))?;
        let rules = self.rules.snapshot();
        let names = Names { issuers: &self.issuers, realms: &self.realms, tenants: rules.policy().tenants() };
        let revocation = which.revocation(names, self.clock.unix_seconds());
        revocation.map_err(|unclear| Refusal::Unclear(unclear.to_string()))
    }

    /// In force before the answer is given.
    fn done<T>(&self, outcome: Result<T, StoreError>) -> Result<T, Refusal> {
        let done = outcome.map_err(unavailable)?;
        self.revoking.refresh();
        Ok(done)
    }
}

impl Desk for Front {
    fn revoke(&self, which: &[u8]) -> Result<(), Refusal> {
        let revocation = self.read(which)?;
        self.done(self.revoking.store().revoke(&revocation, self.clock.unix_seconds()))
    }

    fn restore(&self, which: &[u8]) -> Result<bool, Refusal> {
        let revocation = self.read(which)?;
        self.done(self.revoking.store().restore(&revocation.revoked, self.clock.unix_seconds()))
    }

    fn revocations(&self) -> Result<String, Refusal> {
        let all = self.revoking.store().revocations(self.clock.unix_seconds()).map_err(unavailable)?;
        let all: Vec<_> = all.iter().map(Which::of).collect();
        serde_json::to_string(&all).map_err(|_| Refusal::Unavailable)
    }
}

#[async_trait]
impl Notices for Front {
    async fn logout(&self, token: &str) -> Result<(), Unheard> {
        self.take(NoticeKind::Logout, token).await
    }

    async fn security_event(&self, token: &str) -> Result<(), Unheard> {
        self.take(NoticeKind::SecurityEvent, token).await
    }
}

impl Front {
    /// Takes back what an issuer says is over: in force and on disk before it is told so.
    async fn take(&self, kind: NoticeKind, token: &str) -> Result<(), Unheard> {
        let notice = self.tokens.notice(kind, token).await.map_err(|error| {
            tracing::info!(%error, "what an issuer says about its tokens is not taken");
            unheard(error)
        })?;
        let (revoking, now) = (Arc::clone(&self.revoking), self.clock.unix_seconds());
        let taken = spawn_blocking(move || {
            for revocation in revocations(notice, now) {
                revoking.store().revoke(&revocation, now)?;
            }
            revoking.refresh();
            Ok::<_, StoreError>(())
        });
        match taken.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(error = terms::chain(&error), "what an issuer says about its tokens could not be kept");
                Err(Unheard::Unavailable)
            }
            Err(_) => Err(Unheard::Unavailable),
        }
    }
}

fn revocations(notice: Notice, now: u64) -> impl Iterator<Item = Revocation> {
    let Notice { issuer, realm: _, about, until } = notice;
    about.into_iter().map(move |about| {
        let issuer = issuer.clone();
        let revoked = match about {
            About::Session(sid) => Revoked::Session { issuer, sid },
            About::Subject(subject, before) => Revoked::Subject { issuer, subject, before: Some(before) },
        };
        Revocation { revoked, until: Some(until), made: now }
    })
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

fn unavailable(error: StoreError) -> Refusal {
    tracing::error!(error = terms::chain(&error), "what an operator asked for could not be done");
    Refusal::Unavailable
}
