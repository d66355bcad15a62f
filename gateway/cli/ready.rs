//! What must be up for the gateway to get traffic.

use std::sync::Arc;
use std::time::Duration;

use admin::{Check, Standing};
use audit::Logs;
use relay::Relay;
use secrets::Followed;
use token::Verifier;
use upstream::Upstream;
use vault::Vault;

use crate::life::{Life, Stage};
use crate::revoking::Revoking;

/// The checks behind `/readyz`.
pub(crate) fn checks(
    tokens: &Arc<Verifier>,
    recording: Recording,
    upstreams: &[Arc<Upstream>],
    revoking: &Arc<Revoking>,
    relay: Option<&Arc<Relay>>,
    secrets: &Arc<Followed>,
    life: &Life,
) -> Vec<Arc<dyn Check>> {
    let relay = relay.map(|relay| Arc::new(Others(Arc::clone(relay))) as Arc<dyn Check>);
    let alone: [Arc<dyn Check>; 6] = [
        Arc::new(recording),
        Arc::new(Keys(Arc::clone(tokens))),
        Arc::new(Backends(upstreams.to_vec())),
        Arc::<Revoking>::clone(revoking),
        Arc::new(Secrets(Arc::clone(secrets))),
        Arc::new(Staying(life.clone())),
    ];
    alone.into_iter().chain(relay).collect()
}

/// Other gateways are heard, so that what they are told is in force here, too. Without them this one is of use all the same.
struct Others(Arc<Relay>);

/// How long they may be silent.
const SILENCE: Duration = Duration::from_secs(10);

impl Check for Others {
    fn name(&self) -> &'static str {
        "others"
    }

    fn check(&self) -> Standing {
        if self.0.hearing().silence.is_some_and(|silence| silence <= SILENCE) {
            Standing::Up
        } else {
            Standing::Impaired("Redis cannot be reached: what other gateways take back is not known here".into())
        }
    }
}

/// At least one upstream has an address that requests can be sent to. All gateways see the same backends: one that is down
/// must not take every gateway out of its load balancer, and the other backends with them.
struct Backends(Vec<Arc<Upstream>>);

impl Check for Backends {
    fn name(&self) -> &'static str {
        "upstreams"
    }

    fn check(&self) -> Standing {
        let ill = self.0.iter().filter_map(|upstream| Some(format!("{}: {}", upstream.id(), upstream.ails()?)));
        Standing::of_several(self.0.len(), ill.collect())
    }
}

/// Every secret that is there is in force. With the last good ones this gateway is of use all the same.
struct Secrets(Arc<Followed>);

impl Check for Secrets {
    fn name(&self) -> &'static str {
        "secrets"
    }

    fn check(&self) -> Standing {
        let faulty = self.0.conditions().filter_map(|it| Some(format!("{}: {}", it.name, it.fault?)));
        let faulty: Vec<_> = faulty.collect();
        if faulty.is_empty() { Standing::Up } else { Standing::Impaired(faulty.join("; ")) }
    }
}

/// Vault answers. With the values that it gave last this gateway is of use all the same.
pub(crate) struct Answering(pub(crate) Arc<Vault>);

impl Check for Answering {
    fn name(&self) -> &'static str {
        "vault"
    }

    fn check(&self) -> Standing {
        self.0.hearing().fault.map_or(Standing::Up, Standing::Impaired)
    }
}

/// It was not told to end.
struct Staying(Life);

impl Check for Staying {
    fn name(&self) -> &'static str {
        "staying"
    }

    fn check(&self) -> Standing {
        if self.0.stage() < Stage::Leaving {
            Standing::Up
        } else {
            Standing::Down("the gateway was told to end".into())
        }
    }
}

/// Requests can be recorded. Where only the log of another class than the default one is ill, its tenants are refused, and all
/// others are served: that is no reason to take this gateway away from them.
pub(crate) struct Recording {
    pub(crate) logs: Arc<Logs>,
    /// What the classes are called.
    pub(crate) classes: Vec<String>,
}

impl Check for Recording {
    fn name(&self) -> &'static str {
        "journal"
    }

    fn check(&self) -> Standing {
        let stats = self.logs.iter().map(|journal| journal.stats());
        let ill: Vec<_> = self.classes.iter().zip(stats).filter(|(_, stats)| !stats.healthy).collect();
        let of = |class: &str| if self.classes.len() > 1 { format!(" of the class {class}") } else { String::new() };
        let why = ill.iter().map(|(class, stats)| {
            format!("the audit log{} cannot be written ({} failures)", of(class), stats.failures)
        });
        let why = why.collect::<Vec<_>>().join("; ");
        match ill.first() {
            None => Standing::Up,
            Some((class, _)) if Some(*class) == self.classes.first() => Standing::Down(why),
            Some(_) => Standing::Impaired(why),
        }
    }
}

/// At least one issuer's keys are known: with none, no token can be verified. One issuer that is down does not take the
/// others' users down with it. Those of a pattern are first asked when a token of theirs comes.
struct Keys(Arc<Verifier>);

impl Check for Keys {
    fn name(&self) -> &'static str {
        "issuers"
    }

    fn check(&self) -> Standing {
        let issuers = self.0.issuers();
        let ill = issuers
            .iter()
            .filter(|issuer| !issuer.usable)
            .map(|issuer| format!("{}: {}", issuer.id, issuer.last_error.as_deref().unwrap_or("no keys fetched yet")));
        let realms = self.0.realms();
        let without = realms.iter().filter(|realms| realms.unusable > 0);
        let without = without.map(|it| format!("{}: {} of {} tenants have no keys", it.id, it.unusable, it.loaded));
        let asked = self.0.introspections();
        let silent = asked.iter().filter(|asked| asked.open);
        let silent =
            silent.map(|it| format!("{}: {}", it.id, it.last_error.as_deref().unwrap_or("it does not answer")));
        // These count twice and ail once: what is wrong with some tenants' issuers takes nobody out of service, and one that
        // is left alone is asked again only when a request comes.
        let count = issuers.len() + 2 * realms.len() + 2 * asked.len();
        Standing::of_several(count, ill.chain(without).chain(silent).collect())
    }
}
