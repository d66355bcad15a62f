use std::time::UNIX_EPOCH;

use apikey::{ApiKeys, KeyError};
use canonical::{CanonicalRequest, Credential};
use certificate::ClientCertificate;
use policy::{AcceptsKeys, Access};
use token::Verifier;

use crate::Arrival;
use crate::principal::{Principal, ServiceCaller};
use crate::refusal::{Cause, Refusal};
use crate::route::Routed;

/// Proof that a request on a guarded route carries a token, or came with a certificate, that this route accepts. Only
/// [`Identified::verify`] makes one.
pub(crate) struct Identified<'r> {
    pub(crate) routed: Routed<'r>,
    pub(crate) caller: Principal,
    /// How the token came, if one did.
    pub(crate) credential: Credential<'r>,
}

impl<'r> Identified<'r> {
    pub(crate) async fn verify(
        routed: Routed<'r>,
        tokens: &Verifier,
        keys: &ApiKeys,
        arrival: &Arrival,
        request: &'r CanonicalRequest<'_>,
    ) -> Result<Self, Refusal> {
        let accepted = match &routed.route().access {
            Access::Guarded { issuers, keys: AcceptsKeys::Yes, .. } => {
                match request.field("x-api-key").map_err(|malformed| routed.refuse(Cause::Malformed(malformed)))? {
                    Some(text) => return Self::by_key(routed, keys, text, arrival, request),
                    None => issuers,
                }
            }
            Access::Guarded { issuers, keys: AcceptsKeys::No, .. } => issuers,
            Access::Services { authorities, .. } => {
                let caller = match arrival.channel.certificate() {
                    ClientCertificate::Vouched(peer) => {
                        ServiceCaller::recognise(peer, authorities, routed.rules().policy().services())
                    }
                    ClientCertificate::None | ClientCertificate::Refused => None,
                };
                return match caller {
                    Some(caller) => {
                        Ok(Self { routed, caller: Principal::Service(caller), credential: Credential::Missing })
                    }
                    None => Err(routed.refuse(Cause::NoService)),
                };
            }
            // FAIL CLOSED: a public route never comes this way.
            Access::Public => return Err(routed.refuse(Cause::Broken("identify"))),
        };
        let credential = request.credential();
        let token = match credential {
            Credential::Bearer(token) | Credential::Dpop(token) => token,
            Credential::Missing => return Err(routed.refuse(Cause::NoToken)),
            Credential::Malformed => return Err(routed.refuse(Cause::NotBearer)),
        };
        match tokens.verify(token, accepted).await {
            Ok(caller) => Ok(Self { routed, caller: Principal::Token(caller), credential }),
            Err(error) => Err(routed.refuse(Cause::Token(error))),
        }
    }

    /// One proof and no more: of two nobody could say which one counts.
    fn by_key(
        routed: Routed<'r>,
        keys: &ApiKeys,
        text: &str,
        arrival: &Arrival,
        request: &CanonicalRequest<'_>,
    ) -> Result<Self, Refusal> {
        let now = arrival.at.duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs());
        let alone = request.credential() == Credential::Missing;
        match if alone { keys.find(text, now) } else { Err(KeyError::Malformed) } {
            Ok(key) => Ok(Self { routed, caller: Principal::Key(key), credential: Credential::Missing }),
            Err(error) => Err(routed.refuse(Cause::Key(error))),
        }
    }
}
