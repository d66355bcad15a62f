use std::sync::Arc;

use canonical::CanonicalRequest;
use certificate::ByName;

use crate::arrival::{Asked, Channel};
use crate::origin::Counted;
use crate::refusal::{Cause, Refusal};
use crate::{Arrival, Rules};

/// Hosts with a rule of their own that demands a certificate of clients. A connection that was not made by that rule is
/// none for them, whatever the listener.
#[derive(Debug, Default)]
pub struct DemandingHosts(ByName<()>);

impl DemandingHosts {
    fn contains(&self, host: &str) -> bool {
        self.0.get(host).is_some()
    }
}

/// Of names that may begin with `*.`.
impl<'a> FromIterator<&'a str> for DemandingHosts {
    fn from_iter<I: IntoIterator<Item = &'a str>>(hosts: I) -> Self {
        let mut names = ByName::default();
        for host in hosts {
            *names.entry(host) = ();
        }
        Self(names)
    }
}

/// Proof that a request came on a connection that was made for its host. Only [`Directed::check`] makes one.
pub(crate) struct Directed {
    rules: Arc<Rules>,
}

impl Directed {
    /// A client proves itself to one name, and what it proved counts for that name alone: a request for another one is
    /// sent back, however the certificates and the names may be related.
    pub(crate) fn check(
        counted: Counted,
        demanding: &DemandingHosts,
        arrival: &Arrival,
        request: &CanonicalRequest<'_>,
    ) -> Result<Self, Refusal> {
        let Counted { rules } = counted;
        let host = request.host();
        let made_for_it = match &arrival.channel {
            Channel::Tls { sni: Some(sni), asked: Asked::ForHost, .. } => **sni == *host,
            Channel::Tls { sni: Some(sni), asked: Asked::ForListener, .. } => {
                **sni == *host && !demanding.contains(host)
            }
            Channel::Plain | Channel::Tls { sni: None, .. } => !demanding.contains(host),
        };
        if made_for_it { Ok(Self { rules }) } else { Err(Refusal::new(Cause::Misdirected, rules)) }
    }

    pub(crate) const fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    pub(crate) fn into_rules(self) -> Arc<Rules> {
        self.rules
    }
}
