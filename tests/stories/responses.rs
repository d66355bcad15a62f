//! What a backend answers goes on to a client only if it is one response, and without what is no client's business.

mod h2c;

use crate::harness::{Gateway, POLICIES, RawBackend, Then, config_text, raw, run};

/// How a response of a backend ends up at a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// It is answered with 502 and recorded as malformed.
    Malformed,
    /// The backend is said to be gone: it ended before there was a response.
    Unavailable,
    /// The client gets this status and this body.
    Passes(u16, &'static str),
}
use Fate::{Malformed, Passes, Unavailable};

async fn ask(gateway: &Gateway, method: &str) -> String {
    let token = gateway.token("acme", "ada", &["viewer"]);
    let request = format!(
        "{method} /orders/1 HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    raw(gateway.address, request.as_bytes()).await
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The body, without the chunks that it may have come in.
fn body(answer: &str) -> String {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    if field(answer, "transfer-encoding") != Some("chunked") {
        return body.into();
    }
    let (mut left, mut whole) = (body, String::new());
    while let Some((size, rest)) = left.split_once("\r\n") {
        let (chunk, rest) = rest.split_at(usize::from_str_radix(size, 16).unwrap());
        whole.push_str(chunk);
        left = rest.strip_prefix("\r\n").expect("a chunk ends its line");
        if chunk.is_empty() {
            break;
        }
    }
    whole
}

/// Every shape, what comes of it, and whether the connection to the backend may be used for the next request.
#[rustfmt::skip] // a table
const SHAPES: &[(&str, &str, &[u8], Then, Fate)] = &[
    ("GET", "a length", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::Keep, Passes(200, "ok")),
    ("GET", "chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Then::Keep, Passes(200, "ok")),
    ("GET", "until the end", b"HTTP/1.1 200 OK\r\n\r\nok", Then::Close, Passes(200, "ok")),
    ("GET", "version 1.0", b"HTTP/1.0 200 OK\r\n\r\nok", Then::Close, Passes(200, "ok")),
    ("GET", "no reason", b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", Then::Keep, Passes(200, "ok")),
    ("GET", "bytes that no character set has", b"HTTP/1.1 200 OK\r\nX-A: caf\xe9\r\nContent-Length: 2\r\n\r\nok", Then::Keep, Passes(200, "ok")),
    // Reframed: what is ambiguous in it never reaches the client, and the connection is not used again.
    ("GET", "length and chunks", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Then::Keep, Passes(200, "ok")),
    ("GET", "bytes beyond the length", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", Then::Keep, Passes(200, "ok")),
    ("GET", "bytes beyond the last chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", Then::Keep, Passes(200, "ok")),
    ("HEAD", "a body for a HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::Keep, Passes(200, "")),
    ("GET", "a 204 with bytes behind it", b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", Then::Keep, Passes(204, "")),
    ("GET", "a 304 with bytes behind it", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison", Then::Keep, Passes(304, "")),
    ("GET", "a 204 of length nothing", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", Then::Keep, Passes(204, "")),
    // Refused.
    ("GET", "a 204 with a length", b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison", Then::Keep, Malformed),
    ("GET", "a 204 in chunks", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Then::Keep, Malformed),
    ("GET", "two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\noki", Then::Keep, Malformed),
    ("GET", "one length twice", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", Then::Keep, Malformed),
    ("GET", "one length in a list", b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", Then::Keep, Malformed),
    ("GET", "a length with a sign", b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", Then::Keep, Malformed),
    ("GET", "a length below zero", b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", Then::Keep, Malformed),
    ("GET", "a length in hexadecimal", b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok", Then::Keep, Malformed),
    ("GET", "a length beyond all numbers", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok", Then::Keep, Malformed),
    ("GET", "an empty length", b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nok", Then::Keep, Malformed),
    ("GET", "a coding that is none", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nok", Then::Close, Malformed),
    ("GET", "another coding before the chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Then::Keep, Malformed),
    ("GET", "chunks and then another coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n2\r\nok\r\n0\r\n\r\n", Then::Keep, Malformed),
    ("GET", "chunks twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Then::Keep, Malformed),
    ("GET", "chunks in version 1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Then::Close, Malformed),
    ("GET", "chunks after a vertical tab", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Then::Keep, Malformed),
    ("GET", "a folded line, which becomes one", b"HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\nContent-Length: 2\r\n\r\nok", Then::Keep, Passes(200, "ok")),
    ("GET", "a NUL", b"HTTP/1.1 200 OK\r\nX-A: on\0e\r\nContent-Length: 2\r\n\r\nok", Then::Keep, Malformed),
    ("GET", "a bare CR", b"HTTP/1.1 200 OK\r\nX-A: on\re\r\nContent-Length: 2\r\n\r\nok", Then::Keep, Malformed),
    ("GET", "an escape", b"HTTP/1.1 200 OK\r\nX-A: \x1b[31m\r\nContent-Length: 2\r\n\r\nok", Then::Keep, Malformed),
    ("GET", "a DEL", b"HTTP/1.1 200 OK\r\nX-A: a\x7f\r\nContent-Length: 2\r\n\r\nok", Then::Keep, Malformed),
    ("GET", "a line without a colon", b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\nok", Then::Keep, Malformed),
    ("GET", "a name with a space in it", b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 2\r\n\r\nok", Then::Keep, Malformed),
    ("GET", "an empty name", b"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 2\r\n\r\nok", Then::Keep, Malformed),
    ("GET", "no status", b"HTTP/1.1 OK\r\n\r\nok", Then::Close, Malformed),
    ("GET", "a status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok", Then::Close, Malformed),
    ("GET", "a status of four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok", Then::Close, Malformed),
    ("GET", "a status that is none", b"HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok", Then::Close, Malformed),
    ("GET", "a status below all", b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok", Then::Close, Malformed),
    ("GET", "another version", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::Close, Malformed),
    ("GET", "another protocol", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", Then::Close, Malformed),
    ("GET", "version 0.9", b"<html>hello</html>\r\n\r\n", Then::Close, Malformed),
    ("GET", "a 101 that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfree", Then::Keep, Malformed),
    ("GET", "an end without a head", b"HTTP/1.1 200 OK\r\nContent-", Then::Close, Unavailable),
    ("GET", "nothing", b"", Then::Close, Unavailable),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_two_readers_could_read_differently_never_reaches_a_client() {
    let backend = RawBackend::start().await;
    let gateway = Gateway::test().upstream(backend.address).start().await;
    let mut wrong = Vec::new();
    for (method, what, bytes, then, fate) in SHAPES {
        backend.plays(bytes, *then);
        let answer = ask(&gateway, method).await;
        let reason = match field(&answer, "x-request-id") {
            Some(id) => gateway.records(&["--id", id]).of(id)["reason"].as_str().unwrap_or_default().to_owned(),
            None => String::new(),
        };
        let came = match (status(&answer), reason.as_str()) {
            (502, "upstream.malformed") => Malformed,
            (502, "upstream.unavailable") => Unavailable,
            (status, _) => {
                let expected = if let Passes(_, expected) = fate { expected } else { "" };
                let body = body(&answer);
                if body != *expected {
                    wrong.push(format!("{what}: the body is {body:?}"));
                }
                Passes(status, expected)
            }
        };
        if came != *fate || answer.contains("poison") || answer.contains("free") {
            wrong.push(format!("{what}: {came:?} in place of {fate:?}, {reason}: {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_behind_a_response_are_never_the_response_to_the_next_request() {
    let backend = RawBackend::start().await;
    let gateway = Gateway::test().upstream(backend.address).start().await;
    let reframed = SHAPES.iter().filter(|(_, _, bytes, ..)| bytes.windows(6).any(|window| window == b"poison"));
    for (method, what, bytes, _, _) in reframed {
        backend.plays(bytes, Then::Keep);
        for _ in 0..4 {
            ask(&gateway, method).await; // each worker keeps connections of its own
        }
        backend.plays("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext", Then::Keep);
        for _ in 0..4 {
            assert_eq!(body(&ask(&gateway, "GET").await), "next", "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_speaks_of_the_backend_or_of_its_connection_stays_behind_and_the_rest_passes_untouched() {
    let backend = RawBackend::start().await;
    let gateway = Gateway::test().upstream(backend.address).settings("response: { remove: [X-Build] }\n").start().await;
    let gone = [
        "Connection: keep-alive, X-Hop",
        "Keep-Alive: timeout=7",
        "Proxy-Authenticate: Basic",
        "Proxy-Connection: keep-alive",
        "TE: trailers",
        "Trailer: X-Sum",
        "Upgrade: h2c",
        "X-Hop: nominated",
        "Server: legacy/1.0",
        "Via: 1.1 inner",
        "X-Powered-By: PHP/5.3",
        "X-AspNet-Version: 4.0",
        "Alt-Svc: h3=\":443\"",
        "X-Accel-Redirect: /secret",
        "X-Envoy-Upstream-Service-Time: 3",
        "X-Cloister-Assertion: forged",
        "X_Cloister_Assertion: forged",
        "X-Request-Id: forged",
        "Strict-Transport-Security: max-age=1",
        "X-Build: 17",
    ];
    let kept =
        ["Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; HttpOnly", "ETag: \"7\"", "X-Custom: kept", "Vary: Accept"];
    let head = gone.iter().chain(&kept).map(|line| format!("{line}\r\n")).collect::<String>();
    backend.plays(format!("HTTP/1.1 200 OK\r\n{head}Content-Length: 2\r\n\r\nok"), Then::Keep);

    let answer = ask(&gateway, "GET").await;

    let lines: Vec<String> = answer.split("\r\n").map(str::to_ascii_lowercase).collect();
    for line in gone {
        assert!(!lines.contains(&line.to_ascii_lowercase()), "{line} in {answer}");
    }
    for line in kept {
        assert_eq!(lines.iter().filter(|known| **known == line.to_ascii_lowercase()).count(), 1, "{line} in {answer}");
    }
    assert_eq!(body(&answer), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_refused() {
    let backend = RawBackend::start().await;
    let settings = "response: { head_bytes: 4KiB, field_bytes: 1KiB, fields: 20 }\n";
    let gateway = Gateway::test().upstream(backend.address).settings(settings).start().await;
    let field = |length: usize| format!("X-A: {}\r\n", "a".repeat(length - "X-A: \r\n".len() + 1));
    for (what, fields, expected) in [
        ("a field that just fits", field(1023), 200),
        ("a field that is too long", field(1025), 502),
        ("many fields that fit", "X-A: a\r\n".repeat(18), 200),
        ("one field too many", "X-A: a\r\n".repeat(20), 502),
        ("too many bytes in all", field(900).repeat(5), 502),
    ] {
        backend.plays(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok"), Then::Keep);
        assert_eq!(status(&ask(&gateway, "GET").await), expected, "{what}");
    }
    assert_eq!(gateway.records(&["--reason", "upstream.malformed"]).finals().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn informational_responses_pass_clean_and_not_without_end() {
    let backend = RawBackend::start().await;
    let gateway = Gateway::test().upstream(backend.address).start().await;
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nServer: legacy/1.0\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    backend.plays(format!("{hints}{last}"), Then::Keep);
    let answer = ask(&gateway, "GET").await;
    assert!(answer.starts_with("HTTP/1.1 103 ") && answer.contains("HTTP/1.1 200 OK"), "{answer}");
    assert!(!answer.contains("legacy"), "{answer}");
    backend.plays(format!("{}{last}", hints.repeat(9)), Then::Keep);
    assert!(ask(&gateway, "GET").await.contains("HTTP/1.1 502 "));
    backend.plays(format!("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n{last}"), Then::Keep);
    assert!(ask(&gateway, "GET").await.starts_with("HTTP/1.1 502 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_chunks_end_the_response_and_are_recorded_as_what_they_are() {
    let backend = RawBackend::start().await;
    let gateway = Gateway::test().upstream(backend.address).start().await;
    for chunks in
        ["xyz\r\nok\r\n0\r\n\r\n", "2\r\nokay\r\n0\r\n\r\n", "-2\r\nok\r\n0\r\n\r\n", "ffffffffffffffff1\r\nok"]
    {
        backend.plays(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"), Then::Keep);
        let answer = ask(&gateway, "GET").await;
        assert!(!answer.ends_with("0\r\n\r\n"), "{chunks:?}: the client takes it for whole: {answer}");
        let id = field(&answer, "x-request-id").unwrap();
        let records = gateway.records(&["--id", id]);
        let record = records.of(id);
        assert_eq!(record["reason"], "upstream.malformed", "{chunks:?}");
        assert_eq!(record["end"], "upstream_failed", "{chunks:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_how_to_protect_people_also_by_refusals() {
    let backend = RawBackend::start().await;
    let gateway = Gateway::test().upstream(backend.address).tls().start().await;
    let expected = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
    ];
    let (good, refused) =
        (gateway.get("acme", "/orders/1").await, gateway.send(gateway.request("GET", "acme", "/x")).await);
    assert_eq!((good.status, refused.status), (200, 404));
    for (name, value) in expected {
        assert_eq!((good.field(name), refused.field(name)), (Some(value), Some(value)), "{name}");
    }
    assert_eq!(good.field("cache-control"), Some("private"));
    assert_eq!(good.field("vary"), Some("authorization"));
    assert_eq!(good.field("strict-transport-security"), None, "not over plain HTTP");
    let token = gateway.token("acme", "ada", &["viewer"]);
    for request in [gateway.secure("GET", "acme", "/orders/1").bearer_auth(token), gateway.secure("GET", "acme", "/x")]
    {
        assert_eq!(gateway.send(request).await.field("strict-transport-security"), Some("max-age=31536000"));
    }

    backend.plays(
        "HTTP/1.1 200 OK\r\nX-Content-Type-Options: sniff\r\nContent-Security-Policy: default-src 'self'; \
         frame-ancestors https://a.test\r\nReferrer-Policy: no-referrer\r\nCache-Control: public\r\nVary: Accept\r\n\
         Strict-Transport-Security: max-age=1\r\nContent-Length: 2\r\n\r\nok",
        Then::Keep,
    );
    let own = gateway.get("acme", "/orders/1").await;
    assert_eq!(own.field("x-content-type-options"), Some("nosniff"), "it has one value");
    assert_eq!(own.field("x-frame-options"), None, "the backend speaks of frames itself");
    assert_eq!(own.field("referrer-policy"), Some("no-referrer"), "the backend's own wins");
    assert_eq!(own.field("cache-control"), Some("public"));
    let vary: Vec<_> = own.fields.get_all("vary").iter().collect();
    assert_eq!(vary, ["Accept", "authorization"], "what callers get is kept apart all the same");
    let public = gateway.send(gateway.request("GET", "acme", "/public/page")).await;
    assert_eq!(public.fields.get_all("vary").iter().collect::<Vec<_>>(), ["Accept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_browsers_are_told_can_be_set_and_what_cannot_work_is_said_at_load() {
    let settings = "response: { hsts: preload, hsts_max_age: 730d, content_type_options: none, frame_options: deny, \
                    referrer_policy: none, guarded_cache: no_store }\n";
    let gateway = Gateway::test().tls().settings(settings).start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let answer = gateway.send(gateway.secure("GET", "acme", "/orders/1").bearer_auth(token)).await;
    let hsts = answer.field("strict-transport-security");
    assert_eq!(hsts, Some("max-age=63072000; includeSubDomains; preload"));
    assert_eq!((answer.field("x-content-type-options"), answer.field("referrer-policy")), (None, None));
    assert_eq!((answer.field("x-frame-options"), answer.field("cache-control")), (Some("DENY"), Some("no-store")));

    let folder = tempfile::tempdir().unwrap();
    let wrong =
        "response: { hsts: preload, hsts_max_age: 1d, remove: [Content-Length, X-Cloister-A, \"a b\"], field: 1 }\n";
    std::fs::write(folder.path().join("cloister.yaml"), config_text(folder.path()) + wrong).unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    let (code, out, err) = run(&["check", "--config", "cloister.yaml", "--policies", "policies"], folder.path());
    assert_eq!(code, 2, "{out}{err}");
    for word in ["at least 365d", "`field`", "not for a policy to say", "only Cloister writes", "letters, digits"] {
        assert!(format!("{out}{err}").contains(word), "{word}: {out}{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_says_what_is_done_to_fields_and_cannot_touch_what_cloister_writes() {
    let route = "  - id: dressed
    match: { host: \"{tenant}.example.test\", path: \"/dressed\" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: \"order:read\" }
    request_headers: { set: { X-Channel: web }, remove: [Cookie, Accept] }
    response_headers: { set: { X-Frame-Options: DENY, Server: shop }, remove: [ETag, Referrer-Policy] }
";
    let backend = RawBackend::start().await;
    let policies = format!("{POLICIES}{route}");
    let gateway = Gateway::test().upstream(backend.address).policies(&policies).start().await;
    backend.plays("HTTP/1.1 200 OK\r\nServer: legacy/1.0\r\nETag: \"7\"\r\nContent-Length: 2\r\n\r\nok", Then::Keep);
    let token = gateway.token("acme", "ada", &["viewer"]);
    let request = gateway.request("GET", "acme", "/dressed").bearer_auth(token);
    let answer = gateway.send(request.header("x-channel", "forged").header("cookie", "a=1")).await;
    assert_eq!((answer.field("etag"), answer.field("referrer-policy")), (None, None));
    assert_eq!((answer.field("x-frame-options"), answer.field("server")), (Some("DENY"), Some("shop")));
    let seen = backend.requests().pop().unwrap();
    assert_eq!(seen.all("x-channel"), ["web"]);
    assert_eq!((seen.field("cookie"), seen.field("accept")), (None, None));
    assert_eq!(seen.field("x-tenant-id").as_deref(), Some("acme"));
}
