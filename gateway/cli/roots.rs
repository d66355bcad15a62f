//! The certificates that this system believes.

use pingora::tls::{RootCertStore, load_platform_certs_incl_env_into_store};

/// Why a gateway cannot start: the framework wants to read them, whether or not an upstream needs them, and panics.
#[derive(Debug, thiserror::Error)]
#[error("the root certificates of this system cannot be read")]
pub(crate) struct Unreadable(#[source] Box<pingora::Error>);

/// Reads them, as the framework will: `SSL_CERT_FILE` and `SSL_CERT_DIR` count.
pub(crate) fn of_the_system() -> Result<RootCertStore, Unreadable> {
    let mut roots = RootCertStore::empty();
    load_platform_certs_incl_env_into_store(&mut roots).map_err(Unreadable)?;
    Ok(roots)
}
