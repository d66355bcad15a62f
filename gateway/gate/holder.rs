use canonical::{CanonicalRequest, Credential};
use certificate::ClientCertificate;
use policy::{Access, Demands};
use tenancy::Voucher;
use terms::{Binding, Nonce};
use token::{Caller, Confirmation, Dpop, ProofError, Wanted};

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
    pub(crate) fn check(
        identified: Identified<'r>,
        dpop: &Dpop,
        arrival: &Arrival,
        request: &CanonicalRequest<'_>,
    ) -> Result<Self, Refusal> {
        let Identified { routed, caller, credential } = identified;
        let found = match &caller {
            Principal::Key(_) | Principal::Service(_) => Ok(()), // what it has shown is what it proves itself with
            Principal::Token(token) => Demanded::of(&routed, token).and_then(|demanded| {
                demanded.are_met(token.confirmation())?;
                has_the_certificate(token.confirmation(), arrival)?;
                has_the_key(token.confirmation(), credential, demanded.nonce(), dpop, arrival, request)
            }),
        };
        match found {
            Ok(()) => Ok(Self { routed, caller }),
            Err(cause) => Err(routed.refuse_as(cause, Who::Caller(caller))),
        }
    }
}

/// What route and issuer demand.
struct Demanded<'r>(Option<&'r Demands>, &'r Voucher);

impl<'r> Demanded<'r> {
    fn of(routed: &'r Routed<'_>, token: &Caller) -> Result<Self, Cause> {
        // FAIL CLOSED: rules that do not know the issuer cannot say what it demands.
        let voucher = routed.rules().policy().voucher(token.issuer()).ok_or(Cause::Broken("voucher"))?;
        match &routed.route().access {
            Access::Guarded { demands, .. } => Ok(Self(Some(demands), voucher)),
            Access::Public | Access::Services { .. } => Ok(Self(None, voucher)),
        }
    }

    fn are_met(&self, confirmation: &Confirmation) -> Result<(), Cause> {
        let Self(of_route, of_issuer) = self;
        let met = |all: &[Binding]| all.is_empty() || all.iter().any(|binding| confirmation.has(*binding));
        let met = of_route.is_none_or(|demands| met(&demands.bound_to)) && met(&of_issuer.bound_to);
        if met { Ok(()) } else { Err(Cause::Unbound) }
    }

    fn nonce(&self) -> Nonce {
        let Self(of_route, of_issuer) = self;
        of_route.map_or(Nonce::None, |demands| demands.nonce).or(of_issuer.nonce)
    }
}

/// RFC 8705 §3.
fn has_the_certificate(confirmation: &Confirmation, arrival: &Arrival) -> Result<(), Cause> {
    let Some(demanded) = confirmation.certificate() else { return Ok(()) };
    // Of this very connection, as our own TLS has seen it: a certificate in a field is anybody's word. It is public, so that
    // there is nothing to learn from how long this takes.
    match arrival.channel.certificate() {
        ClientCertificate::Vouched(peer) if peer.fingerprint() == demanded => Ok(()),
        ClientCertificate::Vouched(_) | ClientCertificate::Refused | ClientCertificate::None => Err(Cause::Bound),
    }
}

/// RFC 9449 §7: the scheme must be that of the token, or whoever takes the key away from it could go on without.
fn has_the_key(
    confirmation: &Confirmation,
    credential: Credential<'_>,
    nonce: Nonce,
    dpop: &Dpop,
    arrival: &Arrival,
    request: &CanonicalRequest<'_>,
) -> Result<(), Cause> {
    match (credential, confirmation.key()) {
        (Credential::Bearer(_), None) => Ok(()),
        (Credential::Bearer(_), Some(_)) | (Credential::Dpop(_), None) => Err(Cause::Scheme),
        (Credential::Dpop(token), Some(key)) => {
            let proof = request.field("dpop").map_err(Cause::Malformed)?.ok_or(Cause::Proof(ProofError::Missing))?;
            let wanted = Wanted { token, key, method: request.method().as_str(), nonce };
            dpop.verify(proof, &wanted, |url| request.is_at(url, arrival.scheme)).map_err(Cause::Proof)
        }
        // FAIL CLOSED: without a token nobody is identified by one.
        (Credential::Malformed | Credential::Missing, _) => Err(Cause::Broken("credential")),
    }
}
