//! Fields by which a client would be somebody else: none of them arrives, and those that Cloister writes arrive once.
//!
//! A row is fields of a request by ada of acme, divided by `|`; what stands behind ` » ` comes as trailers. No value with
//! `forged` in it may reach the backend, in whatever field.

use base64::Engine as _;
use serde_json::Value;

use super::arena::{Arena, Attack, Outcome, Sent};
use super::expect::assert_none;
use super::http2::{DATA, END_HEADERS, END_STREAM, HEADERS, block, frame};
use super::smuggling1::UPGRADE;
use crate::harness::{Gateway, POLICIES, Recorded};

use Fate::{Passes, Refused};

#[derive(Clone, Copy, Debug)]
enum Fate {
    /// The request reaches the backend, as ada's of acme.
    Passes,
    /// It does not, and the log has `request.malformed.` and this.
    Refused(&'static str),
}

const TABLE: &[(&str, Fate)] = &[
    // each field that is ours, in its spellings
    ("X-Tenant-Id: forged", Passes),
    ("x-tenant-id: forged", Passes),
    ("X-TENANT-ID: forged", Passes),
    ("x-TENANT-id: forged", Passes),
    ("X-Tenant-Id:forged", Passes),
    ("X-Tenant-Id:\tforged\t", Passes),
    ("X-Tenant-Id:   forged   ", Passes),
    ("X-Tenant-Id:", Passes),
    ("X-Tenant-Id: forged|X-Tenant-Id: forged", Passes),
    ("X-Tenant-Id: forged|x-tenant-id: forged|X-TENANT-ID: forged", Passes),
    ("X-Tenant-Id: acme, forged", Passes),
    ("X-Tenant: forged", Passes),
    ("X-Tenant-Name: forged", Passes),
    ("X-TenantId: forged", Passes),
    ("XTenantId: forged", Passes),
    ("X--Tenant--Id: forged", Passes),
    ("X-Tenant-Id-: forged", Passes),
    ("-X-Tenant-Id: forged", Passes),
    ("X-User: forged", Passes),
    ("X-User-Id: forged", Passes),
    ("X-USERID: forged", Passes),
    ("X-Role: forged", Passes),
    ("X-Roles: forged", Passes),
    ("X-Roles: forged|X-Roles: clerk", Passes),
    ("X-Cloister-Assertion: forged", Passes),
    ("X-Cloister-Assertion: forged|X-CLOISTER-ASSERTION: forged", Passes),
    ("X-Cloister-Anything: forged", Passes),
    ("XCloister: forged", Passes),
    ("Signature: forged=:AA==:", Passes),
    ("Signature-Input: forged=()", Passes),
    ("SignatureInput: forged=()", Passes),
    ("X-Request-Id: forged", Passes),
    ("traceparent: forged", Passes),
    ("traceparent: 00-forgedforgedforgedforgedforged00-forgedforged0000-01", Passes),
    // signs between the letters that servers of CGI turn into the same
    ("X_Tenant_Id: forged", Refused("field")),
    ("X-Tenant_Id: forged", Refused("field")),
    ("X_Cloister_Assertion: forged", Refused("field")),
    ("X.Tenant.Id: forged", Refused("field")),
    ("X~Tenant~Id: forged", Refused("field")),
    ("X'Tenant'Id: forged", Refused("field")),
    ("X!Tenant!Id: forged", Refused("field")),
    ("X_Forwarded_For: forged", Refused("field")),
    ("X_HTTP_METHOD_OVERRIDE: forged", Refused("field")),
    ("HTTP_X_TENANT_ID: forged", Refused("field")),
    // names that are not quite names
    ("X-Tenant-Id : forged", Refused("unparsed")),
    ("X-Tenant-Id\t: forged", Refused("unparsed")),
    (" X-Tenant-Id: forged", Refused("unparsed")),
    ("X-Own: harmless|\tX-Tenant-Id: forged", Refused("unparsed")),
    ("X-Tenant-Id\0: forged", Refused("unparsed")),
    ("X-Tenant-Id\u{a0}: forged", Refused("unparsed")),
    ("X Tenant Id: forged", Refused("unparsed")),
    ("X-Tenant-Id: forged\0", Refused("unparsed")),
    ("X-Own: harmless\rX-Tenant-Id: forged", Refused("unparsed")),
    ("X-Own: harmless\nX-Tenant-Id: forged", Refused("framing")),
    // where the client is, and what it asked for
    ("X-Forwarded-For: forged", Passes),
    ("X-Forwarded-For: forged|X-Forwarded-For: forged", Passes),
    ("X-Forwarded-Host: forged.example.test", Passes),
    ("X-Forwarded-Proto: forged", Passes),
    ("X-Forwarded-Port: forged", Passes),
    ("X-Forwarded-Prefix: /forged", Passes),
    ("X-Forwarded-Server: forged", Passes),
    ("X-Forwarded-Uri: /forged", Passes),
    ("X-Forwarded-Method: forged", Passes),
    ("X-Forwarded-User: forged", Passes),
    ("X-Forwarded-Email: forged", Passes),
    ("X-Forwarded-Groups: forged", Passes),
    ("X-Forwarded-Access-Token: forged", Passes),
    ("X-Forwarded-Client-Cert: forged", Passes),
    ("X-Forwarded: for=forged", Passes),
    ("Forwarded: for=forged;host=forged;proto=forged", Passes),
    ("X-Real-IP: forged", Passes),
    ("X-Client-IP: forged", Passes),
    ("True-Client-IP: forged", Passes),
    ("CF-Connecting-IP: forged", Passes),
    ("X-Cluster-Client-IP: forged", Passes),
    ("X-Originating-IP: forged", Passes),
    ("X-Host: forged.example.test", Passes),
    ("X-Original-Host: forged.example.test", Passes),
    ("X-HTTP-Host-Override: forged.example.test", Passes),
    ("X-HTTP-Method-Override: forged", Refused("field")),
    ("x-http-method: forged", Refused("field")),
    ("X-Method-Override: forged", Refused("field")),
    ("X-Original-URL: /forged", Refused("field")),
    ("X-Rewrite-URL: /forged", Refused("field")),
    // who other proxies would say that it is
    ("Client-Cert: :forged:", Passes),
    ("Client-Cert-Chain: :forged:", Passes),
    ("X-Client-Cert: forged", Passes),
    ("X-Client-Certificate: forged", Passes),
    ("SSL-Client-Cert: forged", Passes),
    ("SSL-Client-Verify: forged", Passes),
    ("X-SSL-Client-S-DN: forged", Passes),
    ("X-SSL-Client-Verify: forged", Passes),
    ("X-ARR-ClientCert: forged", Passes),
    ("X-Amzn-Mtls-Clientcert: forged", Passes),
    ("X-Amzn-Oidc-Identity: forged", Passes),
    ("X-Auth-Request-User: forged", Passes),
    ("X-Remote-User: forged", Passes),
    ("Remote-User: forged", Passes),
    ("Remote-Groups: forged", Passes),
    ("X-Authenticated-User: forged", Passes),
    ("X-WebAuth-User: forged", Passes),
    // credentials
    ("Authorization: Bearer forged", Refused("duplicate_field")),
    ("AUTHORIZATION: Basic forged", Refused("duplicate_field")),
    ("Authorization : Bearer forged", Refused("unparsed")),
    ("Proxy-Authorization: Basic forged", Passes),
    ("Cookie: X-Tenant-Id=harmless; X-User-Id=harmless", Passes),
    ("Cookie: a=harmless|Cookie: X-Tenant-Id=harmless", Passes),
    // fields of the connection, and fields nominated away
    ("Keep-Alive: forged", Passes),
    ("Proxy-Connection: forged", Passes),
    ("Trailer: forged", Passes),
    ("TE: forged", Passes),
    ("Connection: X-Tenant-Id", Passes),
    ("Connection: x-tenant-id, X-User-Id, X-Roles", Passes),
    ("Connection: X-Cloister-Assertion", Passes),
    ("Connection: Signature, Signature-Input", Passes),
    ("Connection: X-Request-Id, traceparent", Passes),
    ("Connection: close, X-Tenant-Id", Passes),
    ("Connection: X-Tenant-Id|Connection: X-Cloister-Assertion", Passes),
    ("Connection: X-Tenant-Id|X-Tenant-Id: forged", Passes),
    ("Connection: X-Own|X-Own: forged", Passes),
    ("Connection: Authorization", Refused("field")),
    ("Connection: Host", Refused("field")),
    ("Connection: Cookie", Refused("field")),
    ("Connection: X_Tenant_Id", Refused("field")),
    ("Connection: Connection", Refused("field")),
    // trailers
    ("X-Own: harmless » X-Tenant-Id: forged", Passes),
    ("X-Own: harmless » X-Cloister-Assertion: forged|X-User-Id: forged|X-Roles: forged", Passes),
    ("X-Own: harmless » Authorization: Bearer forged", Passes),
    ("X-Own: harmless » X-Forwarded-For: forged|Host: forged.example.test", Passes),
    ("X-Own: harmless » X_Tenant_Id: forged", Passes),
    ("Trailer: X-Tenant-Id » X-Tenant-Id: forged", Passes),
    // much
    ("{90}|X-Tenant-Id: forged", Passes),
    ("X-Tenant-{5000}: forged", Passes),
    ("X-Own: {40000}|X-Tenant-Id: forged", Refused("head_too_large")),
];

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_somebody_else_by_a_field() {
    is_somebody_else(Arena::open(Gateway::test()).await).await;
}

/// What a backend of HTTP/1 cannot be told, this one might be.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_somebody_else_by_a_field_to_a_backend_of_http_2() {
    is_somebody_else(open_h2c().await).await;
}

async fn open_h2c() -> Arena {
    Arena::open_h2c(Gateway::test().policies(&POLICIES.replace("    upgrade: websocket\n", ""))).await
}

async fn is_somebody_else(arena: Arena) {
    let token = arena.gateway.token("acme", "ada", &["clerk"]);
    let attack = |(text, _): &(&str, Fate)| Attack {
        name: (*text).into(),
        sent: Sent::Http1(request("GET", "/orders/1", "HTTP/1.1", text, &token)),
    };
    let attacks: Vec<_> = TABLE.iter().map(attack).collect();
    let outcomes = arena.run(&attacks).await;
    assert_none(
        TABLE
            .iter()
            .zip(&outcomes)
            .filter_map(|((_, fate), outcome)| complaint(outcome, *fate).or_else(|| forgery(outcome, true))),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_shape_of_a_request_makes_somebody_else_of_anybody() {
    makes_somebody_else(Arena::open(Gateway::test()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_shape_of_a_request_makes_somebody_else_of_anybody_to_a_backend_of_http_2() {
    makes_somebody_else(open_h2c().await).await;
}

async fn makes_somebody_else(arena: Arena) {
    let token = arena.gateway.token("acme", "ada", &["clerk"]);
    let mut attacks = Vec::new();
    let mut guarded = Vec::new();
    let mut fates = Vec::new();
    for (text, fate) in TABLE {
        let mut add = |shape: &str, known: bool, sent| {
            attacks.push(Attack { name: format!("{text}, as {shape}"), sent });
            guarded.push(known);
            fates.push(*fate);
        };
        for method in ["HEAD", "OPTIONS", "POST"] {
            add(method, true, Sent::Http1(request(method, "/orders/1", "HTTP/1.1", text, &token)));
        }
        add("HTTP/1.0", true, Sent::Http1(request("GET", "/orders/1", "HTTP/1.0", text, &token)));
        let upgrade = format!("{}|{text}", UPGRADE.trim_end().replace("\r\n", "|"));
        add("an upgrade", true, Sent::Http1(request("GET", "/socket", "HTTP/1.1", &upgrade, &token)));
        add("nobody", false, Sent::Http1(request("GET", "/public/1", "HTTP/1.1", text, "")));
        for (method, path, token) in
            [("GET", "/orders/1", &*token), ("OPTIONS", "/orders/1", &token), ("GET", "/public/1", "")]
        {
            add(
                &format!("{method} {path} of HTTP/2"),
                !token.is_empty(),
                Sent::Http2(stream(method, path, text, token)),
            );
        }
    }
    let outcomes = arena.run(&attacks).await;
    assert_none(outcomes.iter().zip(guarded).zip(fates).filter_map(|((outcome, guarded), fate)| {
        if !guarded && outcome.name.to_ascii_lowercase().starts_with("authorization: ") {
            return None; // nobody looks at it there, so it is the backend's
        }
        let lax = matches!(fate, Refused(_)) && !outcome.arrived.is_empty();
        lax.then(|| format!("{}: refused in another shape, but this arrived: {:?}", outcome.name, outcome.arrived[0]))
            .or_else(|| forgery(outcome, guarded))
    }));
}

fn lines(text: &str) -> impl Iterator<Item = String> {
    text.split('|').flat_map(|line| match line {
        "{90}" => (0..90).map(|number| format!("X-Own-{number}: harmless")).collect(),
        line => vec![line.replace("{5000}", &"a".repeat(5000)).replace("{40000}", &"a".repeat(40_000))],
    })
}

fn request(method: &str, path: &str, version: &str, text: &str, token: &str) -> Vec<u8> {
    let (fields, trailers) = text.split_once(" » ").map_or((text, None), |(fields, trailers)| (fields, Some(trailers)));
    let mut request = format!("{method} {path} {version}\r\nHost: acme.example.test\r\n");
    if !token.is_empty() {
        request.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    for line in lines(fields) {
        request.push_str(&format!("{line}\r\n"));
    }
    match trailers {
        None => request.push_str("\r\n"),
        Some(trailers) => {
            request.push_str("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n");
            request.extend(lines(trailers).map(|line| format!("{line}\r\n")));
            request.push_str("\r\n");
        }
    }
    request.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
}

fn stream(method: &str, path: &str, text: &str, token: &str) -> Vec<u8> {
    let (fields, trailers) = text.split_once(" » ").map_or((text, None), |(fields, trailers)| (fields, Some(trailers)));
    let bytes = |text: &str| text.chars().map(|character| character as u8).collect::<Vec<_>>();
    let field = |line: String| {
        let (name, value) = line.split_once(':').expect("a line is a field");
        (bytes(&name.to_ascii_lowercase()), bytes(value.strip_prefix(' ').unwrap_or(value)))
    };
    let pseudo = [(":method", method), (":scheme", "https"), (":path", path), (":authority", "acme.example.test")];
    let mut head: Vec<_> = pseudo.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
    if !token.is_empty() {
        head.push((bytes("authorization"), bytes(&format!("Bearer {token}"))));
    }
    head.extend(lines(fields).map(field));
    let block_of_head = block(&head);
    let mut frames = Vec::new();
    // Larger than a frame may be: in pieces.
    let mut pieces = block_of_head.chunks(16_000).peekable();
    let end_stream = if trailers.is_none() { END_STREAM } else { 0 };
    let (mut kind, mut flags) = (HEADERS, end_stream);
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        frames.extend(frame(kind, flags | last, 1, piece));
        (kind, flags) = (super::http2::CONTINUATION, 0);
    }
    if let Some(trailers) = trailers {
        let trailers: Vec<_> = lines(trailers).map(field).collect();
        frames.extend(frame(DATA, 0, 1, b"abc"));
        frames.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&trailers)));
    }
    frames
}

fn complaint(outcome: &Outcome, fate: Fate) -> Option<String> {
    let so = match fate {
        Passes => outcome.arrived.len() == 1 && outcome.reasons() == ["allowed"],
        Refused(reason) => outcome.arrived.is_empty() && outcome.reasons() == [format!("request.malformed.{reason}")],
    };
    (!so).then(|| {
        let arrived = outcome.arrived.len();
        format!("{}: expected {fate:?}, but {arrived} arrived and the log says {:?}", outcome.name, outcome.reasons())
    })
}

/// What is wrong with whom the backend takes the client for.
fn forgery(outcome: &Outcome, guarded: bool) -> Option<String> {
    let wrong = |request: &Recorded| {
        let forged = request.fields.iter().find(|(_, value)| String::from_utf8_lossy(value).contains("forged"));
        if let Some((name, _)) = forged {
            return Some(format!("`{name}` arrived"));
        }
        let ours = |name: &str| request.all(name);
        let wanted: &[(&str, &[&str])] = &[
            ("x-tenant-id", if guarded { &["acme"] } else { &[] }),
            ("x-user-id", if guarded { &["ada"] } else { &[] }),
            ("x-roles", if guarded { &["clerk"] } else { &[] }),
            ("x-forwarded-host", &["acme.example.test"]),
            ("host", &["acme.example.test"]),
        ];
        for (name, values) in wanted {
            if ours(name) != *values {
                return Some(format!("`{name}` is {:?}", ours(name)));
            }
        }
        for name in ["x-forwarded-for", "x-forwarded-proto", "x-request-id", "traceparent"] {
            if ours(name).len() != 1 {
                return Some(format!("`{name}` is {:?}", ours(name)));
            }
        }
        let assertions = ours("x-cloister-assertion");
        let who = assertions.iter().map(|assertion| claims(assertion)).collect::<Vec<_>>();
        let known = who.iter().all(|who| who["tenant"] == "acme" && who["sub"] == "ada");
        (who.len() != usize::from(guarded) || !known).then(|| format!("the assertions say {who:?}"))
    };
    let wrong = outcome.arrived.iter().find_map(wrong)?;
    Some(format!("{}: {wrong}", outcome.name))
}

fn claims(assertion: &str) -> Value {
    let payload = assertion.split('.').nth(1).expect("a JWT has three parts");
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64");
    serde_json::from_slice(&payload).expect("claims are JSON")
}
