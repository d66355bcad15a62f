//! Some routes and some tenants want to be surer of who asks, and tell how.

use serde_json::{Value, json};

use crate::harness::{Answer, Gateway, claims, now};

const POLICY: &str = r#"
tenants:
  acme: { status: active }
  globex: { status: active, mfa: { amr: [mfa, hwk], acr: [gold] }, session_max: 1h }
roles: { viewer: { allow: ["order:read"] } }
routes:
  - id: orders
    match: { host: "{tenant}.example.test", path: "/orders/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
  - id: sure
    match: { host: "{tenant}.example.test", path: "/sure" }
    upstream: backend
    auth:
      issuers: [main]
      tenant_from: [token, host]
      acr: [gold, platinum]
      amr: { any: [otp, hwk], all: [pwd] }
      max_age: 10m
    allow: { GET: "order:read" }
  - id: fresh
    match: { host: "{tenant}.example.test", path: "/fresh" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host], max_age: 2s }
    allow: { GET: "order:read" }
"#;

async fn ask(gateway: &Gateway, tenant: &str, path: &str, said: &Value) -> (Answer, String) {
    let mut claims = claims(tenant, "ada", &["viewer"]);
    claims.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
    let token = gateway.issuer.sign(&claims);
    let answer = gateway.send(gateway.request("GET", tenant, path).bearer_auth(token)).await;
    let reason = gateway.reason(&answer);
    (answer, reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_want_to_be_surer_of_its_users_and_says_how() {
    let gateway = Gateway::test().policies(POLICY).start().await;
    let good = json!({ "acr": "gold", "amr": ["pwd", "otp"], "auth_time": now() });
    assert_eq!(ask(&gateway, "acme", "/sure", &good).await.0.status, 200);
    let told = "Bearer error=\"insufficient_user_authentication\", acr_values=\"gold platinum\", max_age=\"600\"";
    for (claim, value, reason) in [
        ("acr", json!("silver"), "auth.insufficient.acr"),
        ("amr", json!(["pwd"]), "auth.insufficient.amr"),
        ("amr", json!(["otp", "hwk"]), "auth.insufficient.amr"),
        ("auth_time", json!(now() - 700), "auth.insufficient.age"),
        ("auth_time", json!(now() + 3_600), "auth.insufficient.age"),
    ] {
        let mut said = good.clone();
        said[claim] = value;
        let (answer, told_us) = ask(&gateway, "acme", "/sure", &said).await;
        assert_eq!((answer.status, told_us.as_str()), (401, reason), "{said}");
        assert_eq!(answer.field("www-authenticate"), Some(told), "{said}");
        assert_eq!(answer.code(), "insufficient_user_authentication");
        assert_eq!(ask(&gateway, "acme", "/orders/1", &said).await.0.status, 200, "the token is good all the same");
    }
    let (answer, reason) = ask(&gateway, "acme", "/sure", &json!({})).await;
    assert_eq!((answer.status, reason.as_str()), (401, "auth.insufficient.acr"), "what is not said is not so");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lately_is_not_lately_for_ever_however_well_the_token_is_known() {
    let gateway = Gateway::test().policies(POLICY).start().await;
    let mut claims = claims("acme", "ada", &["viewer"]);
    claims["auth_time"] = json!(now());
    let token = gateway.issuer.sign(&claims);
    let ask = || gateway.send(gateway.request("GET", "acme", "/fresh").bearer_auth(&token));
    assert_eq!(ask().await.status, 200);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let answer = loop {
        let answer = ask().await;
        if answer.status != 200 {
            break answer;
        }
        assert!(std::time::Instant::now() < deadline, "it never gets old");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!((answer.status, gateway.reason(&answer).as_str()), (401, "auth.insufficient.age"));
    assert!(answer.field("www-authenticate").unwrap().ends_with("max_age=\"2\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_may_want_more_than_one_factor_and_short_sessions_on_every_route() {
    let gateway = Gateway::test().policies(POLICY).start().await;
    for (said, expected) in [
        (json!({ "amr": ["pwd", "mfa"] }), "allowed"),
        (json!({ "amr": ["hwk"], "auth_time": now() - 3_000 }), "allowed"),
        (json!({ "acr": "gold" }), "allowed"),
        (json!({ "acr": "mfa" }), "auth.insufficient.mfa"),
        (json!({ "amr": ["pwd"] }), "auth.insufficient.mfa"),
        (json!({}), "auth.insufficient.mfa"),
        (json!({ "amr": ["mfa"], "auth_time": now() - 3_700 }), "auth.insufficient.session"),
        (json!({ "amr": ["mfa"], "iat": now() - 3_700 }), "auth.insufficient.session"),
        (json!({ "amr": ["mfa"], "iat": null }), "auth.invalid.claims"),
    ] {
        let (answer, reason) = ask(&gateway, "globex", "/orders/1", &said).await;
        assert_eq!(reason, expected, "{said}");
        if reason == "auth.insufficient.mfa" {
            let told = "Bearer error=\"insufficient_user_authentication\", acr_values=\"gold\", max_age=\"3600\"";
            assert_eq!(answer.field("www-authenticate"), Some(told));
        }
        assert_eq!(
            ask(&gateway, "acme", "/orders/1", &said).await.0.status == 200,
            !reason.starts_with("auth.invalid")
        );
    }
    // A change of the tenant's mind is in force at once.
    gateway.reload(&POLICY.replace("acme: { status: active }", "acme: { status: active, mfa: required }"));
    assert_eq!(ask(&gateway, "acme", "/orders/1", &json!({ "acr": "gold" })).await.1, "auth.insufficient.mfa");
    assert_eq!(ask(&gateway, "acme", "/orders/1", &json!({ "amr": ["mfa"] })).await.0.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_tenant_is_told_as_one_that_never_was() {
    let policies = POLICY.replace("globex: {", "hooli: { status: closed }\n  globex: {");
    let gateway = Gateway::test().policies(&policies).start().await;
    let mut bodies = Vec::new();
    for (tenant, expected) in [("hooli", "tenant.closed"), ("nowhere", "tenant.unknown")] {
        let (answer, reason) = ask(&gateway, tenant, "/orders/1", &json!({})).await;
        assert_eq!(reason, expected);
        let id = answer.request_id();
        bodies.push((answer.status, answer.text().replace(&id, "")));
    }
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[0].0, 403);
}
