//! Two things at once of which each has a story of its own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::harness::{Gateway, POLICIES, Play, Recorder, TestAuthority, TlsBackend, TlsIdentity};

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_was_put_aside_leaves_nothing_behind_in_the_one_that_is_held() {
    let with = |status: &str, tenant: &str| {
        let body = format!(r#"{{"tenant":"{tenant}","of":"{tenant}"}}"#);
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    };
    let route = r#"  - id: json
    match: { host: "{tenant}.example.test", path: "/json" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { "*": "order:read" }
    echo: { json: /tenant }
"#;
    let (ok, no) = ("200 OK", "503 No");
    let answers = Arc::<Mutex<Vec<String>>>::default();
    let playing = Arc::clone(&answers);
    let backend = Recorder::playing(move |_| {
        let mut answers = playing.lock().unwrap();
        let next = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        vec![Play::Body, Play::bytes(&next), Play::Close]
    })
    .await;
    let setup = Gateway::test().policies(&format!("{POLICIES}{route}")).upstream(backend.address);
    let gateway = setup.defence("retries: { per_second: 1000, statuses: [503] }").start().await;
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"tenant\":\"globex\"".to_owned();
    for (what, plays, status, reason, echo, attempts) in [
        ("theirs, then ours", vec![with(no, "globex"), with(ok, "acme")], 200, "allowed", Some("match"), 2),
        ("ours, then theirs", vec![with(no, "acme"), with(ok, "globex")], 502, "tenant.leak", Some("differs"), 2),
        ("theirs to the end", vec![with(no, "globex")], 502, "tenant.leak", Some("differs"), 3),
        ("half of theirs, then ours", vec![half, with(ok, "acme")], 502, "upstream.unavailable", None, 1),
    ] {
        *answers.lock().unwrap() = plays;
        let answer = gateway.get("acme", "/json").await;
        let id = answer.request_id();
        assert_eq!(answer.status, status, "{what}");
        assert!(!answer.text().contains("globex"), "{what}: {}", answer.text());
        let records = gateway.records(&["--id", &id]);
        let record = records.of(&id);
        assert_eq!((record["reason"].as_str(), record["echo"].as_str()), (Some(reason), echo), "{what}: {record}");
        assert_eq!(record["attempts"], attempts, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_shows_no_certificate_and_is_answered_only_where_none_is_demanded_to_connect() {
    let partners = TestAuthority::new("partners");
    let policy = r#"
tenants: { acme: { status: active }, globex: { status: active } }
roles: { viewer: { allow: ["order:read"] } }
services: { feed: { authority: partners, san: feed.partner.test, tenant: globex, roles: [viewer] } }
routes:
  - id: feed
    match: { host: "{tenant}.example.test", path: "/feed" }
    upstream: backend
    auth: { authorities: [partners], tenant_from: [certificate, host] }
    allow: { GET: "order:read" }
    cors: { origins: ["https://app.example.com"], credentials: true }
"#;
    let gateway = Gateway::test()
        .policies(policy)
        .tls_with(
            "client_certificates: { mode: optional, authorities: [partners] }, \
             hosts: { strict.example.test: { client_certificates: { mode: required, authorities: [partners] } } }",
        )
        .more(&format!("authorities:\n  partners: {{ ca: {}, tenants: [globex] }}\n", partners.file().display()))
        .start()
        .await;
    let (address, root) = (gateway.tls_address.unwrap(), gateway.folder.path().join("tls.pem"));
    let (nobody, feed) = (TlsIdentity::nobody(&[&root]), partners.client(&root, &[], &["feed.partner.test"]));
    let (globex, strict) = ("globex.example.test", "strict.example.test");
    let asks = "Origin: https://app.example.com\r\nAccess-Control-Request-Method: GET\r\n";
    // Who, for which name it shakes hands, what it asks for, and what it is told: nothing where the handshake fails.
    for (client, name, line, host, status) in [
        (&nobody, globex, "OPTIONS /feed", globex, Some(204)),
        (&feed, globex, "OPTIONS /feed", globex, Some(204)),
        (&nobody, globex, "GET /feed", globex, Some(403)),
        (&feed, globex, "GET /feed", globex, Some(200)),
        (&nobody, strict, "OPTIONS /feed", strict, None),
        (&nobody, strict, "OPTIONS /feed", globex, None),
        (&nobody, globex, "OPTIONS /feed", strict, Some(421)), // nor by another name
    ] {
        let came = match client.connect(address, name).await {
            Ok(mut connection) => connection.status(line, host, asks).await,
            Err(_) => None,
        };
        assert_eq!(came, status, "{line} of {host} by {name}");
    }
    assert_eq!(gateway.backend.seen().len(), 1, "no preflight gets to the backend");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_reach_the_upstream_of_their_tenant_over_connections_of_its_own() {
    let partners = TestAuthority::new("partners");
    let policy = r#"
tenants: { acme: { status: active }, globex: { status: active } }
roles: { viewer: { allow: ["order:read"] } }
services:
  billing: { authority: partners, san: billing.partner.test, tenant: acme, roles: [viewer] }
  feed: { authority: partners, san: feed.partner.test, tenant: globex, roles: [viewer] }
routes:
  - id: own
    match: { host: "{tenant}.example.test", path: "/own" }
    upstream: { by_tenant: { acme: first }, otherwise: second }
    auth: { authorities: [partners], tenant_from: [certificate, host] }
    allow: { GET: "order:read" }
  - id: common
    match: { host: "{tenant}.example.test", path: "/common" }
    upstream: second
    auth: { authorities: [partners], tenant_from: [certificate, host] }
    allow: { GET: "order:read" }
  - id: people
    match: { host: "{tenant}.example.test", path: "/people" }
    upstream: { by_tenant: { acme: first }, otherwise: second }
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
"#;
    let (first, second) = (TlsBackend::plain().await, TlsBackend::plain().await);
    let pool = |backend: &TlsBackend| format!("{{ addresses: [\"{}\"], pool: per_tenant }}", backend.address);
    let gateway = Gateway::test()
        .policies(policy)
        .beside("first", &pool(&first))
        .beside("second", &pool(&second))
        .tls_with("client_certificates: { mode: optional, authorities: [partners] }")
        .more(&format!("authorities:\n  partners: {{ ca: {}, tenants: [acme, globex] }}\n", partners.file().display()))
        .start()
        .await;
    let (address, root) = (gateway.tls_address.unwrap(), gateway.folder.path().join("tls.pem"));
    for _ in 0..3 {
        for (service, tenant) in [("billing.partner.test", "acme"), ("feed.partner.test", "globex")] {
            let host = format!("{tenant}.example.test");
            let client = partners.client(&root, &[], &[service]);
            let mut connection = client.connect(address, &host).await.unwrap();
            let bearer = format!("Authorization: Bearer {}\r\n", gateway.token(tenant, "ada", &["viewer"]));
            for (path, fields) in [("/own", ""), ("/common", ""), ("/people", &bearer)] {
                assert_eq!(
                    connection.status(&format!("GET {path}"), &host, fields).await,
                    Some(200),
                    "{tenant} {path}"
                );
            }
        }
    }
    assert!(first.came().iter().all(|came| came.tenant.as_deref() == Some("acme")), "{:?}", first.came());
    assert_eq!((first.of("acme").len(), second.of("acme").len(), second.of("globex").len()), (6, 3, 9));
    let connections = |tenant| second.of(tenant).into_iter().map(|came| came.connection).collect::<BTreeSet<_>>();
    assert!(connections("acme").is_disjoint(&connections("globex")), "{:?}", second.came());
}
