use std::sync::Arc;
use std::time::UNIX_EPOCH;

use apikey::ApiKey;
use certificate::Peer;
use policy::{Recognised, Service, Services};
use terms::{IssuerId, IssuerSet, RoleName, Subject};
use token::Caller;

/// Who asks, and how that is known.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A program, by its API key.
    Key(Arc<ApiKey>),
    /// A program, by its certificate.
    Service(Arc<ServiceCaller>),
    /// Whoever a token speaks of.
    Token(Arc<Caller>),
}

/// Proof that a certificate for which an authority in force vouches is that of one service. Only
/// `ServiceCaller::recognise` makes one.
#[derive(Debug)]
pub struct ServiceCaller {
    service: Arc<Service>,
    fingerprint: [u8; 32],
    good_until: u64,
}

impl ServiceCaller {
    /// `None` if the certificate is no service's or that of several, or if its authority is none of these.
    pub(crate) fn recognise(peer: &Peer, authorities: &IssuerSet, services: &Services) -> Option<Arc<Self>> {
        let service = recognise(peer, services).filter(|service| authorities.contains(&service.authority))?;
        // FAIL CLOSED: a certificate that ended before 1970 is over.
        let good_until = peer.not_after().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Some(Arc::new(Self { service, fingerprint: *peer.fingerprint(), good_until }))
    }

    /// The service.
    #[must_use]
    pub const fn service(&self) -> &Arc<Service> {
        &self.service
    }
}

/// The one service whose certificate it is.
pub(crate) fn recognise(peer: &Peer, services: &Services) -> Option<Arc<Service>> {
    let names = peer.names();
    let names = names.dns.iter().chain(&names.uris).map(AsRef::as_ref);
    match services.recognise(peer.vouchers(), &peer.key().0, names) {
        Recognised::One(service) => Some(service),
        Recognised::Nobody | Recognised::Several => None, // FAIL CLOSED: of several nobody can say which one acts
    }
}

impl Principal {
    /// Who vouches, as the settings call it: an issuer, or an authority. No two of them have one name. Rules go by it.
    #[must_use]
    pub fn issuer(&self) -> &IssuerId {
        match self {
            Self::Key(key) => key.issuer(),
            Self::Service(caller) => &caller.service.authority,
            Self::Token(caller) => caller.issuer(),
        }
    }

    /// Who vouches, told from all others, also where one name of the settings stands for the issuers of many tenants.
    #[must_use]
    pub fn vouched_by(&self) -> &IssuerId {
        match self {
            Self::Key(key) => key.issuer(),
            Self::Service(caller) => &caller.service.authority,
            Self::Token(caller) => caller.vouched_by(),
        }
    }

    /// Who acts, unique within what [`Principal::vouched_by`] names.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        match self {
            Self::Key(key) => key.subject(),
            Self::Service(caller) => &caller.service.name,
            Self::Token(caller) => caller.subject(),
        }
    }

    /// The tenant that the proof itself names.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key.tenant().as_str()),
            Self::Service(caller) => Some(caller.service.tenant.as_str()),
            Self::Token(caller) => caller.tenant(),
        }
    }

    /// The roles that come with it.
    #[must_use]
    pub fn roles(&self) -> &Arc<[RoleName]> {
        match self {
            Self::Key(key) => key.roles(),
            Self::Service(caller) => &caller.service.roles,
            Self::Token(caller) => caller.roles(),
        }
    }

    /// From this second on it is no proof any more.
    #[must_use]
    pub fn good_until(&self) -> u64 {
        match self {
            Self::Key(key) => key.expires_at(),
            Self::Service(caller) => caller.good_until,
            Self::Token(caller) => caller.good_until(),
        }
    }

    /// When the proof itself ends, whatever the clocks of others say.
    pub(crate) fn expires_at(&self) -> u64 {
        match self {
            Self::Key(key) => key.expires_at(),
            Self::Service(caller) => caller.good_until,
            Self::Token(caller) => caller.expires_at(),
        }
    }

    /// A digest that names the token or the certificate.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        match self {
            Self::Key(key) => key.digest(),
            Self::Service(caller) => &caller.fingerprint,
            Self::Token(caller) => caller.fingerprint(),
        }
    }

    /// The token, if it is one.
    #[must_use]
    pub fn token(&self) -> Option<&Arc<Caller>> {
        match self {
            Self::Key(_) | Self::Service(_) => None,
            Self::Token(caller) => Some(caller),
        }
    }

    /// The API key, if it is one.
    #[must_use]
    pub fn key(&self) -> Option<&Arc<ApiKey>> {
        match self {
            Self::Key(key) => Some(key),
            Self::Service(_) | Self::Token(_) => None,
        }
    }
}
