use std::num::NonZeroU32;
use std::sync::Arc;

use limit::Asker;
use terms::Clients;

use crate::member::Member;
use crate::refusal::{Cause, Refusal};
use crate::route::Routed;
use crate::valid::Valid;
use crate::{Arrival, Rules, Who};

/// Proof that a request comes from an address that clients may come from at all. Only [`Welcome::check`] makes one.
pub(crate) struct Welcome {
    pub(crate) rules: Arc<Rules>,
}

impl Welcome {
    pub(crate) fn check(clients: &Clients, arrival: &Arrival, rules: Arc<Rules>) -> Result<Self, Refusal> {
        if clients.admit(arrival.client) { Ok(Self { rules }) } else { Err(Refusal::new(Cause::ClientDenied, rules)) }
    }
}

/// Proof that the limits that count every request had room for one more from this address, whatever it is. Only
/// [`Counted::spend`] makes one.
pub(crate) struct Counted {
    pub(crate) rules: Arc<Rules>,
}

impl Counted {
    /// Takes from those limits before anything is spent on the request.
    pub(crate) fn spend(welcome: Welcome, arrival: &Arrival) -> Result<Self, Refusal> {
        let Welcome { rules } = welcome;
        let asker = Asker::stranger(arrival.client, None, arrival.at);
        match rules.limits().spend(rules.policy().arrival(), &asker, NonZeroU32::MIN, arrival.started) {
            Ok(_) => Ok(Self { rules }),
            Err(exceeded) => Err(Refusal::new(Cause::Limited(exceeded), rules)),
        }
    }
}

/// Proof that a member asks from where its tenant lets its members ask. Only [`Present::check`] makes one.
pub(crate) struct Present<'r> {
    pub(crate) routed: Routed<'r>,
    pub(crate) member: Member,
}

impl<'r> Present<'r> {
    pub(crate) fn check(valid: Valid<'r>, arrival: &Arrival) -> Result<Self, Refusal> {
        let Valid { routed, member } = valid;
        let cause = match routed.rules().tenants().get(member.membership().tenant().as_str()) {
            Some(tenant) if tenant.clients.admit(arrival.client) => return Ok(Self { routed, member }),
            Some(_) => Cause::ClientDenied,
            None => Cause::Broken("tenant"), // FAIL CLOSED: a member of a tenant that these rules do not know
        };
        Err(routed.refuse_as(cause, Who::Member(member)))
    }
}
