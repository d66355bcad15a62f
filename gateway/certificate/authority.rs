use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use terms::{IssuerId, TenantId};

/// The files of an authority, and for whom it may speak.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthoritySettings {
    /// What the configuration calls it.
    pub id: IssuerId,
    /// Its root certificates, PEM.
    pub ca: PathBuf,
    /// Lists of what it has revoked, PEM. With them every certificate of a chain must be one of which they say something.
    pub crl: Option<PathBuf>,
    /// The tenants that its certificates may speak for.
    pub tenants: Arc<HashSet<TenantId>>,
}

/// Why an authority cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The certificates or the lists are not usable.
    #[error("`{}` is not usable", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::client::VerifierBuilderError,
    },
    /// A certificate in the file is not one that can vouch for others.
    #[error("a certificate in `{}` is not usable", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// There is nothing of the kind in the file.
    #[error("`{}` holds no {what} in pem", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The file cannot be read, or is not there.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl AuthorityError {
    /// The file that it is about.
    #[must_use]
    pub fn file(&self) -> &Path {
        match self {
            Self::Certificate { path, .. }
            | Self::Nothing { path, .. }
            | Self::Read { path, .. }
            | Self::Unusable { path, .. } => path,
        }
    }
}

/// Whoever signs client certificates, as its files say at one moment.
#[derive(Clone, Debug)]
pub struct Authority {
    pub(crate) id: IssuerId,
    pub(crate) tenants: Arc<HashSet<TenantId>>,
    pub(crate) verifier: Arc<dyn ClientCertVerifier>,
    /// The bytes that it was made of.
    bytes: Vec<u8>,
}

impl Authority {
    /// Reads the files of an authority.
    ///
    /// # Errors
    /// If they cannot be read, or are not what they should be.
    pub fn open(settings: &AuthoritySettings) -> Result<Self, AuthorityError> {
        let AuthoritySettings { id, ca, crl, tenants } = settings;
        let mut bytes = read(ca)?;
        let mut roots = RootCertStore::empty();
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let certificates = certificates.ok().filter(|found| !found.is_empty());
        for certificate in certificates.ok_or_else(|| nothing(ca, "certificate"))? {
            let added = roots.add(certificate);
            added.map_err(|source| AuthorityError::Certificate { path: ca.clone(), source })?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if let Some(path) = crl {
            let text = read(path)?;
            let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&text).collect();
            let lists = lists.ok().filter(|found| !found.is_empty()).ok_or_else(|| nothing(path, "revocation list"))?;
            // FAIL CLOSED: a list that should have been renewed by now does not say who is still trusted.
            builder = builder.with_crls(lists).enforce_revocation_expiration();
            bytes.extend(text);
        }
        let path = crl.as_ref().unwrap_or(ca).clone();
        let verifier = builder.build().map_err(|source| AuthorityError::Unusable { path, source })?;
        Ok(Self { id: id.clone(), tenants: Arc::clone(tenants), verifier, bytes })
    }

    /// Whether both were made of the same bytes.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.tenants == other.tenants && self.bytes == other.bytes
    }

    /// What the configuration calls it.
    #[must_use]
    pub const fn id(&self) -> &IssuerId {
        &self.id
    }

    /// What verifies its certificates in a handshake.
    #[must_use]
    pub const fn verifier(&self) -> &Arc<dyn ClientCertVerifier> {
        &self.verifier
    }
}

fn read(path: &Path) -> Result<Vec<u8>, AuthorityError> {
    std::fs::read(path).map_err(|source| AuthorityError::Read { path: path.into(), source })
}

fn nothing(path: &Path, what: &'static str) -> AuthorityError {
    AuthorityError::Nothing { path: path.into(), what }
}
