//! Conditions see what a token says of its user, as the type that it was declared with.

use serde_json::{Value, json};

use crate::harness::{Gateway, POLICIES, claims};

const ROUTES: &str = r#"  - id: seats
    match: { host: "{tenant}.example.test", path: "/claims/{what}" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
    when: |
      request.params.what == "seats" ? caller.claims.seats > 5
        : request.params.what == "beta" ? caller.claims.beta
        : request.params.what == "region" ? "eu" in caller.claims.regions
        : request.params.what == "scope" ? "orders.read" in caller.scopes
        : has(caller.claims.org) && caller.claims.org == "o-1"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_counts_if_it_is_there_and_of_its_type_and_else_lets_nothing_through() {
    let setup = Gateway::test().policies(&format!("{POLICIES}{ROUTES}"));
    let declared = "claims: { org: org, seats: { claim: /licence/seats, as: number }, beta: { claim: beta, as: bool }, regions: { claim: regions, as: list } }\n";
    let gateway = setup.settings(declared).start().await;
    for (at, (what, says, reason)) in [
        ("org", json!({ "org": "o-1" }), "allowed"),
        ("org", json!({ "org": "o-2" }), "policy.denied"),
        ("org", json!({}), "policy.denied"),
        ("org", json!({ "org": 1 }), "policy.error"),
        ("org", json!({ "org": ["o-1"] }), "policy.error"),
        ("seats", json!({ "licence": { "seats": 6 } }), "allowed"),
        ("seats", json!({ "licence": { "seats": 5 } }), "policy.denied"),
        ("seats", json!({ "licence": { "seats": 6.5 } }), "policy.error"),
        ("seats", json!({ "licence": { "seats": "6" } }), "policy.error"),
        ("seats", json!({}), "policy.error"),
        ("beta", json!({ "beta": true }), "allowed"),
        ("beta", json!({ "beta": "true" }), "policy.error"),
        ("region", json!({ "regions": ["us", "eu"] }), "allowed"),
        ("region", json!({ "regions": [] }), "policy.denied"),
        ("region", json!({ "regions": [7, "eu"] }), "policy.error"),
        ("scope", json!({ "scope": "openid orders.read" }), "allowed"),
        ("scope", json!({ "scp": ["orders.read"] }), "allowed"),
        ("scope", json!({ "scope": "openid", "scp": ["orders.read"] }), "policy.denied"),
        ("scope", json!({ "scope": 7 }), "policy.error"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut token = claims("acme", "ada", &["viewer"]);
        let (Value::Object(token_says), Value::Object(more)) = (&mut token, says.clone()) else { unreachable!() };
        token_says.extend(more);
        token_says.insert("jti".to_owned(), at.to_string().into());
        let request = gateway.request("GET", "acme", &format!("/claims/{what}"));
        let answer = gateway.send(request.bearer_auth(gateway.issuer.sign(&token))).await;
        assert_eq!(gateway.reason(&answer), reason, "{what}: {says}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_a_tenants_own_provider_is_worth_what_it_is_bound_to_and_a_role_of_that_name_nothing() {
    let bound = "  acme: { status: active, role_bindings: { \"acme/buyers\": [viewer], staff: [viewer, clerk] } }\n";
    let policies = POLICIES.replacen("  acme: { status: active }\n", bound, 1);
    let gateway = Gateway::test().policies(&format!("delegated: [\"order:*\"]\n{policies}")).start().await;
    for (tenant, roles, method, status, seen) in [
        ("acme", &["acme/buyers"][..], "GET", 200, Some("viewer")),
        ("acme", &["acme/buyers"], "PUT", 403, Some("viewer")),
        ("acme", &["staff", "acme/buyers"], "PUT", 200, Some("viewer clerk")),
        ("acme", &["clerk"], "PUT", 403, None),
        ("globex", &["clerk"], "PUT", 200, Some("clerk")),
        ("globex", &["staff"], "PUT", 403, Some("staff")),
    ] {
        let token = gateway.token(tenant, "ada", roles);
        let answer = gateway.send(gateway.request(method, tenant, "/orders/1").bearer_auth(token)).await;
        assert_eq!(answer.status, status, "{method} as {roles:?} of {tenant}");
        let records = gateway.records(&["--id", &answer.request_id()]);
        let recorded = records.of(&answer.request_id())["roles"].as_str().filter(|roles| !roles.is_empty());
        assert_eq!(recorded, seen, "the record has the roles, and not the names");
    }
}
