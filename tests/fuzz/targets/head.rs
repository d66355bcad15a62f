//! A whole head of HTTP/1: whatever the parser and `canonical` make of it has one meaning, and keeps it.

#![no_main]

use canonical::{Body, Bounds, CanonicalRequest, Head, check_wire};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use libfuzzer_sys::fuzz_target;

const BOUNDS: Bounds = Bounds { path_bytes: 2048, query_bytes: 4096, fields: 100, head_bytes: 32 * 1024 };

fuzz_target!(|bytes: &[u8]| {
    let mut slots = [httparse::EMPTY_HEADER; 128];
    let mut parsed = httparse::Request::new(&mut slots);
    let Ok(httparse::Status::Complete(length)) = parsed.parse(bytes) else { return };
    let mut fields = HeaderMap::new();
    for field in parsed.headers.iter() {
        let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(field.name.as_bytes()), HeaderValue::from_bytes(field.value))
        else {
            return;
        };
        fields.append(name, value);
    }
    let Ok(method) = Method::from_bytes(parsed.method.unwrap().as_bytes()) else { return };
    let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let target = parsed.path.unwrap().as_bytes();
    if check_wire(&bytes[..length], &fields).is_err() {
        return;
    }
    let head = Head { method: &method, target, authority: None, version, fields: &fields };
    let Ok(request) = CanonicalRequest::parse(&head, &BOUNDS) else { return };

    // One host, one length, one credential.
    assert_eq!(fields.get_all("host").iter().count(), 1);
    assert!(fields.get_all("authorization").iter().count() < 2);
    let (lengths, codings) =
        (fields.get_all("content-length").iter().count(), fields.get_all("transfer-encoding").iter().count());
    match request.body() {
        Body::Chunked => assert_eq!((lengths, codings), (0, 1)),
        Body::Length(_) => assert_eq!((lengths, codings), (1, 0)),
        Body::None => assert_eq!((lengths, codings), (0, 0)),
    }
    assert!(!request.host().is_empty() && !request.host().bytes().any(|byte| byte.is_ascii_uppercase()));
    assert!(request.target().starts_with('/') && request.target().bytes().all(|byte| byte.is_ascii_graphic()));
    drop((request.credential(), request.joined_cookie(), request.nominated().count(), request.is_grpc()));

    // What is forwarded reads back the same, and needs no other spelling.
    let authority = request.authority();
    let fields = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_str(&authority).unwrap())]);
    let head = Head {
        method: &Method::GET,
        target: request.target().as_bytes(),
        authority: None,
        version: Version::HTTP_11,
        fields: &fields,
    };
    let again = CanonicalRequest::parse(&head, &BOUNDS).expect("what is forwarded is canonical");
    assert!(!again.is_rewritten());
    assert_eq!((again.target(), again.host(), again.port()), (request.target(), request.host(), request.port()));
});
