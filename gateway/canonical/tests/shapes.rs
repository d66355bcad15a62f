use http::Version;

use super::Sample;
use super::attacks::opening;
use crate::{Body, Credential, Malformed, Upgrade};

#[test]
fn a_path_in_canonical_form_is_forwarded_as_it_came() {
    for target in [
        "/",
        "/a/b",
        "/a/b/",
        "/a.b/..c/...",
        "/-._~!$&'()*+,=:@",
        "/caf%C3%A9/%E2%82%AC/%F0%9F%98%80",
        "/a%20b%22%3C%3E%5B%5D%7B%7D%7C%5E%60%23%3F",
        "/bob%40a.example",
        "/a?",
        "/a?b=c&d[]=e/../f//%2e%00",
        "/?{a}|b\\c^d`e%",
    ] {
        for sample in [Sample::get(target), Sample::get2(target)] {
            let request = sample.parse().unwrap();
            assert_eq!(request.target(), target);
            assert!(!request.is_rewritten());
            assert_eq!(request.path(), target.split('?').next().unwrap());
            assert_eq!(request.query(), target.split_once('?').map(|(_, query)| query));
        }
    }
}

#[test]
fn what_rfc_3986_calls_the_same_is_spelled_one_way() {
    for (target, expected) in [
        ("/%61%2D%7e", "/a-~"),
        ("/caf%c3%a9?x=%c3", "/caf%C3%A9?x=%c3"),
        ("/%2e%2e%2e", "/..."),
        ("/a%3f", "/a%3F"),
        ("http://acme.example/a?b", "/a?b"),
        ("HTTPS://ACME.example/%61", "/a"),
        ("http://acme.example", "/"),
        ("http://acme.example?a", "/?a"),
        ("http://acme.example/", "/"),
    ] {
        let sample = Sample::get(target);
        let request = sample.parse().unwrap();
        assert_eq!(request.target(), expected, "{target}");
        assert!(request.is_rewritten(), "{target}");
    }
}

#[test]
fn segments_are_what_a_backend_decodes() {
    for (target, expected) in [
        ("/", vec![""]),
        ("/a/b", vec!["a", "b"]),
        ("/a/b/", vec!["a", "b", ""]),
        ("/%40admin/x", vec!["@admin", "x"]),
        ("/@admin/x", vec!["@admin", "x"]),
        ("/caf%C3%A9/a%20b", vec!["café", "a b"]),
    ] {
        let sample = Sample::get(target);
        assert_eq!(sample.parse().unwrap().segments().collect::<Vec<_>>(), expected, "{target}");
    }
}

#[test]
fn a_host_is_one_in_lower_case_and_apart_from_its_port() {
    let capital = Sample::get("/").without_host().with("host", "ACME.Example:8443");
    let request = capital.parse().unwrap();
    assert_eq!((request.host(), request.port()), ("acme.example", Some(8443)));
    assert_eq!(request.authority(), "acme.example:8443");
    let both = Sample::get2("/").with("host", "ACME.example");
    assert_eq!(both.parse().unwrap().authority(), "acme.example");
}

#[test]
fn the_length_of_a_body_is_known_from_the_head() {
    let post = || Sample::get("/").method("POST");
    for (sample, expected) in [
        (Sample::get("/"), Body::None),
        (post(), Body::None),
        (post().with("content-length", "0"), Body::Length(0)),
        (post().with("content-length", "9223372036854775807"), Body::Length(i64::MAX as u64)),
        (post().with("transfer-encoding", "Chunked"), Body::Chunked),
        (Sample::get2("/").method("POST").with("content-length", "5"), Body::Length(5)),
        (Sample::get2("/").method("POST"), Body::Chunked),
    ] {
        assert_eq!(sample.parse().unwrap().body(), expected, "{sample:?}");
    }
}

#[test]
fn a_whole_opening_of_a_websocket_is_an_upgrade() {
    assert_eq!(opening().parse().unwrap().upgrade(), Some(Upgrade::WebSocket));
    assert_eq!(opening().with("content-length", "0").parse().unwrap().upgrade(), Some(Upgrade::WebSocket));
    assert_eq!(Sample::get("/").with("connection", "upgrade").parse().unwrap().upgrade(), None);
}

#[test]
fn an_expectation_is_heard_where_the_version_knows_it() {
    let expects =
        |sample: Sample| sample.with("expect", "100-Continue").parse().map(|request| request.expects_continue());
    assert_eq!(expects(Sample::get("/")), Ok(true));
    assert_eq!(expects(Sample::get("/").version(Version::HTTP_10)), Ok(false));
    assert!(!Sample::get("/").parse().unwrap().expects_continue());
}

#[test]
fn grpc_is_known_by_its_content_type() {
    for (value, expected) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc;x=y", true),
        ("application/grpc-web", false),
        ("application/grpcx", false),
        ("application/json", false),
    ] {
        let sample = Sample::get2("/").method("POST").with("content-type", value);
        assert_eq!(sample.parse().unwrap().is_grpc(), expected, "{value}");
    }
}

#[test]
fn nominated_fields_are_named_and_what_is_of_the_connection_is_not() {
    let sample = Sample::get("/")
        .with("connection", "keep-alive, X-Tenant-Id,,\tx-a ")
        .with("connection", "close, TE, X-Cloister-Assertion");
    let request = sample.parse().unwrap();
    assert_eq!(request.nominated().collect::<Vec<_>>(), ["X-Tenant-Id", "x-a", "X-Cloister-Assertion"]);
}

#[test]
fn cookies_that_came_apart_are_joined() {
    let one = Sample::get2("/").with("cookie", "a=1");
    assert_eq!(one.parse().unwrap().joined_cookie(), None);
    let three = one.with("cookie", "b=2").with("cookie", b"c=\xff");
    assert_eq!(three.parse().unwrap().joined_cookie().unwrap().as_bytes(), b"a=1; b=2; c=\xff");
}

#[test]
fn a_field_is_read_as_text_if_it_stands_once() {
    let sample = Sample::get("/")
        .with("x-org", "acme")
        .with("x-two", "a")
        .with("x-two", "a")
        .with("x-raw", b"\xe9")
        .with("authorization", "Bearer abc");
    let request = sample.parse().unwrap();
    assert_eq!(request.field("x-org"), Ok(Some("acme")));
    assert_eq!(request.field("X-Org"), Ok(Some("acme")));
    assert_eq!(request.field("x-none"), Ok(None));
    assert_eq!(request.field("x-two"), Err(Malformed::DuplicateField));
    assert_eq!(request.field("x-raw"), Err(Malformed::Field));
    assert_eq!(request.credential(), Credential::Bearer("abc"));
    assert!(!format!("{request:?}").contains("abc"), "credentials are not printed");
}

#[test]
fn every_way_to_be_malformed_has_a_reason_of_its_own() {
    let mut reasons: Vec<_> = Malformed::ALL.iter().map(|malformed| malformed.reason()).collect();
    assert!(reasons.iter().all(|reason| reason.as_str().starts_with("request.malformed.")));
    reasons.sort_unstable();
    reasons.dedup();
    assert_eq!(reasons.len(), Malformed::ALL.len());
}
