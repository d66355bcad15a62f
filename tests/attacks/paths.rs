//! Paths that two readers could read differently: refused, or judged as exactly what the backend gets.
//!
//! `/admin/**` wants a token and none is sent; everything else is open. So a path that reaches `/admin` in the eyes of any
//! backend, however lenient, has found a way round the policy.

use super::arena::{Arena, Attack, Outcome, Sent};
use super::expect::assert_none;
use super::http2::{END_HEADERS, END_STREAM, HEADERS, block, frame};
use super::reader::{TEMPLATES, lenient, route_of};
use crate::harness::Gateway;

use Path::{Goes, Refused};

#[derive(Clone, Copy, Debug)]
pub enum Path {
    /// Reaches the backend by this route, spelled like this.
    Goes(&'static str, &'static str),
    /// Does not, and the log has `request.malformed.` and this.
    Refused(&'static str),
    /// Does not: the log has `auth.missing`, since this is `/admin`.
    Guarded,
}

use Path::Guarded;

pub const TABLE: &[(&str, Path)] = &[
    // what is plain
    ("/", Goes("root", "/")),
    ("/a", Goes("root", "/a")),
    ("/a/", Goes("root", "/a/")),
    ("/exact", Goes("exact", "/exact")),
    ("/exact/", Goes("root", "/exact/")),
    ("/exact?a=/../admin", Goes("exact", "/exact?a=/../admin")),
    ("/exact?", Goes("exact", "/exact?")),
    ("/exact?a?b", Goes("exact", "/exact?a?b")),
    ("/exact?%00%2e%2e%5c", Goes("exact", "/exact?%00%2e%2e%5c")),
    ("/exact?a=[b]{c}|d", Goes("exact", "/exact?a=[b]{c}|d")),
    ("/files/a", Goes("file", "/files/a")),
    ("/files/a/raw/b/c", Goes("raw", "/files/a/raw/b/c")),
    ("/files/a/rawb", Goes("root", "/files/a/rawb")),
    ("/admin", Guarded),
    ("/admin/", Guarded),
    ("/admin/x", Guarded),
    ("/admin?x", Guarded),
    ("/admin/?x=/exact", Guarded),
    // escapes of what needs none: one spelling arrives
    ("/%65xact", Goes("exact", "/exact")),
    ("/e%78a%63t", Goes("exact", "/exact")),
    ("/%61dmin", Guarded),
    ("/%61%64%6D%69%6E", Guarded),
    ("/%61%64%6d%69%6e/x", Guarded),
    ("/a%7eb", Goes("root", "/a~b")),
    ("/a%2Db%5fc%2ed", Goes("root", "/a-b_c.d")),
    ("/files/%7ea", Goes("file", "/files/~a")),
    // escapes of what may stand as it is: two spellings of one segment
    ("/@me", Goes("me", "/@me")),
    ("/%40me", Goes("me", "/%40me")),
    ("/%40%6de", Goes("me", "/%40me")),
    ("/files/a%3ab", Goes("file", "/files/a%3Ab")),
    ("/files/a:b@c!d$e&f'g(h)i*j+k,l=m", Goes("file", "/files/a:b@c!d$e&f'g(h)i*j+k,l=m")),
    ("/files/a%20b", Goes("file", "/files/a%20b")),
    ("/files/%3Fx", Goes("file", "/files/%3Fx")),
    ("/files/%23x", Goes("file", "/files/%23x")),
    ("/exact%3Fx", Goes("root", "/exact%3Fx")),
    ("/exact%20", Goes("root", "/exact%20")),
    ("/files/caf%c3%a9", Goes("file", "/files/caf%C3%A9")),
    ("/files/%f0%9f%94%91", Goes("file", "/files/%F0%9F%94%91")),
    // letters that look like others, or are others in another form: never folded
    ("/ADMIN/x", Goes("root", "/ADMIN/x")),
    ("/Exact", Goes("root", "/Exact")),
    ("/%ef%bd%81dmin", Goes("root", "/%EF%BD%81dmin")),
    ("/adm%c4%b1n", Goes("root", "/adm%C4%B1n")),
    ("/admin%cc%81", Goes("root", "/admin%CC%81")),
    ("/%e2%80%8badmin", Goes("root", "/%E2%80%8Badmin")),
    ("/%ef%bc%8e%ef%bc%8e/admin", Goes("root", "/%EF%BC%8E%EF%BC%8E/admin")),
    ("/x%ef%bc%8fadmin", Goes("root", "/x%EF%BC%8Fadmin")),
    ("/x%e2%88%95admin", Goes("root", "/x%E2%88%95admin")),
    // dots
    ("/.", Refused("path.dot_segment")),
    ("/..", Refused("path.dot_segment")),
    ("/x/../admin", Refused("path.dot_segment")),
    ("/x/..", Refused("path.dot_segment")),
    ("/x/.", Refused("path.dot_segment")),
    ("/./admin", Refused("path.dot_segment")),
    ("/admin/../exact", Refused("path.dot_segment")),
    ("/x/%2e%2e/admin", Refused("path.dot_segment")),
    ("/x/.%2e/admin", Refused("path.dot_segment")),
    ("/x/%2E./admin", Refused("path.dot_segment")),
    ("/%2e/admin", Refused("path.dot_segment")),
    ("/x/..?/admin", Refused("path.dot_segment")),
    ("/...", Goes("root", "/...")),
    ("/x/.../admin", Goes("root", "/x/.../admin")),
    ("/x/..a/admin", Goes("root", "/x/..a/admin")),
    ("/admin.", Goes("root", "/admin.")),
    ("/admin..", Goes("root", "/admin..")),
    ("/.admin", Goes("root", "/.admin")),
    ("/admin.json", Goes("root", "/admin.json")),
    ("/x/..%20/admin", Refused("path.dot_segment")),
    ("/x/%20%2e./admin", Refused("path.dot_segment")),
    ("/x/%20/admin", Goes("root", "/x/%20/admin")),
    // slashes
    ("//admin", Refused("path.empty_segment")),
    ("//evil.test/admin", Refused("path.empty_segment")),
    ("/x//admin", Refused("path.empty_segment")),
    ("/x///", Refused("path.empty_segment")),
    ("///admin", Refused("path.empty_segment")),
    ("/x%2fadmin", Refused("path.encoded_slash")),
    ("/%2fadmin", Refused("path.encoded_slash")),
    ("/%2Fadmin", Refused("path.encoded_slash")),
    ("/x/..%2fadmin", Refused("path.encoded_slash")),
    ("/x/%2e%2e%2fadmin", Refused("path.encoded_slash")),
    ("/x\\admin", Refused("path.backslash")),
    ("/\\admin", Refused("path.backslash")),
    ("/x/..\\admin", Refused("path.backslash")),
    ("/x%5cadmin", Refused("path.backslash")),
    ("/x/..%5Cadmin", Refused("path.backslash")),
    // parameters
    ("/admin;x", Refused("path.parameters")),
    ("/admin;/x", Refused("path.parameters")),
    ("/;/admin", Refused("path.parameters")),
    ("/x;/../admin", Refused("path.parameters")),
    ("/x/..;/admin", Refused("path.parameters")),
    ("/x;a=b", Refused("path.parameters")),
    ("/exact%3b.css", Refused("path.parameters")),
    ("/exact;.css?x", Refused("path.parameters")),
    // controls
    ("/admin%00", Refused("path.control")),
    ("/%00/admin", Refused("path.control")),
    ("/exact%00.css", Refused("path.control")),
    ("/admin%0a", Refused("path.control")),
    ("/admin%0d%0aX:%20y", Refused("path.control")),
    ("/admin%09", Refused("path.control")),
    ("/admin%7f", Refused("path.control")),
    ("/admin%c2%85", Refused("path.control")),
    ("/admin%1b[2J", Refused("path.control")),
    // escaped twice, or otherwise
    ("/%2561dmin", Refused("path.double_encoding")),
    ("/x/%252e%252e/admin", Refused("path.double_encoding")),
    ("/x%252fadmin", Refused("path.double_encoding")),
    ("/100%25", Refused("path.double_encoding")),
    ("/%25%36%31dmin", Refused("path.double_encoding")),
    ("/%", Refused("path.encoding")),
    ("/%6", Refused("path.encoding")),
    ("/%zz", Refused("path.encoding")),
    ("/%6gdmin", Refused("path.encoding")),
    ("/%u0061dmin", Refused("path.encoding")),
    ("/%%36%31dmin", Refused("path.encoding")),
    ("/%+61dmin", Refused("path.encoding")),
    ("/%-1", Refused("path.encoding")),
    ("/&#97;dmin", Refused("path.encoding")),
    ("/a[b]", Refused("path.encoding")),
    ("/a{b}", Refused("path.encoding")),
    ("/a|b", Refused("path.encoding")),
    ("/a^b", Refused("path.encoding")),
    ("/a`b", Refused("unparsed")),
    // not UTF-8
    ("/%ff", Refused("path.utf8")),
    ("/%c3", Refused("path.utf8")),
    ("/%c3x", Refused("path.utf8")),
    ("/%c3%28", Refused("path.utf8")),
    ("/%c0%ae%c0%ae/admin", Refused("path.utf8")),
    ("/x%c0%afadmin", Refused("path.utf8")),
    ("/x%e0%80%afadmin", Refused("path.utf8")),
    ("/x%f0%80%80%afadmin", Refused("path.utf8")),
    ("/%c1%a1dmin", Refused("path.utf8")),
    ("/%ed%a0%80", Refused("path.utf8")),
    ("/%f8%80%80%80%80", Refused("path.utf8")),
    // not paths
    ("admin", Refused("path.form")),
    ("*", Refused("path.form")),
    ("?/admin", Refused("path.form")),
    ("/exact#/../admin", Refused("path.encoding")),
    ("/exact?x#y", Refused("path.encoding")),
];

pub const POLICIES: &str = r#"
tenants: { acme: { status: active } }
routes:
  - { id: root, match: { host: "*", path: "/**" }, upstream: backend, auth: none }
  - { id: exact, match: { host: "*", path: "/exact" }, upstream: backend, auth: none }
  - { id: me, match: { host: "*", path: "/@me" }, upstream: backend, auth: none }
  - { id: file, match: { host: "*", path: "/files/{name}" }, upstream: backend, auth: none }
  - { id: raw, match: { host: "*", path: "/files/{name}/raw/**" }, upstream: backend, auth: none }
  - id: admin
    match: { host: "*", path: "/admin/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token] }
    allow: { "*": "admin:all" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_judged_as_what_the_backend_gets_or_not_at_all() {
    let arena = Arena::open(Gateway::test().policies(POLICIES)).await;
    let attack = |(target, _): &(&str, Path)| Attack {
        name: (*target).into(),
        sent: Sent::Http1(request("GET", target, "HTTP/1.1", "").into_bytes()),
    };
    let attacks: Vec<_> = TABLE.iter().map(attack).collect();
    let outcomes = arena.run(&attacks).await;
    assert_none(
        TABLE
            .iter()
            .zip(&outcomes)
            .filter_map(|((_, expected), outcome)| complaint(outcome, *expected).or_else(|| unlike(outcome))),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_shape_of_a_request_makes_another_path_of_it() {
    let arena = Arena::open(Gateway::test().policies(POLICIES)).await;
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut attacks = Vec::new();
    let mut expected = Vec::new();
    for (target, expect) in TABLE {
        let mut add = |shape: &str, sent| {
            attacks.push(Attack { name: format!("{target}, as {shape}"), sent });
            expected.push((*target, *expect));
        };
        for method in ["HEAD", "OPTIONS", "POST", "DELETE"] {
            add(method, Sent::Http1(request(method, target, "HTTP/1.1", "").into_bytes()));
        }
        add("HTTP/1.0", Sent::Http1(request("GET", target, "HTTP/1.0", "").into_bytes()));
        add("an upgrade", Sent::Http1(request("GET", target, "HTTP/1.1", upgrade).into_bytes()));
        let absolute = format!("http://acme.example.test{target}");
        add("absolute form", Sent::Http1(request("GET", &absolute, "HTTP/1.1", "").into_bytes()));
        for method in ["GET", "HEAD", "OPTIONS"] {
            add(&format!("{method} of HTTP/2"), Sent::Http2(stream(method, target)));
        }
    }
    let outcomes = arena.run(&attacks).await;
    assert_none(
        outcomes
            .iter()
            .zip(expected)
            .filter_map(|(outcome, (target, expected))| laxity(outcome, target, expected).or_else(|| unlike(outcome))),
    );
}

fn request(method: &str, target: &str, version: &str, fields: &str) -> String {
    format!("{method} {target} {version}\r\nHost: acme.example.test\r\n{fields}\r\n")
}

fn stream(method: &str, path: &str) -> Vec<u8> {
    let fields = [(":method", method), (":scheme", "https"), (":path", path), (":authority", "acme.example.test")];
    let fields = fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields))
}

fn complaint(outcome: &Outcome, expected: Path) -> Option<String> {
    let arrived: Vec<_> = outcome.arrived.iter().map(|request| &*request.target).collect();
    let so = match expected {
        Goes(route, target) => arrived == [target] && outcome.records[0]["route"] == route,
        Refused(reason) => arrived.is_empty() && outcome.reasons() == [format!("request.malformed.{reason}")],
        Guarded => arrived.is_empty() && outcome.reasons() == ["auth.missing"],
    };
    (!so).then(|| format!("{}: expected {expected:?}, but {arrived:?} arrived: {:?}", outcome.name, outcome.records))
}

/// In another shape a path is refused, too, or arrives as the same one.
fn laxity(outcome: &Outcome, target: &str, expected: Path) -> Option<String> {
    let arrived: Vec<_> = outcome.arrived.iter().map(|request| &*request.target).collect();
    let so = match expected {
        Goes(_, target) => arrived.is_empty() || arrived == [target],
        Refused(_) | Guarded => arrived.is_empty() || known(&outcome.name, target),
    };
    (!so).then(|| format!("{}: expected {expected:?}, but {arrived:?} arrived: {:?}", outcome.name, outcome.reasons()))
}

/// Where another shape is another target, and rightly so: the host ends at `?`, and a path needs its slash; what follows
/// a `#` is cut off by the parser of HTTP/2.
fn known(name: &str, target: &str) -> bool {
    (name.ends_with("absolute form") && target.starts_with('?')) || (name.ends_with("HTTP/2") && target.contains('#'))
}

/// What is wrong if the policy matched something else than the backend got: whatever arrived is on the route of a plain
/// reader of RFC 3986, and not below `/admin` for the most lenient one.
pub fn unlike(outcome: &Outcome) -> Option<String> {
    let request = outcome.arrived.first()?;
    let route = route_of(&request.target);
    let record = &outcome.records[0];
    if record["route"] != route {
        return Some(format!("{}: `{}` arrived, of route {route}; judged was {record}", outcome.name, request.target));
    }
    let seen = lenient(&request.target);
    let admin = seen == "/admin" || seen.starts_with("/admin/");
    admin.then(|| format!("{}: `{}` arrived, and somebody could read `{seen}`", outcome.name, request.target))
}

#[test]
fn the_readers_know_the_routes_of_the_policy() {
    for (id, template) in TEMPLATES {
        assert!(POLICIES.contains(&format!("path: \"{template}\"")), "{id}");
    }
    for (target, route) in [("/", "root"), ("/admin", "admin"), ("/files/a/raw", "raw"), ("/%66iles/a?b", "file")] {
        assert_eq!(route_of(target), route, "{target}");
    }
    for (target, seen) in
        [("/x/%252e./admin;a/b?c", "/admin/b"), ("//%61dmin\\x", "/admin/x"), ("/x%2F..%5cadmin", "/admin")]
    {
        assert_eq!(lenient(target), seen, "{target}");
    }
}
