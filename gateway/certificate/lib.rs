//! Certificates: what they say, and who vouches for them.
//!
//! *What it decides:* which names and which key a certificate has; whether authorities that are in force vouch for a
//! client's ([`Peer`] is the proof); whether an OCSP response may be stapled to ours.
//!
//! *What it must never do:* take a common name for a name, read a name in two ways, or know a tenant's rules: it says for
//! which tenants an authority may speak, and the gate decides what that is worth.
//!
//! *Who gives it what:* cli the settings of authorities; ingress what clients present. The gate takes a [`Peer`] where a
//! token would have named a caller.
//!
//! *How to add a kind of name:* a field of [`Names`] and its tag in `names.rs`; policy then says how a service is found by
//! it.
#![forbid(unsafe_code)]

mod authority;
mod by_name;
mod der;
mod names;
mod ocsp;
mod parsed;
mod peer;
mod validity;

pub use authority::{Authority, AuthorityError, AuthoritySettings};
pub use by_name::ByName;
pub use names::Names;
pub use ocsp::{UnfitOcsp, check_ocsp};
pub use parsed::{KeyDigest, Parsed};
pub use peer::{Authorities, ClientCertificate, Peer, Unvouched};
pub use validity::Validity;

#[cfg(test)]
mod tests;
