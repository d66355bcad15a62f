use std::time::Duration;

use secrets::{Kept, Secret};
use terms::Span;
use token::{DpopSettings, NonceKey};
use yaml::At;

use super::Compiler;
use crate::settings::file;

/// What is older than this could be anybody's by now.
const LONGEST: Duration = Duration::from_secs(300);

impl Compiler<'_> {
    pub(super) fn dpop(&mut self, entry: file::Dpop) -> Option<DpopSettings> {
        let file::Dpop { algorithms, max_age, leeway, remembered, remembered_per_key, nonce_period, nonce_secret } =
            entry;
        let default = DpopSettings::default();
        let algorithms = match algorithms {
            Some(none) if none.value.is_empty() => {
                self.error(&none, "no proof could be signed".into(), "leave it out for ES256, ES384 and EdDSA");
                Vec::new()
            }
            Some(written) => written.value.into_iter().map(|algorithm| algorithm.value).collect(),
            None => default.algorithms,
        };
        let leeway = leeway.map_or(default.leeway, |written| self.at_most(&written, LONGEST));
        Some(DpopSettings {
            algorithms,
            max_age: max_age.map_or(default.max_age, |written| self.whole_seconds(&written)),
            leeway,
            remembered: self.some(remembered, default.remembered),
            remembered_per_key: self.some(remembered_per_key, default.remembered_per_key),
            nonce_period: nonce_period.map_or(default.nonce_period, |written| self.whole_seconds(&written)),
            nonce_key: match nonce_secret {
                Some(written) => Some(self.nonce_key(&written)?),
                None => None,
            },
        })
    }

    fn at_most(&mut self, written: &At<Span>, longest: Duration) -> Duration {
        if written.value.0 > longest {
            self.error(
                written,
                format!("this is longer than {}s", longest.as_secs()),
                "proofs are made for one request",
            );
        }
        written.value.0
    }

    /// Proofs and nonces tell whole seconds.
    fn whole_seconds(&mut self, written: &At<Span>) -> Duration {
        if written.value.0 < Duration::from_secs(1) {
            self.error(written, "this is shorter than a second".into(), "proofs tell whole seconds");
        }
        self.at_most(written, LONGEST)
    }

    fn some(&mut self, written: Option<At<u32>>, default: usize) -> usize {
        let Some(written) = written else { return default };
        if written.value == 0 {
            self.error(&written, "no proof would be taken".into(), "leave it out, or write how many");
        }
        usize::try_from(written.value).unwrap_or(default)
    }

    fn nonce_key(&mut self, written: &At<String>) -> Option<Kept<NonceKey>> {
        let given = self.key_for(written, "the nonces")?;
        let make = |secret: Secret<Vec<u8>>, before: Option<&NonceKey>| {
            let key = NonceKey::new(secret.expose()).map_err(|error| error.to_string())?;
            Ok(match before {
                Some(before) => key.after(before),
                None => key,
            })
        };
        self.kept("dpop.nonce_secret", written, given, make)
    }
}
