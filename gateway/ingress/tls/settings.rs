use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use rustls::SupportedCipherSuite;
use rustls::crypto::ring;
use terms::IssuerId;

/// How one listener speaks TLS.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsSettings {
    /// At least one. Which one a client is shown is chosen by the name that it asks for.
    pub certificates: Vec<CertificateFiles>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// The cipher suites that are spoken, best first. All that there are if it is empty.
    pub suites: Vec<Suite>,
    /// How long one key encrypts the tickets that sessions are resumed with.
    pub ticket_rotation: Duration,
    /// What is asked of clients for all names that have no rule of their own.
    pub clients: ClientCertificates,
    /// What is asked of clients for these names.
    pub hosts: Vec<(HostName, ClientCertificates)>,
}

/// A certificate and its key, in PEM files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFiles {
    /// The certificate, and after it those that lead from it to a root.
    pub certificate: PathBuf,
    /// Its private key. Nobody but its owner and group may read the file.
    pub key: PathBuf,
    /// What its issuer's OCSP responder said of it, DER.
    pub ocsp: Option<PathBuf>,
    /// Who is shown it.
    pub shown: Shown,
}

/// Which clients are shown a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shown {
    /// Those that ask for one of its names.
    ByName,
    /// Those that ask for a name that no certificate has, or for none, as well.
    ToOthers,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// What is asked of clients in the handshake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClientCertificates {
    /// Nothing.
    Off,
    /// A certificate, if they have one. One that comes must be good.
    Optional(Vec<IssuerId>),
    /// A certificate.
    Required(Vec<IssuerId>),
}

impl ClientCertificates {
    /// Who may vouch for a client.
    #[must_use]
    pub fn authorities(&self) -> &[IssuerId] {
        match self {
            Self::Off => &[],
            Self::Optional(authorities) | Self::Required(authorities) => authorities,
        }
    }
}

/// A host name, or `*.` and one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HostName(Box<str>);

/// Why a text is not a host name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a host is a dns name in lower case, or `*.` and one")]
pub struct InvalidHostName;

impl HostName {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = InvalidHostName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let fine = |label: &str| {
            let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
            (1..=63).contains(&label.len()) && label.bytes().all(inner)
        };
        let ip = name.parse::<std::net::IpAddr>().is_ok();
        if ip || name.len() > 253 || !name.split('.').all(fine) {
            return Err(InvalidHostName);
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for TlsVersion {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            _ => Err(UnknownVersion),
        }
    }
}

/// A text that is no version of TLS that is spoken here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a version is \"1.2\" or \"1.3\"")]
pub struct UnknownVersion;

/// A cipher suite that this program has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suite(pub(crate) SupportedCipherSuite);

/// A text that is no cipher suite that this program has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this is not a cipher suite that can be spoken here")]
pub struct UnknownSuite;

impl Suite {
    /// All there are.
    pub fn all() -> impl Iterator<Item = Self> {
        ring::ALL_CIPHER_SUITES.iter().copied().map(Self)
    }

    /// The one version that it belongs to.
    #[must_use]
    pub const fn version(self) -> TlsVersion {
        match self.0 {
            SupportedCipherSuite::Tls12(_) => TlsVersion::Tls12,
            SupportedCipherSuite::Tls13(_) => TlsVersion::Tls13,
        }
    }
}

impl fmt::Display for Suite {
    /// As IANA calls it; rustls writes the version into some of the names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.suite().as_str().unwrap_or_default();
        match name.strip_prefix("TLS13_") {
            Some(rest) => write!(f, "TLS_{rest}"),
            None => f.write_str(name),
        }
    }
}

impl FromStr for Suite {
    type Err = UnknownSuite;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::all().find(|suite| suite.to_string() == text).ok_or(UnknownSuite)
    }
}
