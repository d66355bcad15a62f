use crate::Malformed;

/// A query is forwarded byte for byte and never judged, so what matters is only that it cannot end the request line,
/// start a fragment or be read as another character set.
///
/// Beyond RFC 3986 §3.4 it may have what browsers leave as it is (the query percent-encode set of the WHATWG URL
/// standard): `[ ] { } | \ ^` and the backtick, and percent signs that escape nothing. Not `"`, `<`, `>`, `#`, a space, a
/// control character or a byte beyond ASCII, which every browser escapes.
pub(crate) fn check(query: &[u8]) -> Result<(), Malformed> {
    match query.iter().find(|byte| !is_allowed(**byte)) {
        None => Ok(()),
        Some(0..=0x1f | 0x7f) => Err(Malformed::PathControl),
        Some(_) => Err(Malformed::PathEncoding),
    }
}

const fn is_allowed(byte: u8) -> bool {
    matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'~')
}
