use std::time::SystemTime;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use crate::Parsed;
use crate::der::{
    ENUMERATED, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, SEQUENCE, any, element, explicit, implicit, skip,
};
use crate::validity::moment;

/// Why a response is not to be stapled to a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnfitOcsp {
    /// It says that the certificate is revoked, or that it is not known.
    #[error("the response does not call the certificate good")]
    NotGood,
    /// Not a response, or one without an answer.
    #[error("this is not a successful ocsp response in der")]
    NotOcsp,
    /// It speaks of other certificates.
    #[error("the response is for another certificate")]
    Other,
    /// Its time is over, or has not come.
    #[error("the response is out of date")]
    Stale,
}

/// `id-pkix-ocsp-basic`, 1.3.6.1.5.5.7.48.1.1.
const BASIC: [u8; 9] = [0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];

/// Looks at an OCSP response (RFC 6960 §4.2) before it is stapled to a certificate: until when it may be. Its signature
/// is for clients to verify; what is looked for here is the wrong file and the old one.
///
/// # Errors
/// Why it is not to be stapled.
pub fn check_ocsp(response: &[u8], certificate: &Parsed, now: SystemTime) -> Result<SystemTime, UnfitOcsp> {
    let answers = answers(response).ok_or(UnfitOcsp::NotOcsp)?;
    let mut list = answers;
    while !list.is_empty() {
        let (answer, rest) = element(list, SEQUENCE).ok_or(UnfitOcsp::NotOcsp)?;
        list = rest;
        let (id, rest) = element(answer, SEQUENCE).ok_or(UnfitOcsp::NotOcsp)?;
        if !is_of(id, certificate).ok_or(UnfitOcsp::NotOcsp)? {
            continue;
        }
        let (status, _, rest) = any(rest).ok_or(UnfitOcsp::NotOcsp)?;
        if status != implicit(0) {
            return Err(UnfitOcsp::NotGood);
        }
        let (since, rest) = moment(rest).ok_or(UnfitOcsp::NotOcsp)?;
        let until = element(rest, explicit(0)).and_then(|(next, _)| moment(next)).map(|(until, _)| until);
        // Without a next one there is always newer information (§2.4), so nothing says how long this one may be shown.
        return until.filter(|until| since <= now && now < *until).ok_or(UnfitOcsp::Stale);
    }
    Err(UnfitOcsp::Other)
}

/// The list of single responses.
fn answers(response: &[u8]) -> Option<&[u8]> {
    let (response, _) = element(response, SEQUENCE)?;
    let (status, rest) = element(response, ENUMERATED)?;
    if status != [0] {
        return None;
    }
    let (bytes, _) = element(element(rest, explicit(0))?.0, SEQUENCE)?;
    let (kind, rest) = element(bytes, OID)?;
    if kind != BASIC {
        return None;
    }
    let (basic, _) = element(element(rest, OCTET_STRING)?.0, SEQUENCE)?;
    let (data, _) = element(basic, SEQUENCE)?;
    let (_responder, _, rest) = any(skip(data, explicit(0)))?;
    let (_produced, rest) = element(rest, GENERALIZED_TIME)?;
    Some(element(rest, SEQUENCE)?.0)
}

/// Whether a `CertID` names this certificate: by its serial number and by its issuer's name, hashed with SHA-1 (which
/// every responder speaks, RFC 5019 §2.1.1) or SHA-256.
fn is_of(id: &[u8], certificate: &Parsed) -> Option<bool> {
    let (_algorithm, rest) = element(id, SEQUENCE)?;
    let (issuer, rest) = element(rest, OCTET_STRING)?;
    let (_key, rest) = element(rest, OCTET_STRING)?;
    let (serial, _) = element(rest, INTEGER)?;
    let hashed = |algorithm| digest(algorithm, &certificate.issuer).as_ref() == issuer;
    Some(serial == certificate.serial && (hashed(&SHA1_FOR_LEGACY_USE_ONLY) || hashed(&SHA256)))
}
