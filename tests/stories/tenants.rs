//! Nobody reaches another tenant.

use crate::harness::Gateway;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_tenant_does_not_open_another() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let answer = gateway.send(gateway.request(method, "globex", "/orders/1").bearer_auth(&token)).await;
        assert_eq!(answer.status, 403, "{method}");
        assert_eq!(gateway.reason(&answer), "tenant.mismatch", "{method}");
    }
    assert!(gateway.backend.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_and_unknown_tenants_are_refused_and_look_the_same_to_an_outsider() {
    let gateway = Gateway::test().start().await;
    let mut bodies = Vec::new();
    for (tenant, reason) in [("initech", "tenant.suspended"), ("nowhere", "tenant.unknown")] {
        let token = gateway.token(tenant, "ada", &["viewer"]);
        let answer = gateway.send(gateway.request("GET", tenant, "/orders/1").bearer_auth(token)).await;
        assert_eq!(gateway.reason(&answer), reason);
        let id = answer.request_id();
        bodies.push((answer.status, answer.text().replace(&id, "")));
    }
    assert_eq!(bodies[0], bodies[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_the_directory_is_a_member_only_where_it_says_so() {
    let policies = r#"
tenants: { acme: { status: active }, globex: { status: active } }
members: { acme: { "ada": [viewer] } }
roles: { viewer: { allow: ["order:read"] } }
routes:
  - id: orders
    match: { host: "{tenant}.example.test", path: "/orders/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [host] }
    allow: { GET: "order:read" }
"#;
    let gateway = Gateway::test().policies(policies).members("directory").start().await;
    let mut claims = crate::harness::claims("", "ada", &["admin"]);
    claims.as_object_mut().unwrap().remove("tenant_id");
    let token = gateway.issuer.sign(&claims);
    let ask = |tenant: &'static str| gateway.send(gateway.request("GET", tenant, "/orders/1").bearer_auth(&token));
    assert_eq!(ask("acme").await.status, 200);
    assert_eq!(gateway.backend.last().field("x-roles"), Some("viewer"), "roles come from the directory, not the token");
    let answer = ask("globex").await;
    assert_eq!(answer.status, 403);
    assert_eq!(gateway.reason(&answer), "tenant.not_member");
}

/// Whoever signs well speaks for its own tenants all the same, and no tenant is spoken for by whom it does not know.
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_speaks_for_no_other_tenants_than_its_own() {
    let ask = async |gateway: &Gateway, tenant| {
        let answer = gateway.get(tenant, "/orders/1").await;
        (answer.status, gateway.reason(&answer))
    };
    let held = Gateway::test().issuer("    tenants: [acme]\n").start().await;
    assert_eq!(ask(&held, "acme").await, (200, "allowed".to_owned()));
    assert_eq!(ask(&held, "globex").await, (403, "tenant.issuer".to_owned()));
    assert_eq!(held.backend.seen().len(), 1);

    let own = "globex: { status: active, issuers: [other] }";
    let policies = crate::harness::POLICIES.replacen("globex: { status: active }", own, 1);
    assert!(policies.contains(own));
    let other = "  other:\n    issuer: https://other.test/\n    audiences: [a]\n    algorithms: [ES256]\n    jwks: { file: FOLDER/jwks.json }\n";
    let gateway = Gateway::test().policies(&policies).issuer(other).start().await;
    assert_eq!(ask(&gateway, "acme").await, (200, "allowed".to_owned()));
    assert_eq!(ask(&gateway, "globex").await, (403, "tenant.issuer".to_owned()));
}

/// A user of several tenants acts for one of them at a time, and is there what it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_several_tenants_is_held_to_those_that_its_token_lists_and_to_its_roles_there() {
    let policies = r#"
tenants: { acme: { status: active }, globex: { status: active }, initech: { status: suspended }, hooli: { status: active } }
roles: { viewer: { allow: ["order:read"] }, clerk: { allow: ["order:read", "order:write"] } }
routes:
  - id: by_host
    match: { host: "{tenant}.example.test", path: "/orders/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read", POST: "order:write" }
  - id: by_path
    match: { host: "*", path: "/t/{tenant}/orders" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, path] }
    allow: { GET: "order:read" }
  - id: by_header
    match: { host: "*", path: "/orders-of" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, header:X-Org] }
    allow: { GET: "order:read" }
  - id: by_token
    match: { host: "*", path: "/mine" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token] }
    allow: { GET: "order:read" }
"#;
    let gateway = Gateway::test().policies(policies).issuer("    tenants_claim: orgs\n").start().await;
    let token = |orgs: serde_json::Value| {
        let mut claims = crate::harness::claims("acme", "ada", &["viewer"]); // what `tenant_id` says counts for nothing here
        claims["orgs"] = orgs;
        gateway.issuer.sign(&claims)
    };
    let each = token(serde_json::json!({ "acme": ["viewer"], "globex": ["clerk"], "initech": ["clerk"] }));
    let listed = token(serde_json::json!(["acme", "globex"]));
    let one = token(serde_json::json!(["globex"]));
    let ask = async |method: &str, tenant: &str, path: &str, org: Option<&str>, token: &str| {
        let mut request = gateway.request(method, tenant, path).bearer_auth(token);
        if let Some(org) = org {
            request = request.header("x-org", org);
        }
        let answer = gateway.send(request).await;
        gateway.reason(&answer)
    };
    for (method, tenant, path, org, token, expected) in [
        ("GET", "acme", "/orders/1", None, &each, "allowed"),
        ("POST", "acme", "/orders/1", None, &each, "policy.denied"), // a clerk elsewhere
        ("POST", "globex", "/orders/1", None, &each, "allowed"),
        ("GET", "initech", "/orders/1", None, &each, "tenant.suspended"),
        ("GET", "hooli", "/orders/1", None, &each, "tenant.not_member"),
        ("GET", "acme", "/orders/1", None, &listed, "allowed"),
        ("POST", "globex", "/orders/1", None, &listed, "policy.denied"), // the roles that it has everywhere
        ("GET", "hooli", "/orders/1", None, &listed, "tenant.not_member"),
        ("GET", "acme", "/t/globex/orders", None, &each, "allowed"),
        ("GET", "acme", "/t/hooli/orders", None, &each, "tenant.not_member"),
        ("GET", "acme", "/orders-of", Some("globex"), &each, "allowed"),
        ("GET", "acme", "/orders-of", Some("hooli"), &each, "tenant.not_member"),
        ("GET", "acme", "/orders-of", None, &each, "tenant.unknown"),
        ("GET", "acme", "/mine", None, &each, "tenant.unknown"), // of several nobody can say which
        ("GET", "acme", "/mine", None, &one, "allowed"),
    ] {
        assert_eq!(ask(method, tenant, path, org, token).await, expected, "{method} {tenant} {path} {org:?}");
    }
    let last = gateway.backend.last();
    assert_eq!((last.field("x-tenant-id"), last.field("x-roles")), (Some("globex"), Some("viewer")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_a_tenant_has_made_counts_for_its_members_and_for_nobody_else() {
    let own = r#"acme: { status: active, roles: { editor: { inherits: [viewer], allow: ["order:write"] } } }"#;
    let policies = crate::harness::POLICIES.replace("acme: { status: active }", own);
    let gateway = Gateway::test().policies(&format!("delegated: [\"order:*\"]\n{policies}")).start().await;
    for (tenant, method, expected) in
        [("acme", "PUT", "allowed"), ("acme", "GET", "allowed"), ("globex", "PUT", "policy.denied")]
    {
        let token = gateway.token(tenant, "ada", &["editor"]);
        let answer = gateway.send(gateway.request(method, tenant, "/orders/1").bearer_auth(token)).await;
        assert_eq!(gateway.reason(&answer), expected, "{method} in {tenant}");
    }
    // One that asks for more is not taken, and what was in force stays.
    gateway.reload(&policies.replace("\"order:write\"] } } }", "\"report:write\"] } } }"));
    let token = gateway.token("acme", "ada", &["editor"]);
    let answer = gateway.send(gateway.request("PUT", "acme", "/orders/1").bearer_auth(token)).await;
    assert_eq!(answer.status, 200, "the last good policies stay in force");
}
