//! What the names are worth that a tenant's tokens have for roles.

use super::{compiled, refused};
use crate::Turn;

const TEXT: &str = r#"
delegated: ["order:*"]
tenants:
  acme:
    status: active
    roles: { approver: { allow: ["order:approve"] } }
    role_bindings: { "acme-admins": [clerk, approver], "0b1c/staff": [viewer], guests: [] }
  globex: { status: active }
roles:
  viewer: { allow: ["order:read"] }
  clerk: { inherits: [viewer], allow: ["order:write"] }
  operator: { allow: ["machine:stop"] }
services: { billing: { authority: partners, san: "spiffe://partner/billing", tenant: acme, roles: [viewer] } }
routes:
  - id: orders
    match: { host: "{tenant}.localhost", path: "/orders/**" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { GET: "order:read", PUT: "order:write", PATCH: "order:approve", DELETE: "machine:stop" }
  - id: partners
    match: { host: "{tenant}.partners.test", path: "/orders/**" }
    upstream: orders
    auth: { authorities: [partners], tenant_from: [certificate, host] }
    allow: { GET: "order:read" }
tests:
  - { as: { tenant: acme, roles: [acme-admins] }, do: PUT https://acme.localhost/orders/1, expect: { allow: clerk } }
  - { as: { tenant: acme, roles: [acme-admins] }, do: PATCH https://acme.localhost/orders/1, expect: { allow: approver } }
  - { as: { tenant: acme, roles: ["0b1c/staff"] }, do: GET https://acme.localhost/orders/1, expect: { allow: viewer } }
  - { as: { tenant: acme, roles: ["0b1c/staff"] }, do: PUT https://acme.localhost/orders/1, expect: { deny: policy.denied } }
  - { as: { tenant: acme, roles: [guests] }, do: GET https://acme.localhost/orders/1, expect: { deny: policy.denied } }
  # What the issuer of a tenant calls a role of the platform is none, since the tenant says what counts.
  - { as: { tenant: acme, roles: [clerk] }, do: PUT https://acme.localhost/orders/1, expect: { deny: policy.denied } }
  - { as: { tenant: acme, roles: [operator] }, do: DELETE https://acme.localhost/orders/1, expect: { deny: policy.denied } }
  - { as: { tenant: acme, roles: [approver] }, do: PATCH https://acme.localhost/orders/1, expect: { deny: policy.denied } }
  # Those of others go by the roles themselves, and so does what the platform has given out.
  - { as: { tenant: globex, roles: [acme-admins] }, do: GET https://globex.localhost/orders/1, expect: { deny: policy.denied } }
  - { as: { tenant: globex, roles: [clerk] }, do: PUT https://globex.localhost/orders/1, expect: allow }
  - { as: { service: billing }, do: GET https://acme.partners.test/orders/1, expect: allow }
"#;

#[test]
fn a_name_in_a_token_is_worth_what_its_tenant_has_bound_it_to() {
    let compiled = compiled(TEXT);
    for result in compiled.policy.run_cases() {
        assert!(result.passed, "{result:?}");
    }
    let question = |roles: &str| crate::Question {
        request: "PUT https://acme.localhost/orders/1".parse().unwrap(),
        asker: Some(crate::Asker {
            key: None,
            service: None,
            issuer: None,
            subject: "ada".parse().unwrap(),
            tenant: Some("acme".to_owned()),
            roles: roles.split(' ').map(|role| role.parse().unwrap()).collect(),
            assurance: crate::Assurance::default(),
        }),
        client: None,
        now: None,
        headers: Vec::new(),
    };
    let said = compiled.policy.explain(&question("acme-admins operator")).to_string();
    for line in
        ["`acme-admins` of the token is bound to clerk, approver", "`operator` of the token is bound to nothing"]
    {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn a_binding_beyond_what_is_delegated_or_to_no_role_is_a_mistake() {
    for (to, expected) in [
        ("[operator]", "role `operator` grants `machine:stop`, which is more than tenants may give"),
        ("[clrek]", "role `clrek` is not defined, for all or for `acme` (did you mean `clerk`?)"),
    ] {
        let said = refused(&TEXT.replace("[clerk, approver]", to));
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let said = refused(&TEXT.replace("guests: []", "\"a b\": []"));
    assert!(said.contains("`a b` does not parse"), "{said}");
    assert!(refused(&TEXT.replace("delegated: [\"order:*\"]", "delegated: []")).contains("role `clerk` grants"));
}

#[test]
fn another_binding_is_told_by_diff_and_makes_replay_unsure() {
    let (old, new) = (compiled(TEXT).policy, compiled(&TEXT.replace("guests: []", "guests: [viewer]")).policy);
    let changes = old.compare(&new);
    let [change] = &*changes else { panic!("{changes:?}") };
    assert_eq!(
        (change.turn, change.who.as_str(), change.what.as_str()),
        (Turn::Differs, "tenant acme", "role_bindings")
    );
    assert_eq!(change.after, "0b1c/staff: viewer; acme-admins: clerk approver; guests: viewer");
    let recorded = |tenant| crate::Recorded {
        host: Some("acme.localhost"),
        method: Some("GET"),
        route: Some("orders"),
        tenant: Some(tenant),
        issuer: Some("dev"),
        by_key: false,
        roles: Some("viewer"),
        forwarded: true,
        reason: terms::Reason::Allowed,
    };
    let mut replay = crate::Replay::new(&old, &new);
    assert!(matches!(replay.judge(&recorded("acme")), crate::Replayed::Unknown(_)));
    assert_eq!(replay.judge(&recorded("globex")), crate::Replayed::Same);
    assert_eq!(crate::Replay::new(&old, &old).judge(&recorded("acme")), crate::Replayed::Same);
}
