use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use terms::{Clock, Live};
use zeroize::Zeroizing;

use crate::TlsFiles;
use crate::validity::Validity;

/// Why a certificate and its key cannot be served with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate is not one that can be used.
    #[error("the certificate in `{}` is not usable", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// Others than the key's owner and group may read or write it.
    #[error("the key in `{}` is open to everybody (mode {mode:03o}); take that away: chmod o-rwx", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The key is not one that can be used.
    #[error("the key in `{}` is not usable", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// The key belongs to another certificate.
    #[error("the key in `{}` does not belong to the certificate in `{}`", key.display(), certificate.display())]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// There is no certificate in the file, or something that only looks like one.
    #[error("`{}` holds no certificate in pem", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key in the file.
    #[error("`{}` holds no private key in pem", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
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

impl TlsError {
    /// The file that it is about.
    #[must_use]
    pub fn file(&self) -> &Path {
        match self {
            Self::Certificate { path, .. }
            | Self::Exposed { path, .. }
            | Self::Key { path, .. }
            | Self::NoCertificate { path }
            | Self::NoKey { path }
            | Self::Read { path, .. } => path,
            Self::Mismatch { key, .. } => key,
        }
    }
}

impl TlsFiles {
    /// Everything that keeps the files from being served with. Nothing is served, and no port is taken.
    #[must_use]
    pub fn faults(&self) -> Vec<TlsError> {
        let (chain, signer) = (read_chain(&self.certificate), read_signer(&self.key));
        match (chain, signer) {
            (Ok(chain), Ok(signer)) => self.certify(chain, signer).err().into_iter().collect(),
            (chain, signer) => chain.err().into_iter().chain(signer.err()).collect(),
        }
    }

    fn certify(&self, chain: Chain, signer: Arc<dyn SigningKey>) -> Result<CertifiedKey, TlsError> {
        let Self { certificate, key } = self;
        let certified = CertifiedKey::new(chain, signer);
        match certified.keys_match() {
            Ok(()) => Ok(certified),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(TlsError::Mismatch { certificate: certificate.clone(), key: key.clone() })
            }
            Err(source) => Err(TlsError::Certificate { path: certificate.clone(), source }),
        }
    }
}

/// A certificate, and those between it and its root.
type Chain = Vec<CertificateDer<'static>>;

/// The certificates of all listeners that have one. Cloned, it is still the same ones.
#[derive(Clone, Debug)]
pub struct Certificates {
    clock: Arc<dyn Clock>,
    served: Arc<[Served]>,
}

#[derive(Debug)]
struct Served {
    files: TlsFiles,
    config: Arc<Live<ServerConfig>>,
}

impl Certificates {
    pub(crate) fn new(clock: Arc<dyn Clock>, served: Vec<(TlsFiles, Arc<Live<ServerConfig>>)>) -> Self {
        let served = served.into_iter().map(|(files, config)| Served { files, config }).collect();
        Self { clock, served }
    }

    /// Reads all files again. New connections get the new certificates, those that are open keep theirs.
    ///
    /// # Errors
    /// If one of them cannot be served with: then all stay as they are.
    pub fn replace_certificates(&self) -> Result<(), TlsError> {
        let read = |served: &Served| load(&served.files, &*self.clock);
        let next = self.served.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        for (served, config) in self.served.iter().zip(next) {
            served.config.replace(config);
        }
        Ok(())
    }
}

/// Reads a certificate and its key. One that has run out, or does not hold yet, is served all the same, with a warning:
/// clients will refuse it, and say so more clearly than a gateway that does not start.
pub(crate) fn load(files: &TlsFiles, clock: &dyn Clock) -> Result<ServerConfig, TlsError> {
    let chain = read_chain(&files.certificate)?;
    let signer = read_signer(&files.key)?;
    warn_of_dates(&files.certificate, &chain, clock);
    let certified = files.certify(chain, signer)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|source| TlsError::Certificate { path: files.certificate.clone(), source })?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn read_chain(path: &Path) -> Result<Chain, TlsError> {
    let pem = std::fs::read(path).map_err(|source| TlsError::Read { path: path.into(), source })?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| TlsError::NoCertificate { path: path.into() })
}

fn read_signer(path: &Path) -> Result<Arc<dyn SigningKey>, TlsError> {
    let key = read_key(path)?;
    let signer = ring::default_provider().key_provider.load_private_key(key);
    signer.map_err(|source| TlsError::Key { path: path.into(), source })
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let unreadable = |source| TlsError::Read { path: path.into(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    // Of the open file, so that it is the one that is read.
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(TlsError::Exposed { path: path.into(), mode });
    }
    let mut pem = Zeroizing::new(Vec::new());
    file.read_to_end(&mut pem).map_err(unreadable)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsError::NoKey { path: path.into() })
}

fn warn_of_dates(path: &Path, chain: &[CertificateDer<'_>], clock: &dyn Clock) {
    let now = clock.now();
    match chain.first().and_then(|certificate| Validity::of(certificate)) {
        Some(Validity { not_after, .. }) if not_after < now => {
            tracing::warn!(certificate = %path.display(), "the certificate has run out");
        }
        Some(Validity { not_before, .. }) if now < not_before => {
            tracing::warn!(certificate = %path.display(), "the certificate does not hold yet");
        }
        Some(_) => {}
        None => tracing::warn!(certificate = %path.display(), "the certificate's dates cannot be read"),
    }
}
