//! PEM files → what is served.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use certificate::Parsed;
use rustls::crypto::ring;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::TlsError;
use super::settings::CertificateFiles;

/// A certificate with its key, read from files that fit together.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) parsed: Parsed,
}

/// A certificate, and those between it and its root.
type Chain = Vec<CertificateDer<'static>>;

impl CertificateFiles {
    /// Everything that keeps the files from being served with. Nothing is served, and no port is taken.
    #[must_use]
    pub fn faults(&self) -> Vec<TlsError> {
        let (chain, signer) = (read_chain(&self.certificate), read_signer(&self.key));
        let ocsp = self.ocsp.as_deref().and_then(|path| read_ocsp(path).err());
        let pair = match (chain, signer) {
            (Ok(chain), Ok(signer)) => self.pair(chain, signer).err().into_iter().collect(),
            (chain, signer) => chain.err().into_iter().chain(signer.err()).collect::<Vec<_>>(),
        };
        pair.into_iter().chain(ocsp).collect()
    }

    /// Reads the files. One that has run out, or does not hold yet, is served all the same, with a warning: clients will
    /// refuse it, and say so more clearly than a gateway that does not start. A stale OCSP response is left out.
    pub(crate) fn open(&self, now: SystemTime) -> Result<(Pair, Option<certificate::UnfitOcsp>), TlsError> {
        let mut pair = self.pair(read_chain(&self.certificate)?, read_signer(&self.key)?)?;
        if !pair.parsed.holds_at(now) {
            let certificate = self.certificate.display();
            let ended = pair.parsed.validity.not_after < now;
            tracing::warn!(%certificate, "the certificate {}", if ended { "has run out" } else { "does not hold yet" });
        }
        let Some(path) = &self.ocsp else { return Ok((pair, None)) };
        let response = read_ocsp(path)?;
        match certificate::check_ocsp(&response, &pair.parsed, now) {
            Ok(_) => {
                let CertifiedKey { cert, key, .. } = &*pair.key;
                pair.key = Arc::new(CertifiedKey { cert: cert.clone(), key: Arc::clone(key), ocsp: Some(response) });
                Ok((pair, None))
            }
            Err(unfit) => {
                tracing::warn!(ocsp = %path.display(), "not stapled: {unfit}");
                Ok((pair, Some(unfit)))
            }
        }
    }

    fn pair(&self, chain: Chain, signer: Arc<dyn SigningKey>) -> Result<Pair, TlsError> {
        let Self { certificate, key, .. } = self;
        let certified = CertifiedKey::new(chain, signer);
        match certified.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(TlsError::Mismatch { certificate: certificate.clone(), key: key.clone() });
            }
            Err(source) => return Err(TlsError::Certificate { path: certificate.clone(), source }),
        }
        let parsed = certified.cert.first().and_then(|own| Parsed::of(own));
        let parsed = parsed.ok_or_else(|| TlsError::Certificate {
            path: certificate.clone(),
            source: rustls::CertificateError::BadEncoding.into(),
        })?;
        Ok(Pair { key: Arc::new(certified), parsed })
    }
}

fn read_chain(path: &Path) -> Result<Chain, TlsError> {
    let pem = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| TlsError::NoCertificate { path: path.into() })
}

fn read_ocsp(path: &Path) -> Result<Vec<u8>, TlsError> {
    read(path)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.into(), source })
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
