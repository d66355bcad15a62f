use canonical::{CanonicalRequest, Credential};
use http::{HeaderName, header};
use policy::Access;
use tenancy::Insufficient;
use terms::{Binding, Nonce};

use crate::refusal::{Cause, Refusal};
use crate::{Challenge, Gate, Permit, Principal, Who};

/// Where a client finds the nonce for its next proof (RFC 9449 §8).
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

impl Gate {
    /// The fields of an answer that say how a client may prove itself (RFC 6750 §3, RFC 9449 §7.1). Their values are made of
    /// constants and of settings alone.
    #[must_use]
    pub fn challenge(&self, refusal: &Refusal, request: Option<&CanonicalRequest<'_>>) -> Vec<(HeaderName, String)> {
        let answer = refusal.answer();
        let error = match answer.challenge {
            Challenge::None => return Vec::new(),
            Challenge::Scheme => None,
            Challenge::Error => Some(("error", answer.code)),
        };
        let Offered { bearer, dpop, nonce } = Offered::of(refusal, request);
        let (acr, age) = wanted(refusal);
        let error = error.into_iter().chain(acr.as_deref().map(|acr| ("acr_values", acr)));
        let error = error.chain(age.as_deref().map(|age| ("max_age", age)));
        let mut schemes = Vec::with_capacity(2);
        if bearer {
            schemes.push(scheme("Bearer", error.clone()));
        }
        if dpop {
            schemes.push(scheme("DPoP", error.chain([("algs", self.dpop().algorithms())])));
        }
        let mut fields = vec![(header::WWW_AUTHENTICATE, schemes.join(", "))];
        if nonce {
            fields.push((DPOP_NONCE, self.dpop().nonce()));
        }
        fields
    }
}

impl Gate {
    /// The nonce for the client's next proof, where its route or its issuer demands one: with each answer, so that a client
    /// which reads it is never told to come again (RFC 9449 §8.2).
    #[must_use]
    pub fn next_nonce(&self, permit: &Permit) -> Option<String> {
        let token = permit.member().map(crate::Member::caller).and_then(Principal::token)?;
        token.confirmation().key()?;
        let of_route = match &permit.route().access {
            Access::Guarded { demands, .. } => demands.nonce,
            Access::Public | Access::Services { .. } => Nonce::None,
        };
        let voucher = permit.rules().policy().voucher(token.issuer());
        match of_route.or(voucher.map_or(Nonce::None, |voucher| voucher.nonce)) {
            Nonce::Demanded => Some(self.dpop().nonce()),
            Nonce::None => None,
        }
    }
}

fn scheme<'a>(name: &str, parameters: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let parameters: Vec<_> = parameters.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("{name} {}", parameters.join(", ")).trim_end().to_owned()
}

/// What a client is told to ask its issuer for, if its user must prove itself anew (RFC 9470 §3): all that the route and the
/// tenant demand, so that one time is enough. `amr` has no parameter there.
fn wanted(refusal: &Refusal) -> (Option<String>, Option<String>) {
    let (Cause::Insufficient(why), Some(route), Who::Member(member)) =
        (refusal.cause(), refusal.route(), refusal.who())
    else {
        return (None, None);
    };
    let Access::Guarded { demands, .. } = &route.access else { return (None, None) };
    let tenant = refusal.rules().tenants().get(member.membership().tenant().as_str());
    let of_tenant = tenant.and_then(|tenant| tenant.mfa.as_ref()).filter(|_| *why == Insufficient::Mfa);
    let acr = match (demands.authentication.acr.as_slice(), of_tenant) {
        (_, Some(mfa)) => mfa.acr.as_slice(),
        (of_route, None) => of_route,
    };
    let session = tenant.and_then(|tenant| tenant.session_max);
    let age = demands.authentication.max_age.into_iter().chain(session).min();
    ((!acr.is_empty()).then(|| acr.join(" ")), age.map(|age| age.as_secs().to_string()))
}

/// The ways in which a client may prove itself, as it is told.
struct Offered {
    bearer: bool,
    dpop: bool,
    nonce: bool,
}

impl Offered {
    /// DPoP is offered where it is demanded, and to whoever has tried it: there nothing else would do.
    fn of(refusal: &Refusal, request: Option<&CanonicalRequest<'_>>) -> Self {
        let tried = refusal.reason().is_about_proof()
            || matches!(request.map(CanonicalRequest::credential), Some(Credential::Dpop(_)));
        let Some(Access::Guarded { issuers, demands, .. }) = refusal.route().map(|route| &route.access) else {
            return Self { bearer: !tried, dpop: tried, nonce: false };
        };
        // Of many issuers the one whose token came, or else the first: a route may accept thousands.
        let issuer = match refusal.who() {
            Who::Caller(caller) => Some(caller.issuer()),
            Who::Member(member) => Some(member.caller().issuer()),
            Who::Nobody => issuers.first(),
        };
        let voucher = issuer.and_then(|issuer| refusal.rules().policy().voucher(issuer));
        let of_issuer = voucher.map(|voucher| voucher.bound_to.as_slice()).unwrap_or_default();
        let both = [demands.bound_to.as_slice(), of_issuer];
        let demanded = both.iter().any(|bound_to| bound_to.contains(&Binding::Dpop));
        let alone = both.contains(&[Binding::Dpop].as_slice());
        let nonces = [demands.nonce, voucher.map_or(Nonce::None, |voucher| voucher.nonce)];
        let dpop = tried || demanded;
        Self { bearer: !(tried || alone), dpop, nonce: dpop && nonces.contains(&Nonce::Demanded) }
    }
}
