use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use secrets::{Secret, SecretError};

/// Where Vault is, and who we are there.
#[derive(Debug)]
pub struct Settings {
    /// `https://vault.internal:8200`; `http` on this machine alone.
    pub address: String,
    /// Whose certificates are believed, in PEM. The system's roots, if there is none.
    pub ca: Option<Vec<u8>>,
    /// In which namespace.
    pub namespace: Option<String>,
    /// How we prove who we are.
    pub auth: Auth,
    /// How long an answer may take, all of it.
    pub timeout: Duration,
}

/// Fetches a secret that proves who we are. Done anew for each login, so that another one takes effect.
pub type Fetch = Box<dyn Fn() -> Result<Secret<Vec<u8>>, SecretError> + Send + Sync>;

/// How we prove who we are.
pub enum Auth {
    /// As a role of machines.
    AppRole {
        /// Where the method is mounted: `approle`.
        mount: String,
        /// Which role.
        role: String,
        /// What proves it.
        secret: Fetch,
    },
    /// By the token of the pod's account.
    Kubernetes {
        /// Where the method is mounted: `kubernetes`.
        mount: String,
        /// Which role.
        role: String,
        /// The file of the token, which Kubernetes replaces before it expires.
        token: PathBuf,
    },
    /// With a token that somebody else has got for us, and may replace.
    Token(Fetch),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AppRole { .. } => "AppRole",
            Self::Kubernetes { .. } => "Kubernetes",
            Self::Token(_) => "Token",
        })
    }
}

/// Why there is no Vault to be asked in this way.
#[derive(Debug, thiserror::Error)]
pub enum InvalidVault {
    /// Not an address that secrets are asked for at.
    #[error(
        "the address of Vault is `https://host:port`, or `http://` on this machine, without a path, a user or a password"
    )]
    Address,
    /// The certificates of the authority.
    #[error("`ca` has no certificates in PEM that can be used")]
    Authority(#[source] Option<reqwest::Error>),
    /// What stands in a URL or a field.
    #[error("`{0}` has letters, digits and `_ - . /`")]
    Name(&'static str),
    /// No client can be made.
    #[error("no client for Vault can be made")]
    Client(#[source] reqwest::Error),
}

/// The address, if it is one of Vault and nobody in between can read what is said.
pub(crate) fn address(text: &str) -> Result<Url, InvalidVault> {
    let url: Url = text.parse().map_err(|_| InvalidVault::Address)?;
    let host = url.host_str().ok_or(InvalidVault::Address)?;
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let here = terms::is_loopback_name(host) || ip.is_ok_and(|ip| ip.to_canonical().is_loopback());
    let secure = url.scheme() == "https" || (url.scheme() == "http" && here);
    let anonymous = url.username().is_empty() && url.password().is_none();
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if secure && anonymous && bare { Ok(url) } else { Err(InvalidVault::Address) }
}

/// A name that means nothing else in a URL.
pub(crate) fn named(text: &str, what: &'static str) -> Result<(), InvalidVault> {
    let segment = |text: &str| {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        plain && !text.is_empty() && !text.bytes().all(|byte| byte == b'.')
    };
    text.split('/').all(segment).then_some(()).ok_or(InvalidVault::Name(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_asked_for_over_tls_or_on_this_machine() {
        for (text, good) in [
            ("https://vault.internal:8200", true),
            ("https://vault.internal:8200/", true),
            ("http://127.0.0.1:8200", true),
            ("http://localhost:8200", true),
            ("http://[::1]:8200", true),
            ("http://vault.internal:8200", false),
            ("http://10.0.0.1:8200", false),
            ("https://root:token@vault.internal", false),
            ("https://vault.internal/v1", false),
            ("https://vault.internal/?namespace=a", false),
            ("unix:///run/vault.sock", false),
            ("vault.internal:8200", false),
            ("", false),
        ] {
            assert_eq!(address(text).is_ok(), good, "{text}");
        }
    }
}
