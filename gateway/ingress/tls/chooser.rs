use std::sync::Arc;

use certificate::ByName;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::files::Pair;
use super::settings::Shown;

/// The certificates of one listener, by the names in them.
#[derive(Debug, Default)]
pub(crate) struct Chooser {
    by_name: ByName<Vec<Arc<CertifiedKey>>>,
    others: Vec<Arc<CertifiedKey>>,
}

impl Chooser {
    pub(crate) fn new<'a>(pairs: impl IntoIterator<Item = (&'a Pair, Shown)>) -> Self {
        let mut chooser = Self::default();
        for (pair, shown) in pairs {
            for name in pair.parsed.names.iter().flat_map(|names| &names.dns) {
                chooser.by_name.entry(name).push(Arc::clone(&pair.key));
            }
            if shown == Shown::ToOthers {
                chooser.others.push(Arc::clone(&pair.key));
            }
        }
        chooser
    }

    /// Whether there is a certificate for a client that asks for this name, or for none.
    pub(crate) fn knows(&self, name: Option<&str>) -> bool {
        !self.candidates(name).is_empty()
    }

    fn candidates(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        name.and_then(|name| self.by_name.get(name)).unwrap_or(&self.others)
    }
}

impl ResolvesServerCert for Chooser {
    /// Of several for one name, the first with a signature that the client understands: RSA beside ECDSA.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let candidates = self.candidates(hello.server_name());
        let understood = |pair: &&Arc<CertifiedKey>| pair.key.choose_scheme(hello.signature_schemes()).is_some();
        candidates.iter().find(understood).or_else(|| candidates.first()).map(Arc::clone)
    }
}
