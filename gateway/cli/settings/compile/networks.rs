use canonical::{ForwardedField, Proxies};
use terms::{Clients, Network, Networks};
use yaml::At;

use super::Compiler;
use crate::settings::file;

impl Compiler<'_> {
    /// Whose word counts for whose request it is, and from where clients may come.
    pub(super) fn clients(&mut self, clients: file::Clients) -> Option<(Proxies, Clients)> {
        let file::Clients { trusted_proxies, field, allow, deny } = clients;
        let trusted = trusted_proxies.map_or(Some(Networks::default()), |proxies| self.trusted(&proxies));
        let field = match field {
            file::ForwardedWord::Forwarded => ForwardedField::Forwarded,
            file::ForwardedWord::XForwardedFor => ForwardedField::XForwardedFor,
        };
        if let Some(none) = allow.as_ref().filter(|allow| allow.value.is_empty()) {
            self.error(none, "no network is allowed, so that nobody would be served".into(), "leave `allow` out");
        }
        let (allow, deny) = (allow.map(|allow| self.networks(&allow.value)), self.networks(&deny));
        let allow = allow.map_or(Some(None), |allow| allow.map(Some));
        Some((Proxies { trusted: trusted?, field }, Clients::new(allow?, deny?)))
    }

    /// Networks of proxies that are believed. A list that holds nobody would take every connection away, and one that
    /// holds everybody would let every client say who it is.
    pub(super) fn trusted(&mut self, written: &At<Vec<At<String>>>) -> Option<Networks> {
        if written.value.is_empty() {
            self.error(written, "no proxy is listed".into(), "for example `[\"10.0.0.0/8\"]`");
        }
        for text in &written.value {
            if text.value.parse().as_ref().is_ok_and(Network::is_everybody) {
                let message = format!("`{}` is everybody, and everybody could say to be anybody", text.value);
                self.error(text, message, "list the networks of your proxies");
            }
        }
        self.networks(&written.value)
    }

    /// All of them are read, so that one mistake does not hide the next.
    fn networks(&mut self, written: &[At<String>]) -> Option<Networks> {
        let networks: Vec<Option<Network>> = written.iter().map(|text| self.parse(text)).collect();
        networks.into_iter().collect()
    }
}
