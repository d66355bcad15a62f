//! What operators ask for at the admin listener.

use std::sync::Arc;

use admin::{Desk, Refusal};
use gate::Rules;
use store::{Revocation, StoreError};
use terms::{Author, Clock, IssuerId, Live};

use crate::revoking::Revoking;
use crate::rules::{self, Reloader, Taken};
use crate::trusted::Pushed;
use crate::which::{Names, Which};

/// Fulfils it, by the rules in force.
pub(crate) struct Front {
    pub(crate) revoking: Arc<Revoking>,
    pub(crate) issuers: Vec<IssuerId>,
    pub(crate) realms: Vec<IssuerId>,
    pub(crate) rules: Arc<Live<Rules>>,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Front {
    fn read(&self, which: &[u8]) -> Result<Revocation, Refusal> {
        let which: Which = serde_json::from_slice(which).map_err(|error| Refusal::Unclear(error.to_string()))?;
        let rules = self.rules.snapshot();
        let names = Names { issuers: &self.issuers, realms: &self.realms, tenants: rules.tenants() };
        let revocation = which.revocation(names, Author::Admin, self.clock.unix_seconds());
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
        self.done(self.revoking.store().restore(&revocation.revoked, Author::Admin, self.clock.unix_seconds()))
    }

    fn push(&self, bundle: &[u8]) -> Result<String, Refusal> {
        let pushed: Pushed = serde_json::from_slice(bundle).map_err(|error| Refusal::Unclear(error.to_string()))?;
        match self.reloader.push(&pushed) {
            Ok(Taken { version, digest, replaced }) => {
                let outcome = if replaced { "replaced" } else { "unchanged" };
                let taken = serde_json::json!({ "version": version, "digest": rules::hex(digest), "outcome": outcome });
                Ok(taken.to_string())
            }
            Err(findings) => Err(Refusal::Refused(findings.iter().map(ToString::to_string).collect())),
        }
    }

    fn revocations(&self) -> Result<String, Refusal> {
        let all = self.revoking.store().revocations(self.clock.unix_seconds()).map_err(unavailable)?;
        let all: Vec<_> = all.iter().map(Which::of).collect();
        serde_json::to_string(&all).map_err(|_| Refusal::Unavailable)
    }
}

fn unavailable(error: StoreError) -> Refusal {
    tracing::error!(error = terms::chain(&error), "what an operator asked for could not be done");
    Refusal::Unavailable
}
