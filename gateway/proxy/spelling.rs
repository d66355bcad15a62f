//! How field names were spelled when they came: it means nothing (RFC 9110 §5.1). To keep it costs a second map beside that of
//! the fields, which each change of a field must follow; so it is forgotten, and names go on as pingora spells them:
//! `Host`, `Content-Length` and a few more as everybody does, others in lower case, in which HTTP/2 has them all.

use http::Request;
use http::request;
use http::response;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::Result;

/// The same head, byte for byte, but for the spelling of field names.
pub(crate) fn forget(head: &mut RequestHeader) -> Result<()> {
    if !head.has_case() {
        return Ok(());
    }
    // What is in origin form comes back out of its URI as it was; anything else is kept beside it.
    let raw = head.raw_path();
    let kept = (!raw.starts_with(b"/") || !head.raw_path_is_utf8()).then(|| raw.to_vec());
    let ends_stream = head.send_end_stream();
    let parts: request::Parts = std::mem::replace(head, RequestHeader::from(Request::new(()).into_parts().0)).into();
    *head = parts.into();
    if let Some(ends_stream) = ends_stream {
        head.set_send_end_stream(ends_stream);
    }
    kept.map_or(Ok(()), |raw| head.set_raw_path(&raw))
}

/// The same for a response.
pub(crate) fn forget_in_response(head: &mut ResponseHeader) -> Result<()> {
    if !head.has_case() {
        return Ok(());
    }
    let usual = head.get_reason_phrase() == head.status.canonical_reason();
    let phrase = if usual { None } else { head.get_reason_phrase().map(str::to_owned) };
    let nothing = ResponseHeader::from(http::Response::new(()).into_parts().0);
    let parts: response::Parts = std::mem::replace(head, nothing).into();
    *head = parts.into();
    phrase.map_or(Ok(()), |phrase| head.set_reason_phrase(Some(&phrase)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(head: &RequestHeader) -> String {
        let mut bytes = Vec::new();
        head.header_to_h1_wire(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_request_stays_what_it_was_in_another_spelling() {
        for target in ["/a%2Fb/c?x=1&y", "*", "http://acme.example/a?b", "acme.example:443", "/caf\u{e9}"] {
            let mut head = RequestHeader::build("POST", target.as_bytes(), None).unwrap();
            for (name, value) in
                [("hOST", "acme"), ("x-Trace", "1"), ("Cookie", "a=1"), ("X-TRACE", "2"), ("cookie", "b=2")]
            {
                head.append_header(name, value).unwrap();
            }
            assert!(head.has_case());
            let (uri, before) = (head.uri.clone(), head.raw_path().to_vec());
            forget(&mut head).unwrap();
            assert!(!head.has_case());
            assert_eq!(
                (head.raw_path(), &head.uri, head.method.as_str()),
                (before.as_slice(), &uri, "POST"),
                "{target}"
            );
            assert_eq!(wire(&head), "Host: acme\r\nx-trace: 1\r\nx-trace: 2\r\ncookie: a=1\r\ncookie: b=2\r\n");
        }
        let mut head = RequestHeader::build("GET", b"/\xff", None).unwrap();
        forget(&mut head).unwrap();
        assert_eq!((head.raw_path(), head.raw_path_is_utf8()), (&b"/\xff"[..], false));
    }

    #[test]
    fn a_response_keeps_its_status_and_what_it_says_of_it() {
        for phrase in [None, Some("Not Today")] {
            let mut head = ResponseHeader::build(404, None).unwrap();
            head.set_reason_phrase(phrase).unwrap();
            head.append_header("sET-cOOKIE", "a=1").unwrap();
            head.append_header("Set-Cookie", "b=2").unwrap();
            forget_in_response(&mut head).unwrap();
            assert!(!head.has_case());
            assert_eq!((head.status.as_u16(), head.get_reason_phrase()), (404, phrase.or(Some("Not Found"))));
            assert_eq!(head.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
        }
    }
}
