//! What must be up for the gateway to get traffic.

use std::sync::Arc;

use admin::Check;
use audit::Journal;
use token::Verifier;
use upstream::Upstream;

use crate::life::{Life, Stage};

/// The checks behind `/readyz`.
pub(crate) fn checks(
    tokens: &Arc<Verifier>,
    journal: &Arc<Journal>,
    upstreams: &[Arc<Upstream>],
    life: &Life,
) -> Vec<Arc<dyn Check>> {
    vec![
        Arc::new(Recording(Arc::clone(journal))),
        Arc::new(Keys(Arc::clone(tokens))),
        Arc::new(Backends(upstreams.to_vec())),
        Arc::new(Staying(life.clone())),
    ]
}

/// Every upstream has an address that requests can be sent to.
struct Backends(Vec<Arc<Upstream>>);

impl Check for Backends {
    fn name(&self) -> &'static str {
        "upstreams"
    }

    fn check(&self) -> Result<(), String> {
        let ill = self.0.iter().filter_map(|upstream| Some(format!("{}: {}", upstream.id(), upstream.ails()?)));
        let ill: Vec<String> = ill.collect();
        if ill.is_empty() { Ok(()) } else { Err(ill.join("; ")) }
    }
}

/// It was not told to end.
struct Staying(Life);

impl Check for Staying {
    fn name(&self) -> &'static str {
        "staying"
    }

    fn check(&self) -> Result<(), String> {
        if self.0.stage() < Stage::Leaving { Ok(()) } else { Err("the gateway was told to end".into()) }
    }
}

/// Decisions can be recorded.
struct Recording(Arc<Journal>);

impl Check for Recording {
    fn name(&self) -> &'static str {
        "journal"
    }

    fn check(&self) -> Result<(), String> {
        let stats = self.0.stats();
        if stats.healthy {
            Ok(())
        } else {
            Err(format!("the audit log cannot be written ({} failures)", stats.failures))
        }
    }
}

/// At least one issuer's keys are known: with none, no token can be verified. One issuer that is down does not take the
/// others' users down with it.
struct Keys(Arc<Verifier>);

impl Check for Keys {
    fn name(&self) -> &'static str {
        "issuers"
    }

    fn check(&self) -> Result<(), String> {
        let issuers = self.0.issuers();
        if issuers.is_empty() || issuers.iter().any(|issuer| issuer.usable) {
            return Ok(());
        }
        let why = |issuer: &token::IssuerState| {
            format!("{}: {}", issuer.id, issuer.last_error.as_deref().unwrap_or("no keys fetched yet"))
        };
        Err(issuers.iter().map(why).collect::<Vec<_>>().join("; "))
    }
}
