use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

use crate::Malformed;

/// Looks at an HTTP/1 head as it came over the wire for what a lenient parser tidies away before a
/// [`crate::CanonicalRequest`] can see it: a `Content-Length` beside a `Transfer-Encoding` (RFC 9112 §6.3 lets a parser
/// drop it; it is how requests are smuggled), a line that ends without a carriage return, a fragment in the target.
///
/// `fields` are those that the parser made of it.
///
/// # Errors
/// [`Malformed::Framing`] for the first two, [`Malformed::PathEncoding`] for the fragment.
pub fn check_wire(head: &[u8], fields: &HeaderMap) -> Result<(), Malformed> {
    // A fold without an early end, so that it is done sixteen bytes at a time.
    let bare = |bare, (before, byte): (&u8, &u8)| bare | ((*byte == b'\n') & (*before != b'\r'));
    if head.iter().zip(head.iter().skip(1)).fold(head.first() == Some(&b'\n'), bare) {
        return Err(Malformed::Framing);
    }
    if head.iter().take_while(|byte| **byte != b'\n').any(|byte| *byte == b'#') {
        return Err(Malformed::PathEncoding);
    }
    if fields.contains_key(TRANSFER_ENCODING) && head.split(|byte| *byte == b'\n').any(is_content_length) {
        return Err(Malformed::Framing);
    }
    Ok(())
}

fn is_content_length(line: &[u8]) -> bool {
    let name = CONTENT_LENGTH.as_str().as_bytes();
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_the_parser_tidied_away_is_found_on_the_wire() {
        let plain = HeaderMap::new();
        let chunked = HeaderMap::from_iter([(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))]);
        for (head, fields, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &plain, Ok(())),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", &plain, Ok(())),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", &chunked, Ok(())),
            ("GET / HTTP/1.1\r\nReferer: /a#b\r\n\r\n", &plain, Ok(())),
            ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", &plain, Err(Malformed::PathEncoding)),
            ("GET / HTTP/1.1\nHost: a\n\n", &plain, Err(Malformed::Framing)),
            ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", &plain, Err(Malformed::Framing)),
            (
                "POST / HTTP/1.1\r\ncontent-LENGTH: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                &chunked,
                Err(Malformed::Framing),
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length : 1\r\n\r\n",
                &chunked,
                Err(Malformed::Framing),
            ),
        ] {
            assert_eq!(check_wire(head.as_bytes(), fields), expected, "{head:?}");
        }
    }
}
