use super::compiled;

#[test]
fn a_test_of_a_policy_sees_from_where_a_tenant_takes_clients() {
    let text = r#"
tenants:
  acme: { status: active, clients: { allow: ["192.0.2.0/24"], deny: ["192.0.2.128/25", "::ffff:192.0.2.7"] } }
  globex: { status: active }
roles: { viewer: { allow: ["order:read"] } }
routes:
  - id: orders
    match: { host: "{tenant}.localhost", path: /orders }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { GET: "order:read" }
tests:
  - { as: { tenant: acme, roles: [viewer] }, do: GET http://acme.localhost/orders, from: 192.0.2.1, expect: allow }
  - { as: { tenant: acme, roles: [viewer] }, do: GET http://acme.localhost/orders, from: "::ffff:192.0.2.1", expect: allow }
  - { as: { tenant: acme, roles: [viewer] }, do: GET http://acme.localhost/orders, from: 192.0.2.129, expect: { deny: client.denied } }
  - { as: { tenant: acme, roles: [viewer] }, do: GET http://acme.localhost/orders, from: 192.0.2.7, expect: { deny: client.denied } }
  - { as: { tenant: acme, roles: [viewer] }, do: GET http://acme.localhost/orders, from: "2001:db8::1", expect: { deny: client.denied } }
  - { as: { tenant: acme, roles: [] }, do: GET http://acme.localhost/orders, from: 198.51.100.9, expect: { deny: client.denied } }
  - { as: { tenant: globex, roles: [viewer] }, do: GET http://acme.localhost/orders, from: 198.51.100.9, expect: { deny: tenant.mismatch } }
  - { as: { tenant: globex, roles: [viewer] }, do: GET http://globex.localhost/orders, from: 198.51.100.9, expect: allow }
  - { as: { tenant: acme, roles: [viewer] }, do: GET http://acme.localhost/orders, expect: allow }
"#;
    let results = compiled(text).policy.run_cases();
    assert_eq!(results.len(), 9);
    for result in results {
        assert!(result.passed, "{result:?}");
    }
}
