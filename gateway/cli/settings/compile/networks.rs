use terms::{Network, Networks};
use yaml::At;

use super::Compiler;

impl Compiler<'_> {
    /// Networks of proxies that are believed. A list that holds nobody would take every connection away, and one that
    /// holds everybody would let every client say who it is.
    pub(super) fn trusted(&mut self, written: &At<Vec<At<String>>>) -> Option<Networks> {
        if written.value.is_empty() {
            self.error(
                written,
                "no proxy is listed, so that none could connect".into(),
                "for example `[\"10.0.0.0/8\"]`",
            );
        }
        let networks = written.value.iter().map(|text| {
            let network: Option<Network> = self.parse(text);
            if network.as_ref().is_some_and(Network::is_everybody) {
                let message = format!("`{}` is everybody, and everybody could say to be anybody", text.value);
                self.error(text, message, "list the networks of your proxies");
            }
            network
        });
        networks.collect()
    }
}
