use super::{compiled, refused};

const ROUTES: &str = r#"
tenants: { acme: { status: active } }
roles: { viewer: { allow: ["order:read"] } }
routes:
  - id: bound
    match: { host: "{tenant}.x", path: "/bound" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token, host], bound_to: [certificate] }
    allow: { GET: "order:read" }
"#;

fn hold(tests: &str) {
    for result in compiled(&format!("{ROUTES}{tests}")).policy.run_cases() {
        assert!(result.passed, "{}: expected {}, got {}", result.title, result.expected, result.got);
    }
}

#[test]
fn a_route_that_wants_bound_tokens_takes_no_others() {
    hold(
        r#"
tests:
  - { as: { tenant: acme, roles: [viewer] }, do: GET https://acme.x/bound, expect: { deny: auth.invalid.unbound } }
  - { as: { tenant: acme, roles: [viewer], bound_to: [certificate] }, do: GET https://acme.x/bound, expect: allow }
"#,
    );
}

#[test]
fn a_demand_that_cannot_be_met_or_asks_for_nothing_is_a_mistake() {
    for (auth, expected) in [
        ("{ issuers: [dev], tenant_from: [token], bound_to: [] }", "no token is bound to nothing"),
        ("{ issuers: [dev], tenant_from: [token], bound_to: [mtls] }", "a token is bound to"),
        (
            "{ authorities: [partners], tenant_from: [certificate], bound_to: [certificate] }",
            "no token comes on a route",
        ),
    ] {
        let text = format!(
            "routes:\n  - id: r\n    match: {{ host: a.x, path: /r }}\n    upstream: orders\n    auth: {auth}\n    allow: {{ GET: \"a:b\" }}\n"
        );
        let told = refused(&text);
        assert!(told.contains(expected) && told.lines().count() == 1, "{auth}: {told}");
    }
}
