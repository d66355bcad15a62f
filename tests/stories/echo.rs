//! A response that is about another tenant than the one that asked does not leave the gateway, not one byte of it.

use std::time::Duration;

use crate::harness::{Gateway, POLICIES, Play, RawBackend, Recorder, Records, Setup, Then, raw};

const ROUTES: &str = r#"  - id: json
    match: { host: "{tenant}.example.test", path: "/json/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { "*": "order:read" }
    echo: { json: /tenant/id, max_body: 1KiB }
  - id: lists
    match: { host: "{tenant}.example.test", path: "/lists" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
    echo: { json: "/items/*/tenant", missing: allow }
  - id: header
    match: { host: "{tenant}.example.test", path: "/header" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { "*": "order:read" }
    echo: { header: X-Org }
    response_headers: { remove: [X-Org] }
  - id: shadow
    match: { host: "{tenant}.example.test", path: "/shadow" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
    echo: { json: /tenant/id, mode: shadow, max_body: 1KiB }
"#;

fn world(backend: &RawBackend) -> Setup {
    Gateway::test().policies(&format!("{POLICIES}{ROUTES}")).upstream(backend.address)
}

/// A response with this status line, these fields and this body, framed by its length.
fn with(status: &str, fields: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

const ACME: &str = r#"{"tenant":{"id":"acme"},"secret":"ours"}"#;
const GLOBEX: &str = r#"{"secret":"theirs","tenant":{"id":"globex"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_response_of_another_tenant_is_answered_with_502_and_no_byte_of_it_leaves() {
    let backend = RawBackend::start().await;
    let gateway = world(&backend).start().await;
    let chunked = |body: &str| {
        let chunks = body
            .as_bytes()
            .chunks(7)
            .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()));
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunks.collect::<String>())
    };
    let long = format!(r#"{{"tenant":{{"id":"acme"}},"x":"{}"}}"#, "x".repeat(1024));
    let twice = r#"{"tenant":{"id":"acme"},"tenant":{"id":"globex"}}"#;
    let items = |tenants: &[&str]| {
        let items: Vec<String> = tenants.iter().map(|tenant| format!(r#"{{"tenant":"{tenant}"}}"#)).collect();
        with("200 OK", "", &format!(r#"{{"items":[{}]}}"#, items.join(",")))
    };
    let hints = |rest: String| format!("HTTP/1.1 103 Early Hints\r\nLink: </theirs>\r\n\r\n{rest}");
    for (method, path, what, response, status, echo) in [
        ("GET", "/json/1", "ours", with("200 OK", "", ACME), 200, Some("match")),
        ("GET", "/json/1", "ours in chunks", chunked(ACME), 200, Some("match")),
        ("GET", "/json/1", "ours after an announcement", hints(with("200 OK", "", ACME)), 200, Some("match")),
        ("POST", "/json/1", "ours, made", with("201 Created", "Location: /json/2\r\n", ACME), 201, Some("match")),
        ("GET", "/json/1", "theirs", with("200 OK", "", GLOBEX), 502, Some("differs")),
        ("GET", "/json/1", "theirs in chunks", chunked(GLOBEX), 502, Some("differs")),
        ("GET", "/json/1", "theirs after an announcement", hints(with("200 OK", "", GLOBEX)), 502, Some("differs")),
        ("GET", "/json/1", "theirs in an error", with("404 Not Found", "", GLOBEX), 502, Some("differs")),
        ("GET", "/json/1", "both", with("200 OK", "", twice), 502, Some("differs")),
        ("GET", "/json/1", "nobody's", with("200 OK", "", r#"{"secret":"theirs"}"#), 502, Some("missing")),
        ("GET", "/json/1", "nobody's error", with("404 Not Found", "", r#"{"error":"gone"}"#), 404, Some("missing")),
        ("GET", "/json/1", "an error page", with("500 Oh", "", "<html>"), 500, Some("unreadable")),
        ("GET", "/json/1", "a page", with("200 OK", "", "<html>theirs"), 502, Some("unreadable")),
        (
            "GET",
            "/json/1",
            "compressed",
            with("200 OK", "Content-Encoding: gzip\r\n", "theirs"),
            502,
            Some("unreadable"),
        ),
        (
            "GET",
            "/json/1",
            "a compressed error",
            with("404 No", "Content-Encoding: br\r\n", "theirs"),
            502,
            Some("unreadable"),
        ),
        ("GET", "/json/1", "identity", with("200 OK", "Content-Encoding: identity\r\n", ACME), 200, Some("match")),
        (
            "GET",
            "/json/1",
            "a part",
            with("206 Partial Content", "Content-Range: bytes 0-5/9\r\n", "theirs"),
            502,
            Some("unreadable"),
        ),
        ("GET", "/json/1", "too long", with("200 OK", "", &long), 502, Some("unreadable")),
        ("GET", "/json/1", "too long in chunks", chunked(&long), 502, Some("unreadable")),
        ("GET", "/json/1", "nothing", with("200 OK", "", ""), 200, None),
        ("DELETE", "/json/1", "no content", "HTTP/1.1 204 No Content\r\n\r\n".into(), 204, None),
        ("GET", "/json/1", "not modified", "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n".into(), 304, None),
        ("GET", "/lists", "all ours", items(&["acme", "acme"]), 200, Some("match")),
        ("GET", "/lists", "none", items(&[]), 200, Some("match")),
        ("GET", "/lists", "one of theirs", items(&["acme", "globex", "acme"]), 502, Some("differs")),
        ("GET", "/lists", "no list", with("200 OK", "", "{}"), 200, Some("missing")),
        ("GET", "/header", "ours", with("200 OK", "X-Org: acme\r\n", "ok"), 200, Some("match")),
        ("GET", "/header", "theirs", with("200 OK", "X-Org: globex\r\n", "theirs"), 502, Some("differs")),
        (
            "GET",
            "/header",
            "ours and theirs",
            with("200 OK", "X-Org: acme\r\nX-Org: globex\r\n", "theirs"),
            502,
            Some("differs"),
        ),
        ("GET", "/header", "a list", with("200 OK", "X-Org: acme, globex\r\n", "theirs"), 502, Some("differs")),
        ("GET", "/header", "nobody's", with("200 OK", "", "theirs"), 502, Some("missing")),
        ("GET", "/header", "nobody's error", with("404 Not Found", "", "gone"), 404, Some("missing")),
        ("GET", "/header", "their error", with("404 Not Found", "X-Org: globex\r\n", "theirs"), 502, Some("differs")),
        (
            "GET",
            "/header",
            "not modified, theirs",
            "HTTP/1.1 304 No\r\nX-Org: globex\r\n\r\n".into(),
            502,
            Some("differs"),
        ),
    ] {
        backend.plays(&response, Then::Keep);
        let what = format!("{path} {what}");
        let token = gateway.token("acme", "ada", &["viewer"]);
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\
             Accept-Encoding: gzip, br\r\nRange: bytes=0-5\r\nConnection: close\r\n\r\n"
        );
        let answer = raw(gateway.address, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
        assert!(!answer.contains("theirs") && !answer.to_lowercase().contains("x-org"), "{what}: {answer}");
        if status == 200 && path.starts_with("/json") && echo.is_some() {
            assert!(answer.ends_with(ACME), "{what}: {answer}");
        }
        let id = answer
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("x-request-id: ").map(str::to_owned))
            .unwrap();
        let records = gateway.records(&["--id", &id]);
        let record = records.of(&id);
        assert_eq!(record["echo"].as_str(), echo, "{what}");
        let reason = if status == 502 { "tenant.leak" } else { "allowed" };
        assert_eq!((record["reason"].as_str(), record["status"].as_u64()), (Some(reason), Some(status)), "{what}");
        assert_eq!(record["end"], "complete", "{what}");
    }
    for request in backend.requests().iter().filter(|request| !request.target.starts_with("/header")) {
        assert_eq!(request.field("accept-encoding").as_deref(), Some("identity"));
        assert_eq!(request.field("range"), None);
    }
    let differs = gateway.records(&["--reason", "tenant.leak"]).finals().len();
    assert!(differs >= 17, "{differs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_goes_out_whole_over_every_version_and_connections_are_used_again() {
    let backend = RawBackend::start().await;
    let gateway = world(&backend).tls().start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    for secure in [false, true] {
        let ask = async || {
            let request = if secure {
                gateway.secure("GET", "acme", "/json/1")
            } else {
                gateway.request("GET", "acme", "/json/1")
            };
            gateway.send(request.bearer_auth(&token)).await
        };
        backend.plays(with("200 OK", "Set-Cookie: a=1\r\n", ACME), Then::Keep);
        for _ in 0..3 {
            let answer = ask().await;
            assert_eq!((answer.status, answer.text().as_str(), answer.field("set-cookie")), (200, ACME, Some("a=1")));
            assert_eq!(answer.field("content-length"), Some(ACME.len().to_string().as_str()));
        }
        backend.plays(with("200 OK", "Set-Cookie: a=1\r\n", GLOBEX), Then::Keep);
        let leak = ask().await;
        assert_eq!((leak.status, leak.code().as_str(), leak.field("set-cookie")), (502, "bad_gateway", None));
        let head =
            if secure { gateway.secure("HEAD", "acme", "/json/1") } else { gateway.request("HEAD", "acme", "/json/1") };
        backend.plays("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Then::Keep);
        assert_eq!(gateway.send(head.bearer_auth(&token)).await.status, 200);
    }
    // Two requests at once on one connection: the answer to the first is followed by that to the second.
    backend.plays(with("200 OK", "", ACME), Then::Keep);
    let one = format!("GET /json/1 HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\n");
    let both = raw(gateway.address, format!("{one}\r\n{one}Connection: close\r\n\r\n").as_bytes()).await;
    assert!(both.matches("HTTP/1.1 200 ").count() >= 1, "{both}");
    let kept = backend.requests().len() > backend.connections();
    assert!(kept, "each request took a new connection to the backend");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_breaks_off_is_not_sent_in_part() {
    let backend = RawBackend::start().await;
    let gateway = world(&backend).start().await;
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{ACME}");
    backend.plays(response, Then::Close);
    let answer = gateway.get("acme", "/json/1").await;
    assert_eq!((answer.status, gateway.reason(&answer).as_str()), (502, "upstream.unavailable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_only_reports() {
    let backend = RawBackend::start().await;
    let gateway = world(&backend).start().await;
    let long = format!(r#"{{"tenant":{{"id":"acme"}},"x":"{}"}}"#, "x".repeat(4096));
    for (body, echo) in
        [(ACME, "match"), (GLOBEX, "differs"), ("{}", "missing"), ("<html>", "unreadable"), (&long, "unreadable")]
    {
        backend.plays(with("200 OK", "", body), Then::Keep);
        let answer = gateway.get("acme", "/shadow").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, body));
        let id = answer.request_id();
        let records = gateway.records(&["--id", &id]);
        let record = records.of(&id);
        assert_eq!((record["echo"].as_str(), record["reason"].as_str()), (Some(echo), Some("allowed")), "{echo}");
    }
    let (_, metrics) = gateway.admin("/metrics");
    assert!(metrics.contains(r#"cloister_tenant_echo_total{mode="shadow",said="differs"} 1"#), "{metrics}");
    assert!(metrics.contains(r#"cloister_tenant_echo_total{mode="block",said="differs"} 0"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_at_the_end_has_on_record_what_its_response_had_said() {
    // What the backend has said by then, whether some of it may reach the client, and what the record says.
    for (path, fields, part, reaches, echo) in [
        ("/header", "X-Org: acme\r\n", "half", true, Some("match")),
        ("/json/1", "", r#"{"tenant":{"id":"globex"},"#, false, None), // not known before its end, so not one byte of it
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 1000\r\n\r\n{part}");
        let plays = vec![Play::bytes(&head), Play::Pause(Duration::from_secs(60))];
        let recorder = Recorder::playing(move |_| plays.clone()).await;
        let world = Gateway::test().policies(&format!("{POLICIES}{ROUTES}")).upstream(recorder.address);
        let mut gateway = world.shutdown("grace: 300ms").start().await;
        let mut client = std::net::TcpStream::connect(gateway.address).unwrap();
        let token = gateway.token("acme", "ada", &["viewer"]);
        let ask = format!("GET {path} HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\n\r\n");
        std::io::Write::write_all(&mut client, ask.as_bytes()).unwrap();
        gateway.eventually("the backend has answered", || gateway.metric("cloister_upstream_seconds_count") == 1.0);
        gateway.process().signal("TERM");
        let mut answer = Vec::new();
        let _cut = std::io::Read::read_to_end(&mut client, &mut answer);
        assert!(reaches || answer.is_empty(), "{path}: {}", String::from_utf8_lossy(&answer));
        assert_eq!(gateway.process().wait().code(), Some(3), "the grace did not suffice");
        let records = Records::query(gateway.log(), &[]);
        let [record] = records.finals()[..] else { panic!("one request: {records:?}") };
        assert_eq!((&record["end"], record["echo"].as_str()), (&"shutdown".into(), echo), "{path}: {record}");
    }
}
