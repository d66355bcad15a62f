use std::io;
use std::path::{Path, PathBuf};

/// Why a certificate and its key cannot be served with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// An authority that vouches for clients cannot be had.
    #[error(transparent)]
    Authority(#[from] certificate::AuthorityError),
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
            Self::Authority(error) => error.file(),
            Self::Mismatch { key, .. } => key,
        }
    }
}
