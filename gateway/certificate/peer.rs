use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::{CertificateDer, UnixTime};
use terms::{IssuerId, TenantId};

use crate::parsed::sha256;
use crate::{Authority, KeyDigest, Names, Parsed};

/// Every authority that is in force. Replaced as a whole.
#[derive(Clone, Debug, Default)]
pub struct Authorities(Vec<Authority>);

/// Proof that authorities that are in force vouch for a certificate. That the client holds its key is for the handshake
/// to find out. Only [`Authorities::verify`] makes one.
#[derive(Debug)]
pub struct Peer {
    vouchers: Vec<IssuerId>,
    tenants: HashSet<TenantId>,
    names: Names,
    key: KeyDigest,
    fingerprint: [u8; 32],
    not_after: SystemTime,
}

/// What is known of the certificate of a client.
#[derive(Clone, Debug)]
pub enum ClientCertificate {
    /// It has presented none.
    None,
    /// It has presented one that nobody vouches for any more.
    Refused,
    /// Authorities that are in force vouch for it.
    Vouched(Arc<Peer>),
}

/// Why nobody vouches for a certificate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unvouched {
    /// Something that is not a certificate, or that has names that can be read in two ways.
    #[error("the certificate or its names cannot be read")]
    Malformed,
    /// No authority that may vouch here does.
    #[error("no authority vouches for it: {0}")]
    Nobody(rustls::Error),
}

impl Authorities {
    /// All there are.
    #[must_use]
    pub const fn new(authorities: Vec<Authority>) -> Self {
        Self(authorities)
    }

    /// The authority of this name.
    #[must_use]
    pub fn get(&self, id: &IssuerId) -> Option<&Authority> {
        self.0.iter().find(|authority| authority.id == *id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Authority> {
        self.0.iter()
    }

    /// Verifies a client's chain, its own certificate first, against each of the authorities that may vouch.
    ///
    /// # Errors
    /// If none of them does, or what the certificate says cannot be read in one way alone.
    pub fn verify(
        &self,
        may_vouch: &[IssuerId],
        chain: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<Peer, Unvouched> {
        let (own, between) = chain.split_first().ok_or(Unvouched::Malformed)?;
        let Parsed { names: Some(names), key, validity, .. } = Parsed::of(own).ok_or(Unvouched::Malformed)? else {
            return Err(Unvouched::Malformed);
        };
        // FAIL CLOSED: a clock before 1970 lets nobody in.
        let since = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| Unvouched::Malformed)?;
        let now = UnixTime::since_unix_epoch(since);
        let (mut vouchers, mut tenants) = (Vec::new(), HashSet::new());
        let mut last = rustls::Error::General("no authority may vouch here".into());
        for authority in may_vouch.iter().filter_map(|id| self.get(id)) {
            match authority.verifier.verify_client_cert(own, between, now) {
                Ok(_) => {
                    vouchers.push(authority.id.clone());
                    tenants.extend(authority.tenants.iter().cloned());
                }
                Err(error) => last = error,
            }
        }
        if vouchers.is_empty() {
            return Err(Unvouched::Nobody(last));
        }
        Ok(Peer { vouchers, tenants, names, key, fingerprint: sha256(own), not_after: validity.not_after })
    }
}

impl Peer {
    /// Who vouches for it: at least one.
    #[must_use]
    pub fn vouchers(&self) -> &[IssuerId] {
        &self.vouchers
    }

    /// The tenants that it may speak for: those of the authorities that vouch for it.
    #[must_use]
    pub const fn tenants(&self) -> &HashSet<TenantId> {
        &self.tenants
    }

    /// Its names.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// Its public key.
    #[must_use]
    pub const fn key(&self) -> &KeyDigest {
        &self.key
    }

    /// SHA-256 of the certificate. It is public: it names the certificate, and proves nothing.
    #[must_use]
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Until when it holds.
    #[must_use]
    pub const fn not_after(&self) -> SystemTime {
        self.not_after
    }
}
