//! An issuer for each tenant, written down once.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{ADMIN_TOKEN, Gateway, POLICIES, claims};

const ISSUER: &str = r#"  realms:
    issuer: "https://idp.example/realms/{tenant}"
    audiences: [saas-api]
    algorithms: [ES256]
    jwks: { file: "FOLDER/{tenant}.json", refresh: 1s }
"#;

async fn start() -> Gateway {
    let policies = POLICIES.replace("issuers: [main]", "issuers: [main, realms]");
    Gateway::test().policies(&policies).issuer(ISSUER).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_realm_speaks_for_its_own_tenant_and_one_that_is_made_up_for_none() {
    let gateway = start().await;
    for tenant in ["acme", "mallory"] {
        std::fs::write(gateway.folder.path().join(format!("{tenant}.json")), gateway.issuer.jwks()).unwrap();
    }
    let token = |realm: &str, tenant: Option<&str>| {
        let mut claims = claims("", "ada", &["viewer"]);
        claims["iss"] = json!(format!("https://idp.example/realms/{realm}"));
        match tenant {
            Some(tenant) => claims["tenant_id"] = json!(tenant),
            None => drop(claims.as_object_mut().unwrap().remove("tenant_id")),
        }
        gateway.issuer.sign(&claims)
    };
    for (realm, claim, host, status, reason) in [
        ("acme", None, "acme", 200, "allowed"),
        ("acme", Some("acme"), "acme", 200, "allowed"),
        ("acme", None, "globex", 403, "tenant.mismatch"),
        ("acme", Some("globex"), "globex", 403, "tenant.issuer"),
        ("acme", Some("globex"), "acme", 403, "tenant.mismatch"),
        ("globex", None, "globex", 503, "auth.unavailable"), // nobody has its keys
        ("mallory", None, "mallory", 401, "auth.invalid.issuer"),
        ("mallory", Some("acme"), "acme", 401, "auth.invalid.issuer"),
        ("acme/../globex", None, "globex", 401, "auth.invalid.issuer"),
    ] {
        let asked = gateway.request("GET", host, "/orders/1").bearer_auth(token(realm, claim));
        let answer = gateway.send(asked).await;
        assert_eq!((answer.status, gateway.reason(&answer).as_str()), (status, reason), "{realm} {claim:?} {host}");
    }
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200, "the issuer beside it is what it was");
    let records = gateway.records(&[]);
    let issuers: BTreeSet<_> = records.all().iter().filter_map(|record| record["iss"].as_str()).collect();
    assert_eq!(issuers, ["main", "realms/acme"].into());
    assert_eq!(gateway.metric("cloister_issuer_tenants"), 2.0);
    assert_eq!(gateway.metric("cloister_issuer_tenants_without_keys"), 1.0);
    let (status, ready) = gateway.admin("/readyz");
    assert!(status == 200 && ready.contains("realms: 1 of 2 tenants have no keys"), "{ready}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_registered_later_has_its_realm_from_then_on() {
    let gateway = start().await;
    std::fs::write(gateway.folder.path().join("umbrella.json"), gateway.issuer.jwks()).unwrap();
    let mut claims = claims("umbrella", "ada", &["viewer"]);
    claims["iss"] = json!("https://idp.example/realms/umbrella");
    let token = gateway.issuer.sign(&claims);
    let ask = async || gateway.send(gateway.request("GET", "umbrella", "/orders/1").bearer_auth(&token)).await;
    assert_eq!(gateway.reason(&ask().await), "auth.invalid.issuer");
    let policies = POLICIES.replace("issuers: [main]", "issuers: [main, realms]");
    gateway.reload(&policies.replacen("tenants:\n", "tenants:\n  umbrella: { status: active }\n", 1));
    assert_eq!(ask().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_of_one_realm_touches_nobody_of_the_same_name_in_another() {
    let gateway = start().await;
    for tenant in ["acme", "globex"] {
        std::fs::write(gateway.folder.path().join(format!("{tenant}.json")), gateway.issuer.jwks()).unwrap();
    }
    let ask = async |tenant: &str| {
        let mut claims = claims(tenant, "ada", &["viewer"]);
        claims["iss"] = json!(format!("https://idp.example/realms/{tenant}"));
        let token = gateway.issuer.sign(&claims);
        gateway.send(gateway.request("GET", tenant, "/orders/1").bearer_auth(token)).await.status
    };
    let revoke = async |issuer: &str| {
        let asked = reqwest::Client::new().post(format!("http://{}/revocations", gateway.admin));
        let body = json!({ "issuer": issuer, "user": "ada" }).to_string();
        asked.bearer_auth(ADMIN_TOKEN).body(body).send().await.unwrap().status().as_u16()
    };
    assert_eq!((ask("acme").await, ask("globex").await), (200, 200));
    assert_eq!(revoke("realms/acme").await, 204);
    assert_eq!((ask("acme").await, ask("globex").await), (401, 200));
    assert_eq!(revoke("realms").await, 204);
    assert_eq!(ask("globex").await, 401, "whoever names them all means all");
}
