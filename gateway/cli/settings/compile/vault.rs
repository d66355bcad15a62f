use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrets::{ProcessEnvironment, Reference, Secret, Use, VaultPlace};
use terms::{Finding, Span};
use vault::{Auth, Fetch, Vault};
use yaml::At;

use super::{Compiler, Given};
use crate::asking::{self, Asking};
use crate::settings::{Vaulted, file};

/// How long a start waits for a Vault that is late or sealed, for all values together.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where Kubernetes mounts the token of a pod's account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Where values of Vault come from while settings are compiled.
#[derive(Debug, Default)]
pub(super) enum Values {
    /// From nowhere: there is no section `vault` that can be read.
    #[default]
    Absent,
    /// They are made up, by chance, and fit for nothing but to check the rest.
    MadeUp,
    /// From this Vault, until then.
    Of(Arc<Vault>, Instant),
}

impl Compiler<'_> {
    /// Notes where values of Vault come from, before the first of them is needed.
    pub(super) fn vault(&mut self, entry: Option<file::Vault>, asking: Asking) -> Vaulted {
        let Some(entry) = entry else { return Vaulted::None };
        let file::Vault { address, ca, namespace, auth, timeout, refresh } = entry;
        let whole = self.between(&timeout, Duration::from_millis(100), Duration::from_secs(30));
        let again = self.between(&refresh, Duration::from_secs(1), Duration::from_secs(3_600));
        let ca = match ca {
            None => Some(None),
            Some(path) => {
                let read = std::fs::read(&path.value);
                let fault = |error: &std::io::Error| format!("`{}` cannot be read: {error}", path.value);
                read.map(Some).map_err(|error| self.note(&path, fault(&error))).ok()
            }
        };
        let auth = self.vault_auth(auth);
        let (Some(timeout), Some(refresh), Some(ca), Some(auth)) = (whole, again, ca, auth) else {
            return Vaulted::None;
        };
        let namespace = namespace.map(|namespace| namespace.value);
        let vault = Vault::new(vault::Settings { address: address.value.clone(), ca, namespace, auth, timeout });
        match vault {
            Err(error) => {
                // Whoever writes a token into it has written it down; there is no need to print it, too.
                let finding = Finding::error(address.spot.place(self.file), terms::chain(&error));
                self.findings.push(finding.unquoted());
                Vaulted::None
            }
            Ok(_) if asking == Asking::Nobody => {
                self.values = Values::MadeUp;
                Vaulted::MadeUp
            }
            Ok(vault) => {
                let vault = Arc::new(vault);
                self.values = Values::Of(Arc::clone(&vault), Instant::now() + PATIENCE);
                Vaulted::Asked(vault, refresh)
            }
        }
    }

    fn between(&mut self, written: &At<Span>, least: Duration, most: Duration) -> Option<Duration> {
        let Span(span) = written.value;
        if !(least..=most).contains(&span) {
            let message = format!("this is not between {least:?} and {most:?}");
            self.error(written, message, "leave it out for the default");
            return None;
        }
        Some(span)
    }

    fn vault_auth(&mut self, written: At<file::VaultAuth>) -> Option<Auth> {
        let At { spot, value: file::VaultAuth { token, approle, kubernetes } } = written;
        let at = At { spot, value: () };
        match (token, approle, kubernetes) {
            (Some(token), None, None) => Some(Auth::Token(self.proof(&token)?)),
            (None, Some(file::AppRole { mount, role_id, secret_id }), None) => Some(Auth::AppRole {
                mount: mount.unwrap_or_else(|| "approle".into()),
                role: role_id,
                secret: self.proof(&secret_id)?,
            }),
            (None, None, Some(file::Kubernetes { mount, role, token })) => Some(Auth::Kubernetes {
                mount: mount.unwrap_or_else(|| "kubernetes".into()),
                role,
                token: token.map_or_else(|| PathBuf::from(ACCOUNT), PathBuf::from),
            }),
            (None, None, None) => {
                self.error(&at, "nothing says who we are to Vault".into(), "`token`, `approle` or `kubernetes`");
                None
            }
            _ => {
                self.error(&at, "there is more than one way to say who we are".into(), "keep one of them");
                None
            }
        }
    }

    /// What proves who we are, which can be had now and will be fetched anew whenever it is needed.
    fn proof(&mut self, written: &At<String>) -> Option<Fetch> {
        let reference = self.reference(written)?;
        if let Err(error) = secrets::resolve(&reference, self.environment) {
            self.note(written, terms::chain(&error));
            return None;
        }
        Some(Box::new(move || secrets::resolve(&reference, &ProcessEnvironment)))
    }

    /// Reads what is in Vault.
    pub(super) fn vaulted(&mut self, written: &At<String>, reference: Reference, place: &VaultPlace) -> Option<Given> {
        let read = match &self.values {
            Values::Absent => {
                self.error(
                    written,
                    "this is a secret in Vault, and nothing says where Vault is".into(),
                    "write a section `vault`, as in config/cloister.yaml",
                );
                return None;
            }
            Values::MadeUp => Ok(made_up()),
            Values::Of(vault, until) => asking::read(vault, place, *until),
        };
        let secret = read.and_then(|value| secrets::accept(&reference, value).map_err(vault::VaultError::Unfit));
        match secret {
            Ok(secret) => Some(Given { reference, value: Use::Any, secret }),
            Err(error) => {
                self.note(written, format!("the secret `{reference}` is not to be had: {}", terms::chain(&error)));
                None
            }
        }
    }
}

/// Like no other, and as long as any must be.
fn made_up() -> Secret<Vec<u8>> {
    let value = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
    Secret::new(value.into_bytes())
}
