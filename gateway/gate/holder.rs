use certificate::ClientCertificate;
use policy::Access;
use terms::Binding;
use token::{Caller, Confirmation};

use crate::identify::Identified;
use crate::refusal::{Cause, Refusal};
use crate::route::Routed;
use crate::{Arrival, Principal, Who};

/// Proof that a token is in the hands that it was made out to. Only [`Held::check`] makes one.
pub(crate) struct Held<'r> {
    pub(crate) routed: Routed<'r>,
    pub(crate) caller: Principal,
}

impl<'r> Held<'r> {
    /// Asked on every request: that a token has been good before says nothing about who uses it now.
    ///
    /// What a token is bound to counts whether anybody has asked for it or not: whoever issued it has said that it is not
    /// good for somebody who merely has it.
    pub(crate) fn check(identified: Identified<'r>, arrival: &Arrival) -> Result<Self, Refusal> {
        let Identified { routed, caller } = identified;
        let found = match &caller {
            Principal::Service(_) => Ok(()), // the certificate is what it proves itself with
            Principal::Token(token) => {
                bound_as_demanded(token, &routed).and_then(|()| shown(token.confirmation(), arrival))
            }
        };
        match found {
            Ok(()) => Ok(Self { routed, caller }),
            Err(cause) => Err(routed.refuse_as(cause, Who::Caller(caller))),
        }
    }
}

/// Issuer and route may each demand a bound token.
fn bound_as_demanded(token: &Caller, routed: &Routed<'_>) -> Result<(), Cause> {
    let of_route = match &routed.route().access {
        Access::Guarded { demands, .. } => demands.bound_to.as_slice(),
        Access::Public | Access::Services { .. } => &[],
    };
    // FAIL CLOSED: rules that do not know the issuer cannot say what it demands.
    let voucher = routed.rules().policy().voucher(token.issuer()).ok_or(Cause::Broken("voucher"))?;
    let bound = |demanded: &[Binding]| demanded.is_empty() || demanded.iter().any(|it| token.confirmation().has(*it));
    if bound(of_route) && bound(&voucher.bound_to) { Ok(()) } else { Err(Cause::Unbound) }
}

/// The client shows all that its token is bound to.
fn shown(confirmation: &Confirmation, arrival: &Arrival) -> Result<(), Cause> {
    if confirmation.key().is_some() {
        return Err(Cause::Bound); // FAIL CLOSED: nobody asks for the proof yet, so nobody has shown it
    }
    let Some(demanded) = confirmation.certificate() else { return Ok(()) };
    // Of this very connection, as our own TLS has seen it: a certificate in a field is anybody's word. It is public, so that
    // there is nothing to learn from how long this takes.
    match arrival.channel.certificate() {
        ClientCertificate::Vouched(peer) if peer.fingerprint() == demanded => Ok(()),
        ClientCertificate::Vouched(_) | ClientCertificate::Refused | ClientCertificate::None => Err(Cause::Bound),
    }
}
