//! What is asked of clients in a handshake.

use std::sync::Arc;

use certificate::{Authorities, Authority};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::settings::ClientCertificates;

/// What verifies the certificates of clients by this rule. `None` where none is asked for.
pub(crate) fn verifier(
    rule: &ClientCertificates,
    authorities: &Authorities,
    provider: &Arc<CryptoProvider>,
) -> Option<Arc<dyn ClientCertVerifier>> {
    let demand = match rule {
        ClientCertificates::Off => return None,
        ClientCertificates::Optional(_) => Demand::IfThere,
        ClientCertificates::Required(_) => Demand::Always,
    };
    let any: Vec<_> = rule.authorities().iter().filter_map(|id| authorities.get(id)).cloned().collect();
    let hints = any.iter().flat_map(|authority| authority.verifier().root_hint_subjects()).cloned().collect();
    Some(Arc::new(AnyOf { any, hints, demand, provider: Arc::clone(provider) }))
}

/// Takes a certificate that any of these authorities vouches for.
#[derive(Debug)]
struct AnyOf {
    any: Vec<Authority>,
    hints: Vec<DistinguishedName>,
    demand: Demand,
    provider: Arc<CryptoProvider>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Demand {
    Always,
    IfThere,
}

impl ClientCertVerifier for AnyOf {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.demand == Demand::Always
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut last = CertificateError::UnknownIssuer.into(); // FAIL CLOSED: without an authority nobody is let in
        for authority in &self.any {
            match authority.verifier().verify_client_cert(own, between, now) {
                Ok(verified) => return Ok(verified),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, own, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, own, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
