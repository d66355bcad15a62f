use std::sync::Arc;

use certificate::{Authorities, ByName};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::version::{TLS12, TLS13};
use terms::IssuerId;

use super::chooser::Chooser;
use super::clients;
use super::settings::{ClientCertificates, TlsSettings, TlsVersion};

/// What one listener offers to its clients at one moment. Replaced as a whole when a file changes.
#[derive(Debug)]
pub(crate) struct Offer {
    chooser: Arc<Chooser>,
    /// What holds for all names without a rule of their own, and behind it the rules of hosts.
    rules: Vec<Rule>,
    by_host: ByName<usize>,
}

/// What holds for the clients that ask for certain names.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) scope: Scope,
    pub(crate) demands: Demands,
    pub(crate) may_vouch: Arc<[IssuerId]>,
}

/// For whom a rule was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// For the name that the client asked for.
    Host,
    /// For whatever comes to the listener.
    Listener,
}

/// Whether a client must present a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Demands {
    Certificate,
    Nothing,
}

/// How the rules of a listener resume sessions: the keys of the tickets, in the order of the rules.
///
/// INVARIANT: no two rules of which one asks for certificates share a key, or a session without one could be resumed where
/// one is demanded (and rustls looks only at the name).
pub(crate) type Tickets = Vec<Arc<dyn ProducesTickets>>;

impl Offer {
    pub(crate) fn new(
        settings: &TlsSettings,
        tickets: &Tickets,
        chooser: Chooser,
        authorities: &Authorities,
    ) -> Result<Self, rustls::Error> {
        let chooser = Arc::new(chooser);
        let mut by_host = ByName::default();
        let mut rules = Vec::with_capacity(1 + settings.hosts.len());
        for ((host, clients), tickets) in every_rule(settings).zip(tickets) {
            let scope = match host {
                Some(host) => {
                    *by_host.entry(host) = rules.len();
                    Scope::Host
                }
                None => Scope::Listener,
            };
            let config = config(settings, clients, authorities, Arc::clone(tickets), Arc::clone(&chooser))?;
            let demands = match clients {
                ClientCertificates::Required(_) => Demands::Certificate,
                ClientCertificates::Off | ClientCertificates::Optional(_) => Demands::Nothing,
            };
            rules.push(Rule { config: Arc::new(config), scope, demands, may_vouch: clients.authorities().into() });
        }
        Ok(Self { chooser, rules, by_host })
    }

    /// The rule for a client that asks for this name. `None` if there is no certificate for it.
    pub(crate) fn rule_for(&self, name: Option<&str>) -> Option<&Rule> {
        if !self.chooser.knows(name) {
            return None;
        }
        self.rules.get(name.and_then(|name| self.by_host.get(name)).copied().unwrap_or_default())
    }
}

/// What holds for the listener, and then for each host.
pub(crate) fn every_rule(settings: &TlsSettings) -> impl Iterator<Item = (Option<&str>, &ClientCertificates)> {
    let hosts = settings.hosts.iter().map(|(host, clients)| (Some(host.as_str()), clients));
    std::iter::once((None, &settings.clients)).chain(hosts)
}

fn config(
    settings: &TlsSettings,
    clients: &ClientCertificates,
    authorities: &Authorities,
    tickets: Arc<dyn ProducesTickets>,
    chooser: Arc<Chooser>,
) -> Result<ServerConfig, rustls::Error> {
    let mut provider = ring::default_provider();
    if !settings.suites.is_empty() {
        provider.cipher_suites = settings.suites.iter().map(|suite| suite.0).collect();
    }
    let provider: Arc<CryptoProvider> = Arc::new(provider);
    let versions = match settings.min_version {
        TlsVersion::Tls12 => &[&TLS13, &TLS12][..],
        TlsVersion::Tls13 => &[&TLS13][..],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions)?;
    let builder = match clients::verifier(clients, authorities, &provider) {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_cert_resolver(chooser);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = tickets;
    config.session_storage = Arc::new(NoServerSessionStorage {}); // tickets alone, whose keys are ours to rotate
    config.ignore_client_order = true; // the order of the settings says which suite is best
    config.max_early_data_size = 0; // what can be replayed is no request
    Ok(config)
}
