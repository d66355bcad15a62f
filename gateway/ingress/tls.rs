//! TLS: which certificate a client is shown, what it must show itself, and the files that both come from.

mod certificates;
mod chooser;
mod clients;
mod error;
mod files;
mod offer;
mod presented;
mod settings;
mod tickets;

pub use certificates::{Certificates, Renewed, Served};
pub use error::TlsError;
pub use offer::Scope;
pub(crate) use offer::{Demands, Offer, Rule};
pub(crate) use presented::Presented;
pub use settings::{
    CertificateFiles, ClientCertificates, HostName, InvalidHostName, Shown, Suite, TlsSettings, TlsVersion,
    UnknownSuite, UnknownVersion,
};
pub use tickets::LONGEST as LONGEST_TICKET_ROTATION;
