use http::Version;

use super::{BOUNDS, Sample};
use crate::{Bounds, Malformed};

/// Every spelling of a way round a path rule that the record of such bypasses has, and what is told of it.
#[test]
fn a_path_that_two_readers_could_read_differently_is_refused() {
    for (path, expected) in [
        // dot segments
        ("/.", Malformed::PathDotSegment),
        ("/..", Malformed::PathDotSegment),
        ("/pub/../admin", Malformed::PathDotSegment),
        ("/pub/./admin", Malformed::PathDotSegment),
        ("/pub/..", Malformed::PathDotSegment),
        ("/pub/%2e%2e/admin", Malformed::PathDotSegment),
        ("/pub/%2E%2E/admin", Malformed::PathDotSegment),
        ("/pub/.%2e/admin", Malformed::PathDotSegment),
        ("/pub/%2e./admin", Malformed::PathDotSegment),
        ("/pub/%2e/admin", Malformed::PathDotSegment),
        ("/pub/%2e", Malformed::PathDotSegment),
        ("/pub/..%20/admin", Malformed::PathDotSegment),
        ("/pub/%20.", Malformed::PathDotSegment),
        ("/pub/%e3%80%80../admin", Malformed::PathDotSegment),
        ("/pub/%20%2e%20./admin", Malformed::PathDotSegment),
        // slashes
        ("//evil.test/a", Malformed::PathEmptySegment),
        ("//", Malformed::PathEmptySegment),
        ("/pub//admin", Malformed::PathEmptySegment),
        ("/pub///admin", Malformed::PathEmptySegment),
        ("/pub/admin//", Malformed::PathEmptySegment),
        ("/pub%2fadmin", Malformed::PathEncodedSlash),
        ("/pub%2Fadmin", Malformed::PathEncodedSlash),
        ("/pub/..%2fadmin", Malformed::PathEncodedSlash),
        ("/pub/%2e%2e%2fadmin", Malformed::PathEncodedSlash),
        ("/%2f", Malformed::PathEncodedSlash),
        ("/pub\\admin", Malformed::PathBackslash),
        ("/pub/..\\admin", Malformed::PathBackslash),
        ("/\\evil.test", Malformed::PathBackslash),
        ("/pub%5cadmin", Malformed::PathBackslash),
        ("/pub/..%5Cadmin", Malformed::PathBackslash),
        // controls
        ("/admin%00", Malformed::PathControl),
        ("/admin%00.png", Malformed::PathControl),
        ("/admin\0", Malformed::PathControl),
        ("/a\tb", Malformed::PathControl),
        ("/a\r\nX: y", Malformed::PathControl),
        ("/a%0d%0aX:%20y", Malformed::PathControl),
        ("/a%0a", Malformed::PathControl),
        ("/a%1f", Malformed::PathControl),
        ("/a%7F", Malformed::PathControl),
        ("/a\x7f", Malformed::PathControl),
        ("/a%C2%85b", Malformed::PathControl),
        // twice escaped
        ("/pub/%252e%252e/admin", Malformed::PathDoubleEncoding),
        ("/pub%252fadmin", Malformed::PathDoubleEncoding),
        ("/%25", Malformed::PathDoubleEncoding),
        ("/100%25", Malformed::PathDoubleEncoding),
        ("/%25%32%66", Malformed::PathDoubleEncoding),
        // parameters
        ("/admin;x", Malformed::PathParameters),
        ("/pub/..;/admin", Malformed::PathParameters),
        ("/pub/;/admin", Malformed::PathParameters),
        ("/admin;.png", Malformed::PathParameters),
        ("/admin%3b.png", Malformed::PathParameters),
        ("/admin%3B", Malformed::PathParameters),
        // bad escapes, and characters that are none of a path's
        ("/%", Malformed::PathEncoding),
        ("/%2", Malformed::PathEncoding),
        ("/%zz", Malformed::PathEncoding),
        ("/%2g", Malformed::PathEncoding),
        ("/% 2", Malformed::PathEncoding),
        ("/%u002e%u002e/", Malformed::PathEncoding),
        ("/%%32%65", Malformed::PathEncoding),
        ("/a b", Malformed::PathEncoding),
        ("/a#b", Malformed::PathEncoding),
        ("/a\"b", Malformed::PathEncoding),
        ("/a<b>", Malformed::PathEncoding),
        ("/a[b]", Malformed::PathEncoding),
        ("/a{b}", Malformed::PathEncoding),
        ("/a|b", Malformed::PathEncoding),
        ("/a^b", Malformed::PathEncoding),
        ("/a`b", Malformed::PathEncoding),
        ("/caf\u{e9}", Malformed::PathEncoding),
        ("/\u{ff0e}\u{ff0e}/", Malformed::PathEncoding),
        // not UTF-8: overlong, cut off, surrogates, beyond Unicode
        ("/%c0%ae%c0%ae/admin", Malformed::PathUtf8),
        ("/%c0%af", Malformed::PathUtf8),
        ("/%e0%80%af", Malformed::PathUtf8),
        ("/%f0%80%80%af", Malformed::PathUtf8),
        ("/%ff", Malformed::PathUtf8),
        ("/%80", Malformed::PathUtf8),
        ("/%c3", Malformed::PathUtf8),
        ("/%c3x", Malformed::PathUtf8),
        ("/%c3/%a9", Malformed::PathUtf8),
        ("/%c3%28", Malformed::PathUtf8),
        ("/%ed%a0%80", Malformed::PathUtf8),
        ("/%f4%90%80%80", Malformed::PathUtf8),
        ("/%c3%", Malformed::PathEncoding),
        // not a path
        ("", Malformed::PathForm),
        ("*", Malformed::PathForm),
        ("admin", Malformed::PathForm),
        ("?x", Malformed::PathForm),
        ("acme.example:443", Malformed::PathForm),
        ("ftp://acme.example/a", Malformed::PathForm),
        ("http:/a", Malformed::PathForm),
        ("file:///etc/passwd", Malformed::PathForm),
        ("\u{7f}/a", Malformed::PathForm),
        // absolute form, of this host or another
        ("http://acme.example/pub/../admin", Malformed::PathDotSegment),
        ("http://evil.test/a", Malformed::Host),
        ("http://acme.example:81/a", Malformed::Host),
        ("http://u@acme.example/a", Malformed::Host),
        ("http:///a", Malformed::Host),
        ("http://acme.example#a", Malformed::PathEncoding),
        ("http://acme.example\\@evil.test/a", Malformed::PathEncoding),
        // queries
        ("/a?b#c", Malformed::PathEncoding),
        ("/a?b c", Malformed::PathEncoding),
        ("/a?\"", Malformed::PathEncoding),
        ("/a?<b>", Malformed::PathEncoding),
        ("/a?\u{e9}", Malformed::PathEncoding),
        ("/a?b\rc", Malformed::PathControl),
        ("/a?b\0", Malformed::PathControl),
        ("/a?\x7f", Malformed::PathControl),
    ] {
        assert_eq!(Sample::get(path).parse().err(), Some(expected), "{path:?}");
    }
}

#[test]
fn the_same_spellings_are_refused_in_http_2_and_1_0_and_with_any_method() {
    for path in ["/pub/%2e%2e/admin", "/pub%2fadmin", "//a", "/a;b", "/%252e", "/a\\b"] {
        let expected = Sample::get(path).parse().err();
        assert!(expected.is_some());
        assert_eq!(Sample::get2(path).parse().err(), expected, "{path:?}");
        assert_eq!(Sample::get(path).version(Version::HTTP_10).parse().err(), expected, "{path:?}");
        for method in ["OPTIONS", "HEAD", "DELETE"] {
            assert_eq!(Sample::get(path).method(method).parse().err(), expected, "{method} {path:?}");
        }
    }
}

#[test]
fn a_head_of_two_meanings_is_refused() {
    let post = || Sample::get("/").method("POST");
    let websocket = || Sample::get("/").with("connection", "upgrade").with("upgrade", "websocket");
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    for (sample, expected) in [
        // methods
        (Sample::get("/").method("TRACE"), Malformed::Method),
        (Sample::get("acme.example:443").method("CONNECT"), Malformed::Method),
        (Sample::get("/").method("get"), Malformed::Method),
        (Sample::get("/").method("Get"), Malformed::Method),
        (Sample::get("/").method("PROPFIND"), Malformed::Method),
        (Sample::get("/").method("PURGE"), Malformed::Method),
        // versions
        (Sample::get("/").version(Version::HTTP_09), Malformed::Version),
        (Sample::get("/").version(Version::HTTP_3), Malformed::Version),
        // hosts
        (Sample::get("/").without_host(), Malformed::Host),
        (Sample::get("/").without_host().version(Version::HTTP_10), Malformed::Host),
        (Sample::get("/").with("host", "acme.example"), Malformed::DuplicateField),
        (Sample::get("/").with("host", "evil.test"), Malformed::DuplicateField),
        (Sample::get("/").without_host().with("host", "acme.example, evil.test"), Malformed::Host),
        (Sample::get("/").without_host().with("host", "acme.example/evil.test?x#y"), Malformed::Host),
        (Sample::get("/").without_host().with("host", "u@acme.example"), Malformed::Host),
        (Sample::get("/").without_host().with("host", "acme.example."), Malformed::Host),
        (Sample::get("/").without_host().with("host", ""), Malformed::Host),
        (Sample::get("/").without_host().with("host", b"acm\xe9.example"), Malformed::Host),
        (Sample::get("/").authority("evil.test"), Malformed::Host),
        (Sample::get2("/").with("host", "evil.test"), Malformed::Host),
        (Sample::get2("/").authority("u@acme.example"), Malformed::Host),
        (Sample::get2("http://acme.example/"), Malformed::PathForm),
        // the length of the body
        (post().with("content-length", "3").with("content-length", "3"), Malformed::DuplicateField),
        (post().with("content-length", "3").with("content-length", "4"), Malformed::DuplicateField),
        (post().with("content-length", "3, 3"), Malformed::Framing),
        (post().with("content-length", "+3"), Malformed::Framing),
        (post().with("content-length", "-3"), Malformed::Framing),
        (post().with("content-length", "0x3"), Malformed::Framing),
        (post().with("content-length", "03"), Malformed::Framing),
        (post().with("content-length", "3 "), Malformed::Framing),
        (post().with("content-length", ""), Malformed::Framing),
        (post().with("content-length", "9223372036854775808"), Malformed::Framing),
        (post().with("content-length", "18446744073709551617"), Malformed::Framing),
        (post().with("content-length", "3").with("transfer-encoding", "chunked"), Malformed::Framing),
        (post().with("transfer-encoding", "xchunked"), Malformed::Framing),
        (post().with("transfer-encoding", "gzip, chunked"), Malformed::Framing),
        (post().with("transfer-encoding", "chunked, chunked"), Malformed::Framing),
        (post().with("transfer-encoding", "identity"), Malformed::Framing),
        (post().with("transfer-encoding", "chunked").with("transfer-encoding", "chunked"), Malformed::DuplicateField),
        (post().with("transfer-encoding", "chunked").version(Version::HTTP_10), Malformed::Framing),
        (Sample::get2("/").method("POST").with("transfer-encoding", "chunked"), Malformed::Framing),
        // doubled singletons
        (
            Sample::get("/").with("authorization", "Bearer a").with("authorization", "Bearer b"),
            Malformed::DuplicateField,
        ),
        (
            Sample::get("/").with("authorization", "Bearer a").with("authorization", "Bearer a"),
            Malformed::DuplicateField,
        ),
        (post().with("content-type", "text/plain").with("content-type", "application/json"), Malformed::DuplicateField),
        (post().with("expect", "100-continue").with("expect", "100-continue"), Malformed::DuplicateField),
        (post().with("origin", "https://a").with("origin", "https://b"), Malformed::DuplicateField),
        // names and values
        (Sample::get("/").with("x_tenant_id", "globex"), Malformed::Field),
        (Sample::get("/").with("x-http-method-override", "DELETE"), Malformed::Field),
        (Sample::get("/").with("x-http-method", "DELETE"), Malformed::Field),
        (Sample::get("/").with("x-method-override", "DELETE"), Malformed::Field),
        (Sample::get("/").with("x-original-url", "/admin"), Malformed::Field),
        (Sample::get("/").with("x-rewrite-url", "/admin"), Malformed::Field),
        (Sample::get("/").with("content_length", "3"), Malformed::Field),
        (Sample::get("/").with("transfer_encoding", "chunked"), Malformed::Field),
        (Sample::get("/").with("x-tenant_id", "globex"), Malformed::Field),
        (Sample::get("/").with("x.tenant.id", "globex"), Malformed::Field),
        (Sample::get("/").with("x~tenant", "globex"), Malformed::Field),
        (post().with("expect", "200-ok"), Malformed::Expectation),
        // nominations of what we judge by
        (Sample::get("/").with("connection", "close, Authorization"), Malformed::Field),
        (Sample::get("/").with("connection", "host"), Malformed::Field),
        (Sample::get("/").with("connection", "Content-Length"), Malformed::Field),
        (Sample::get("/").with("connection", "x_tenant"), Malformed::Field),
        (Sample::get("/").with("connection", "a b"), Malformed::Field),
        (Sample::get("/").with("connection", b"\xff"), Malformed::Field),
        (Sample::get2("/").with("connection", "close"), Malformed::Field),
        // upgrades
        (Sample::get("/").with("connection", "upgrade").with("upgrade", "h2c"), Malformed::Upgrade),
        (Sample::get("/").with("upgrade", "x"), Malformed::Upgrade),
        (Sample::get("/").with("upgrade", ""), Malformed::Upgrade),
        (websocket(), Malformed::Upgrade),
        (websocket().with("sec-websocket-key", key), Malformed::Upgrade),
        (websocket().with("sec-websocket-version", "13"), Malformed::Upgrade),
        (websocket().with("sec-websocket-version", "12").with("sec-websocket-key", key), Malformed::Upgrade),
        (websocket().with("sec-websocket-version", "13").with("sec-websocket-key", "short"), Malformed::Upgrade),
        (websocket().with("upgrade", "h2c"), Malformed::DuplicateField),
        (opening().without("connection"), Malformed::Upgrade),
        (opening().method("POST"), Malformed::Upgrade),
        (opening().version(Version::HTTP_10), Malformed::Upgrade),
        (opening().with("content-length", "1"), Malformed::Upgrade),
        (opening().with("transfer-encoding", "chunked"), Malformed::Upgrade),
        (opening().without("upgrade").with("upgrade", "websocket, h2c"), Malformed::Upgrade),
        (Sample::get2("/").with("upgrade", "websocket"), Malformed::Upgrade),
    ] {
        assert_eq!(sample.parse().err(), Some(expected), "{sample:?}");
    }
}

#[test]
fn more_than_is_looked_at_is_refused() {
    let long = "a".repeat(64);
    let within = |bounds: Bounds, sample: Sample| sample.parse_within(&bounds).err();
    assert_eq!(within(Bounds { path_bytes: 65, ..BOUNDS }, Sample::get(format!("/{long}"))), None);
    let path = Bounds { path_bytes: 64, ..BOUNDS };
    assert_eq!(within(path, Sample::get(format!("/{long}"))), Some(Malformed::PathTooLong));
    assert_eq!(within(path, Sample::get(format!("http://acme.example/{long}"))), Some(Malformed::PathTooLong));
    let query = Bounds { query_bytes: 63, ..BOUNDS };
    assert_eq!(within(query, Sample::get(format!("/?{long}"))), Some(Malformed::PathTooLong));
    assert_eq!(within(query, Sample::get(format!("http://acme.example?{long}"))), Some(Malformed::PathTooLong));
    assert_eq!(within(Bounds { query_bytes: 64, ..BOUNDS }, Sample::get(format!("/?{long}"))), None);
    let two = Sample::get("/").with("x-a", "1");
    assert_eq!(within(Bounds { fields: 2, ..BOUNDS }, two.clone()), None);
    assert_eq!(within(Bounds { fields: 1, ..BOUNDS }, two.clone()), Some(Malformed::HeadTooLarge));
    assert_eq!(within(Bounds { head_bytes: 28, ..BOUNDS }, two.clone()), None);
    assert_eq!(within(Bounds { head_bytes: 27, ..BOUNDS }, two), Some(Malformed::HeadTooLarge));
    let zero = Bounds { path_bytes: 0, query_bytes: 0, fields: 0, head_bytes: 0 };
    assert!(within(zero, Sample::get("/")).is_some(), "zero is not unlimited");
}

/// Whole and correct.
pub(super) fn opening() -> Sample {
    Sample::get("/chat")
        .with("connection", "keep-alive, Upgrade")
        .with("upgrade", "WebSocket")
        .with("sec-websocket-version", "13")
        .with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

impl Sample {
    fn without(mut self, name: &str) -> Self {
        self.fields.remove(name);
        self
    }
}
