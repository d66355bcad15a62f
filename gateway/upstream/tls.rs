use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use secrets::PrivateFileError;

/// How TLS is spoken to an upstream, as it is configured.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Whose certificates are believed, PEM; those of the system if there is none.
    pub ca: Option<PathBuf>,
    /// The name that the backend's certificate must be for.
    pub server_name: String,
    /// Our own certificate and its key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether the backend's certificate is looked at.
    pub verify: Verify,
}

/// Whether the certificate of a backend is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verify {
    /// Whoever answers is believed. Only by a setting that says `insecure`.
    Nothing,
    /// It must be for the server's name, and lead to a root that is believed.
    Whole,
}

/// The files of [`TlsSettings`], read and found fit.
pub struct ClientTls {
    settings: TlsSettings,
    ca: Vec<CertificateDer<'static>>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// Why TLS cannot be spoken as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate and the key do not fit together, or are of no use.
    #[error("the certificate in `{}` and its key cannot be used", path.display())]
    Identity {
        /// The certificate.
        path: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
    /// The key is not as it must be.
    #[error("the key cannot be read")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PrivateFileError,
    },
    /// There is no certificate in the file, or something that only looks like one.
    #[error("`{}` holds no certificate in pem that can be used", .0.display())]
    NoCertificate(PathBuf),
    /// There is no key in the file.
    #[error("`{}` holds no private key in pem", .0.display())]
    NoKey(PathBuf),
    /// No root of the system is known.
    #[error("the system has no root certificates to believe; install them, or name your own in `ca`")]
    NoRoots,
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a name that a certificate can be for.
    #[error("`{0}` is not a name that a certificate can be for: write a host name or an IP address")]
    ServerName(String),
}

impl TlsError {
    /// The file that it is about.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Identity { path, .. }
            | Self::Key { path, .. }
            | Self::NoCertificate(path)
            | Self::NoKey(path)
            | Self::Read { path, .. } => Some(path),
            Self::NoRoots | Self::ServerName(_) => None,
        }
    }
}

impl ClientTls {
    /// Reads the files. `roots` are those of the system.
    ///
    /// # Errors
    /// Something is missing or unfit: it is found now, and not at the first request.
    pub fn load(settings: TlsSettings, roots: &RootCertStore) -> Result<Self, TlsError> {
        let TlsSettings { ca, server_name, identity, verify } = &settings;
        ServerName::try_from(server_name.as_str()).map_err(|_| TlsError::ServerName(server_name.clone()))?;
        let mut trusted = RootCertStore::empty();
        let ca = match ca {
            Some(path) => {
                let ca = certificates(path)?;
                for root in &ca {
                    trusted.add(root.clone()).map_err(|_| TlsError::NoCertificate(path.clone()))?;
                }
                ca
            }
            None if roots.is_empty() && *verify == Verify::Whole => return Err(TlsError::NoRoots),
            None => {
                trusted.extend(roots.roots.iter().cloned());
                Vec::new()
            }
        };
        let identity = match identity {
            Some((certificate, key)) => Some((certificates(certificate)?, private_key(key)?, certificate.clone())),
            None => None,
        };
        try_out(trusted, identity.as_ref())?;
        let identity = identity.map(|(chain, key, _)| (chain, key));
        Ok(Self { settings, ca, identity })
    }

    /// Reads the files again. `None`: they are what they were.
    ///
    /// # Errors
    /// They are not fit any more.
    pub fn again(&self, roots: &RootCertStore) -> Result<Option<Self>, TlsError> {
        let next = Self::load(self.settings.clone(), roots)?;
        let key = |tls: &Self| tls.identity.as_ref().map(|(_, key)| key.secret_der().to_vec());
        let chain = |tls: &Self| tls.identity.as_ref().map(|(chain, _)| chain.clone());
        let same = next.ca == self.ca && chain(&next) == chain(self) && key(&next) == key(self);
        Ok((!same).then_some(next))
    }

    /// The files that it is made of.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let TlsSettings { ca, identity, .. } = &self.settings;
        let identity = identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        ca.iter().chain(identity).map(PathBuf::as_path)
    }

    /// The name that the backend's certificate must be for.
    #[must_use]
    pub fn server_name(&self) -> &str {
        &self.settings.server_name
    }

    /// Whether the backend's certificate is looked at.
    #[must_use]
    pub const fn verify(&self) -> Verify {
        self.settings.verify
    }

    /// Whose certificates are believed; nobody: those of the system.
    #[must_use]
    pub fn ca(&self) -> &[CertificateDer<'static>] {
        &self.ca
    }

    /// Our own certificate, those between it and its root, and its key.
    #[must_use]
    pub fn identity(&self) -> Option<(&[CertificateDer<'static>], &PrivateKeyDer<'static>)> {
        self.identity.as_ref().map(|(chain, key)| (chain.as_slice(), key))
    }
}

/// No key is shown.
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Of everything that makes one TLS client another than the next, for the pool of connections.
impl std::hash::Hash for ClientTls {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.settings.server_name.hash(state);
        (self.settings.verify == Verify::Whole).hash(state);
        for certificate in &self.ca {
            certificate.as_ref().hash(state);
        }
        if let Some((chain, key)) = &self.identity {
            for certificate in chain {
                certificate.as_ref().hash(state);
            }
            key.secret_der().hash(state);
        }
    }
}

/// Puts everything together as a connection will, so that what does not fit is found at the start.
fn try_out(
    trusted: RootCertStore,
    identity: Option<&(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, PathBuf)>,
) -> Result<(), TlsError> {
    let Some((chain, key, path)) = identity else { return Ok(()) };
    let unfit = |source| TlsError::Identity { path: path.clone(), source };
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(unfit)?
        .with_root_certificates(trusted)
        .with_client_auth_cert(chain.clone(), key.clone_key())
        .map(drop)
        .map_err(unfit)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = std::fs::read(path).map_err(|source| TlsError::Read { path: path.into(), source })?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| TlsError::NoCertificate(path.into()))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = secrets::read_private(path).map_err(|source| TlsError::Key { path: path.into(), source })?;
    PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|_| TlsError::NoKey(path.into()))
}
