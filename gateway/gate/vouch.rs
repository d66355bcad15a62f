use std::collections::HashSet;
use std::sync::Arc;

use certificate::{ClientCertificate, Peer};
use policy::{Access, Service};
use terms::TenantId;

use crate::principal::recognise;
use crate::refusal::{Cause, Refusal};
use crate::route::Routed;
use crate::{Arrival, Who};

/// The tenants that a client's certificate may speak for.
pub(crate) enum Confined {
    /// Those of the authorities that vouch for it.
    ByAuthority(Arc<Peer>),
    /// That of the service that it belongs to.
    ByService(Arc<Service>),
}

impl Confined {
    /// `None` if the client has shown no certificate. Whoever has is held to it on every route.
    pub(crate) fn by(arrival: &Arrival, routed: &Routed<'_>) -> Option<Self> {
        let ClientCertificate::Vouched(peer) = arrival.channel.certificate() else { return None };
        match recognise(peer, routed.rules().policy().services()) {
            Some(service) => Some(Self::ByService(service)),
            None => Some(Self::ByAuthority(Arc::clone(peer))),
        }
    }

    pub(crate) fn tenants(&self) -> &HashSet<TenantId> {
        match self {
            Self::ByAuthority(peer) => peer.tenants(),
            Self::ByService(service) => &service.only,
        }
    }

    /// The tenant that the certificate names, if it names one and not several.
    pub(crate) fn tenant(&self) -> Option<&str> {
        let mut tenants = self.tenants().iter();
        tenants.next().filter(|_| tenants.next().is_none()).map(TenantId::as_str)
    }
}

impl Routed<'_> {
    /// Refuses a client whose certificate was good when it connected and is not any more, and one that asks for a tenant
    /// that its certificate may not speak for. On every route, also on those that want no certificate.
    pub(crate) fn vouch(self, arrival: &Arrival) -> Result<Self, Refusal> {
        if matches!(arrival.channel.certificate(), ClientCertificate::Refused) {
            return Err(self.refuse(Cause::Certificate));
        }
        match (&self.route().access, Confined::by(arrival, &self)) {
            (Access::Public, Some(confined)) => {
                let named = [self.tenant_in_host, self.tenant_in_path.as_deref()];
                match tenancy::confine(&named, confined.tenants()) {
                    Ok(()) => Ok(self),
                    Err(outsider) => Err(self.refuse_as(Cause::Outsider(outsider), Who::Nobody)),
                }
            }
            // Compared with all that names a tenant once it is known who asks.
            (Access::Guarded { .. } | Access::Services { .. }, _) | (Access::Public, None) => Ok(self),
        }
    }
}
