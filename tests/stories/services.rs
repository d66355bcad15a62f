//! Services prove themselves by a certificate.

use crate::harness::{Gateway, TestAuthority, TlsIdentity};

const POLICY: &str = r#"
tenants: { acme: { status: active }, globex: { status: active } }
roles: { viewer: { allow: ["order:read"] } }
services:
  billing: { authority: partners, san: "spiffe://mesh/billing", tenant: acme, roles: [viewer] }
  feed: { authority: partners, san: feed.partner.test, tenant: globex, roles: [viewer] }
routes:
  - id: feed
    match: { host: "{tenant}.example.test", path: "/feed" }
    upstream: backend
    auth: { authorities: [partners], tenant_from: [certificate, host] }
    allow: { GET: "order:read" }
  - id: orders
    match: { host: "{tenant}.example.test", path: "/orders" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
  - id: public
    match: { host: "*", path: "/public" }
    upstream: backend
    auth: none
tests:
  - { as: { service: billing }, do: GET https://acme.example.test/feed, expect: { allow: viewer } }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_proves_who_asks_goes_to_no_backend_whatever_the_route() {
    let more = r#"  - id: keys
    match: { host: "{tenant}.example.test", path: "/keys" }
    upstream: backend
    auth: { issuers: [main], api_keys: true, tenant_from: [token, host] }
    allow: { GET: "order:read" }
  - id: covered
    match: { host: "{tenant}.example.test", path: "/covered" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
    body_digest: 1KiB
"#;
    let partners = TestAuthority::new("partners");
    let gateway = Gateway::test()
        .policies(&POLICY.replace("tests:\n", &format!("{more}tests:\n")))
        .tls_with("client_certificates: { mode: optional, authorities: [partners] }")
        .more(&format!("authorities:\n  partners: {{ ca: {}, tenants: [acme, globex] }}\n", partners.file().display()))
        .environment("BACKEND_KEY", "a key of its own, fedcba9876543210")
        .defence("assertion: { binding: reuse, key: \"${env:BACKEND_KEY}\" }")
        .start()
        .await;
    let (address, root) = (gateway.tls_address.unwrap(), gateway.folder.path().join("tls.pem"));
    let billing = partners.client(&root, &["spiffe://mesh/billing"], &[]);
    let token = gateway.token("acme", "ada", &["viewer"]);
    for (path, shown) in [
        ("/orders", format!("Bearer {token}")),
        ("/keys", format!("bearer {token}")),
        ("/covered", format!("Bearer {token}")),
        ("/feed", format!("Bearer {token}")),
        ("/public", format!("Bearer {token}")),
        ("/public", format!("BEARER  {token}")),
        ("/public", format!("DPoP {token}")),
        ("/public", "Bearer".into()),
    ] {
        let fields = format!("Authorization: {shown}\r\nDPoP: a.b.c\r\n");
        let mut client = billing.connect(address, "acme.example.test").await.unwrap();
        assert_eq!(client.status(&format!("GET {path}"), "acme.example.test", &fields).await, Some(200), "{path}");
        let seen = gateway.backend.last();
        assert_eq!((seen.field("authorization"), seen.field("dpop")), (None, None), "{path} {shown}");
        assert!(!format!("{seen:?}").contains(&token), "{path} {shown}");
    }
    // What is no token is between the client and the backend, where nobody else asks.
    let mut client = billing.connect(address, "acme.example.test").await.unwrap();
    let status = client.status("GET /public", "acme.example.test", "Authorization: Basic YTpi\r\n").await;
    assert_eq!((status, gateway.backend.last().field("authorization")), (Some(200), Some("Basic YTpi")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_acts_for_its_tenant_with_its_roles_and_is_on_record_by_its_name() {
    let partners = TestAuthority::new("partners");
    let gateway = Gateway::test()
        .policies(POLICY)
        .tls_with("client_certificates: { mode: optional, authorities: [partners] }")
        .more(&format!("authorities:\n  partners: {{ ca: {}, tenants: [acme, globex] }}\n", partners.file().display()))
        .start()
        .await;
    let (address, root) = (gateway.tls_address.unwrap(), gateway.folder.path().join("tls.pem"));
    let nobody = TlsIdentity::nobody(&[&root]);
    let billing = partners.client(&root, &["spiffe://mesh/billing"], &["ignored.test"]);
    let feed = partners.client(&root, &[], &["feed.partner.test"]);
    let stranger = partners.client(&root, &["spiffe://mesh/Billing"], &[]);
    let both = partners.client(&root, &["spiffe://mesh/billing"], &["feed.partner.test"]);
    let (acme, globex) = ("acme.example.test", "globex.example.test");
    for (who, client, line, host, token, status, reason) in [
        ("billing", &billing, "GET /feed", acme, None, 200, "allowed"),
        ("billing", &billing, "POST /feed", acme, None, 403, "policy.denied"),
        ("billing", &billing, "GET /feed", globex, None, 403, "tenant.mismatch"),
        ("feed", &feed, "GET /feed", globex, None, 200, "allowed"),
        ("feed", &feed, "GET /feed", acme, None, 403, "tenant.mismatch"),
        ("stranger", &stranger, "GET /feed", acme, None, 403, "auth.invalid.service"),
        ("both", &both, "GET /feed", acme, None, 403, "auth.invalid.service"),
        ("nobody", &nobody, "GET /feed", acme, None, 403, "auth.invalid.service"),
        ("nobody", &nobody, "GET /feed", acme, Some("acme"), 403, "auth.invalid.service"), // a token is no certificate
        ("billing", &billing, "GET /orders", acme, None, 401, "auth.missing"), // and a certificate is no token
        ("billing", &billing, "GET /orders", acme, Some("acme"), 200, "allowed"),
        ("billing", &billing, "GET /orders", globex, Some("globex"), 403, "tenant.mismatch"),
        ("stranger", &stranger, "GET /orders", globex, Some("globex"), 200, "allowed"),
        ("nobody", &nobody, "GET /orders", globex, Some("globex"), 200, "allowed"),
        ("billing", &billing, "GET /public", globex, None, 200, "allowed"), // names no tenant
    ] {
        let token = token.map(|tenant| gateway.token(tenant, "ada", &["viewer"]));
        let token = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        let mut client = client.connect(address, host).await.unwrap();
        let head = client.request(line, host, &token).await.unwrap();
        assert_eq!(head.split(' ').nth(1), Some(status.to_string().as_str()), "{who} {line} {host}: {head}");
        let id =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-request-id: ").map(str::to_owned));
        let id = id.unwrap();
        let records = gateway.records(&["--id", &id]);
        assert_eq!(records.of(&id)["reason"], reason, "{who} {line} {host}");
        if (who, line, status) == ("billing", "GET /feed", 200) {
            assert_eq!(records.of(&id)["iss"], "partners");
            assert_eq!(records.of(&id)["tenant"], "acme");
            let seen = gateway.backend.last();
            assert_eq!(seen.field("x-tenant-id"), Some("acme"));
            assert_eq!(seen.field("x-user-id"), Some("billing"));
            assert_eq!(seen.field("x-roles"), Some("viewer"));
            assert!(seen.field("x-cloister-assertion").is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_says_about_its_certificate_never_reaches_the_backend() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let forged =
        ["Client-Cert", "Client-Cert-Chain", "X-Forwarded-Client-Cert", "X-Client-Cert", "X-SSL-Client-Verify"];
    let mut request = gateway.request("GET", "acme", "/orders/1").bearer_auth(token);
    for name in forged {
        request = request.header(name, "Hash=00;URI=spiffe://mesh/billing").header(name.to_uppercase(), "SUCCESS");
    }
    assert_eq!(gateway.send(request).await.status, 200);
    let seen = gateway.backend.last();
    for name in forged {
        assert_eq!(seen.field(&name.to_lowercase()), None, "{name}");
    }
}
