//! The little of DER (X.690 §10) that certificates and OCSP responses are made of.

pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const UTC_TIME: u8 = 0x17;

/// The tag of an element that is wrapped in one of its own: `[number] EXPLICIT`.
pub(crate) const fn explicit(number: u8) -> u8 {
    0xa0 | number
}

/// The tag of a text that has one of its own in place of its kind's: `[number] IMPLICIT`.
pub(crate) const fn implicit(number: u8) -> u8 {
    0x80 | number
}

/// The element at the start, of whatever kind: its tag, its content, and what follows it.
pub(crate) fn any(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, length, rest @ ..] = der else {
        return None;
    };
    let (content, rest) = match length {
        0..=0x7f => rest.split_at_checked(usize::from(*length)),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            rest.split_at_checked(length)
        }
        _ => None,
    }?;
    Some((*tag, content, rest))
}

/// One element of this kind at the start: its content, and what follows it.
pub(crate) fn element(der: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = any(der)?;
    (tag == kind).then_some((content, rest))
}

/// One element of this kind at the start, with its tag and its length, and what follows it.
pub(crate) fn whole(der: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (_, rest) = element(der, kind)?;
    der.split_at_checked(der.len() - rest.len())
}

/// What follows an element that may be missing.
pub(crate) fn skip(der: &[u8], kind: u8) -> &[u8] {
    element(der, kind).map_or(der, |(_, rest)| rest)
}
