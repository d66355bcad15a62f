use terms::Reason;

use super::{compiled, refused};
use crate::{Asker, Assurance, Question};

const TEXT: &str = r#"
delegated: ["order:*", "report:read"]
tenants:
  acme:
    status: active
    roles:
      approver: { inherits: [viewer, helper], allow: ["order:approve"], deny: ["report:read"] }
      helper: { allow: [{ permission: "order:write", when: 'tenant.id == "acme"' }] }
  globex: { status: active, roles: { approver: { allow: ["report:read"] } } }
  umbrella: { status: active }
members: { acme: { ada: [approver], bob: [viewer] }, globex: { ada: [approver] } }
roles:
  viewer: { allow: ["order:read"] }
  analyst: { allow: ["report:read", "report:write"] }
routes:
  - id: orders
    match: { host: "{tenant}.localhost", path: "/orders" }
    upstream: orders
    auth: { issuers: [dev, corp], tenant_from: [token, host] }
    allow: { GET: "order:read", PUT: "order:write", POST: "order:approve" }
  - id: reports
    match: { host: "{tenant}.localhost", path: "/reports" }
    upstream: orders
    auth: { issuers: [dev, corp], tenant_from: [token, host] }
    allow: { GET: "report:read", PUT: "report:write" }
tests:
  - { as: { issuer: corp, tenant: acme, user: ada }, do: "POST https://acme.localhost/orders", expect: { allow: approver } }
  - { as: { issuer: corp, tenant: acme, user: ada }, do: "PUT https://acme.localhost/orders", expect: { allow: helper } }
  - { as: { issuer: corp, tenant: acme, user: ada }, do: "GET https://acme.localhost/orders", expect: { allow: viewer } }
  - { as: { issuer: corp, tenant: acme, user: ada }, do: "GET https://acme.localhost/reports", expect: { deny: policy.denied } }
  - { as: { issuer: corp, tenant: globex, user: ada }, do: "POST https://globex.localhost/orders", expect: { deny: policy.denied } }
  - { as: { issuer: corp, tenant: globex, user: ada }, do: "GET https://globex.localhost/reports", expect: { allow: approver } }
  - { as: { issuer: corp, tenant: acme, user: bob }, do: "POST https://acme.localhost/orders", expect: { deny: policy.denied } }
"#;

#[test]
fn a_tenants_own_role_counts_for_its_members_alone() {
    let compiled = compiled(TEXT);
    assert!(compiled.warnings.is_empty(), "{}", compiled.warnings);
    for result in compiled.policy.run_cases() {
        assert!(result.passed, "{result:?}");
    }
    // Whatever a token calls its roles: none of another tenant's is in it.
    for (tenant, role, method, expected) in [
        ("acme", "approver", "POST", Reason::Allowed),
        ("umbrella", "approver", "POST", Reason::PolicyDenied),
        ("umbrella", "acme/approver", "POST", Reason::PolicyDenied),
        ("globex", "acme/approver", "POST", Reason::PolicyDenied),
        ("globex", "helper", "PUT", Reason::PolicyDenied),
        ("umbrella", "viewer", "GET", Reason::Allowed),
    ] {
        let question = Question {
            request: format!("{method} https://{tenant}.localhost/orders").parse().unwrap(),
            asker: Some(Asker {
                key: None,
                service: None,
                issuer: Some("dev".parse().unwrap()),
                subject: "eve".parse().unwrap(),
                tenant: Some(tenant.to_owned()),
                roles: [role.parse().unwrap()].into(),
                assurance: Assurance::default(),
            }),
            client: None,
            now: None,
            headers: Vec::new(),
        };
        let explanation = compiled.policy.explain(&question);
        assert_eq!(explanation.reason, expected, "{explanation}");
    }
    assert!(
        "acme approver".parse::<terms::RoleName>().is_err(),
        "what tells tenants' roles apart is no name of a role"
    );
}

#[test]
fn a_tenants_own_role_that_asks_for_more_than_tenants_may_give_is_refused() {
    let text = TEXT.split("members:").next().unwrap();
    let rest = TEXT.split("roles:\n  viewer").nth(1).unwrap().split("tests:").next().unwrap();
    let with = |roles: &str| format!("{text}  hooli: {{ status: active, roles: {roles} }}\nroles:\n  viewer{rest}");
    insta::assert_snapshot!(refused(&with(
        r#"{ a: { allow: ["report:write", "*:read", "order:*"] }, b: { inherits: [analyst] }, c: { inherits: [b, helper, d] }, viewer: { allow: [] }, d: { inherits: [d] } }"#
    )), @r#"
p.yaml:11:50 `report:write` is more than tenants may give to roles of their own (they may give what is within `order:*`, `report:read`)
p.yaml:11:66 `*:read` is more than tenants may give to roles of their own (they may give what is within `order:*`, `report:read`)
p.yaml:11:106 role `analyst` grants `report:write`, which is more than tenants may give (they may give what is within `order:*`, `report:read`)
p.yaml:11:137 role `helper` is not defined, for all or for `hooli`
p.yaml:11:151 role `viewer` is one for all tenants (take another name; that one stands at p.yaml:13:3)
p.yaml:11:190 roles inherit in a circle: `d` → `d`
"#);
    insta::assert_snapshot!(refused(&with("{ a: { allow: [\"order:read\"] } }").replace("viewer: {", "viewer: { inherits: [acme approver], ")), @r#"
p.yaml:13:24 role `acme approver` is not defined
p.yaml:13:24 roles inherit in a circle: `approver` → `viewer` → `approver`
"#);
    insta::assert_snapshot!(refused(&with("{ a: { allow: [\"order:read\"] } }").replace("delegated: [\"order:*\", \"report:read\"]", "")), @r#"
p.yaml:7:30 role `viewer` grants `order:read`, which is more than tenants may give (the platform says under `delegated` what they may give)
p.yaml:7:55 `order:approve` is more than tenants may give to roles of their own (the platform says under `delegated` what they may give)
p.yaml:8:39 `order:write` is more than tenants may give to roles of their own (the platform says under `delegated` what they may give)
p.yaml:9:58 `report:read` is more than tenants may give to roles of their own (the platform says under `delegated` what they may give)
p.yaml:11:50 `order:read` is more than tenants may give to roles of their own (the platform says under `delegated` what they may give)
"#);
}
