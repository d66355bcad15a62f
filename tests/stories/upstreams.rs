//! Where permitted requests go.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::harness::{Backend, Gateway};

const BY_TENANT: &str = r#"
tenants: { acme: { status: active }, globex: { status: active }, initech: { status: active } }
roles: { viewer: { allow: ["order:read"] } }
routes:
  - id: silo
    match: { host: "{tenant}.example.test", path: "/silo/**" }
    upstream: { by_tenant: { acme: backend, globex: other } }
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
  - id: mixed
    match: { host: "{tenant}.example.test", path: "/mixed/**" }
    upstream: { by_tenant: { globex: other }, otherwise: backend }
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
tests:
  - as: { tenant: globex, roles: [viewer] }
    do: GET http://globex.example.test/silo/1
    expect: { upstream: other }
"#;

fn audience(backend: &Backend) -> String {
    let seen = backend.last();
    let claims = seen.field("x-cloister-assertion").unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    claims["aud"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_reaches_its_own_upstream_and_the_record_and_the_assertion_name_it() {
    let other = Backend::start().await;
    let settings = format!("{{ addresses: [\"{}\"] }}", other.address);
    let gateway = Gateway::test().policies(BY_TENANT).beside("other", &settings).start().await;
    for (tenant, path, upstream) in [
        ("acme", "/silo/1", "backend"),
        ("globex", "/silo/1", "other"),
        ("globex", "/mixed/1", "other"),
        ("initech", "/mixed/1", "backend"),
    ] {
        let answer = gateway.get(tenant, path).await;
        assert_eq!(answer.status, 200, "{tenant} {path}");
        let backend = if upstream == "other" { &other } else { &gateway.backend };
        assert_eq!(backend.last().field("x-tenant-id"), Some(tenant), "{tenant} {path}");
        assert_eq!(audience(backend), upstream);
        let id = answer.request_id();
        assert_eq!(gateway.records(&["--id", &id]).of(&id)["upstream"], upstream);
    }
    assert!(other.seen().iter().all(|seen| seen.field("x-tenant-id") == Some("globex")));
    assert!(gateway.backend.seen().iter().all(|seen| seen.field("x-tenant-id") != Some("globex")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_an_upstream_is_refused_and_reaches_nobody_elses() {
    let other = Backend::start().await;
    let settings = format!("{{ addresses: [\"{}\"] }}", other.address);
    let gateway = Gateway::test().policies(BY_TENANT).beside("other", &settings).start().await;
    let answer = gateway.get("initech", "/silo/1").await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"));
    assert_eq!(gateway.reason(&answer), "tenant.unplaced");
    assert!(gateway.backend.seen().is_empty() && other.seen().is_empty());
}
