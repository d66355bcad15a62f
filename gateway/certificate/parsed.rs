use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};

use crate::der::{BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, OID, SEQUENCE, element, explicit, implicit, skip, whole};
use crate::{Names, Validity};

/// What Cloister reads off a certificate (RFC 5280 §4.1). Whether it is to be believed is another question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parsed {
    /// From when until when it holds.
    pub validity: Validity,
    /// The SHA-256 of its public key with the key's algorithm (`SubjectPublicKeyInfo`): what stays when a certificate is
    /// renewed for the same key.
    pub key: KeyDigest,
    /// Its subject alternative names; `None` if there is something wrong with them.
    pub names: Option<Names>,
    pub(crate) serial: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
}

/// The SHA-256 of a public key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct KeyDigest(pub [u8; 32]);

/// `subjectAltName`, 2.5.29.17.
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

impl Parsed {
    /// Reads a certificate in DER. `None` for what is not one.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = element(certificate, SEQUENCE)?;
        let (body, _) = element(certificate, SEQUENCE)?;
        let (serial, rest) = element(skip(body, explicit(0)), INTEGER)?; // behind the version
        let (_algorithm, rest) = element(rest, SEQUENCE)?;
        let (issuer, rest) = whole(rest, SEQUENCE)?;
        let (validity, rest) = Validity::read(rest)?;
        let (_subject, rest) = element(rest, SEQUENCE)?;
        let (key, rest) = whole(rest, SEQUENCE)?;
        let (_algorithm, bits) = element(element(key, SEQUENCE)?.0, SEQUENCE)?;
        element(bits, BIT_STRING)?;
        let rest = skip(skip(rest, implicit(1)), implicit(2)); // unique identifiers, which nobody uses
        let names = match element(rest, explicit(3)) {
            None => Some(Names::default()),
            Some((extensions, _)) => names(element(extensions, SEQUENCE)?.0),
        };
        let (serial, issuer) = (serial.to_vec(), issuer.to_vec());
        Some(Self { validity, key: KeyDigest(sha256(key)), names, serial, issuer })
    }

    /// Whether it holds at this moment.
    #[must_use]
    pub fn holds_at(&self, now: SystemTime) -> bool {
        self.validity.not_before <= now && now <= self.validity.not_after
    }
}

/// `None` if an extension cannot be read, or if there are two with names: what one reader takes the next may not.
fn names(mut extensions: &[u8]) -> Option<Names> {
    let mut found = None;
    while !extensions.is_empty() {
        let (extension, rest) = element(extensions, SEQUENCE)?;
        extensions = rest;
        let (id, rest) = element(extension, OID)?;
        if id != SUBJECT_ALT_NAME {
            continue;
        }
        let (value, _) = element(skip(rest, BOOLEAN), OCTET_STRING)?;
        if found.replace(Names::read(value)?).is_some() {
            return None;
        }
    }
    Some(found.unwrap_or_default())
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}
