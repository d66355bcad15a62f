use std::sync::Arc;

use canonical::{Bearer, CanonicalRequest};
use policy::Access;
use terms::IssuerSet;
use token::{Caller, Verifier};

use crate::refusal::{Cause, Refusal};
use crate::route::Routed;

/// Proof that a request on a guarded route carries a token that this route accepts. Only [`Identified::verify`] makes one.
pub(crate) struct Identified<'r> {
    pub(crate) routed: Routed<'r>,
    pub(crate) caller: Arc<Caller>,
}

impl<'r> Identified<'r> {
    pub(crate) async fn verify(
        routed: Routed<'r>,
        tokens: &Verifier,
        request: &CanonicalRequest<'_>,
    ) -> Result<Self, Refusal> {
        let nobody = IssuerSet::default();
        let accepted = match &routed.route().access {
            Access::Guarded { issuers, .. } => issuers,
            Access::Public => &nobody, // FAIL CLOSED: no issuer is accepted, so no token is
        };
        let token = match request.bearer() {
            Bearer::Token(token) => token,
            Bearer::Missing => return Err(routed.refuse(Cause::NoToken)),
            Bearer::Malformed => return Err(routed.refuse(Cause::NotBearer)),
        };
        match tokens.verify(token, accepted).await {
            Ok(caller) => Ok(Self { routed, caller }),
            Err(error) => Err(routed.refuse(Cause::Token(error))),
        }
    }
}
