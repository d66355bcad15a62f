use std::time::Duration;

use super::{compiled, refused};
use crate::{Asker, Assurance, Question};

const ROUTES: &str = r#"
tenants:
  acme: { status: active }
  globex: { status: active, plan: gold, region: eu, mfa: required, session_max: 8h }
  hooli: { status: closed }
roles: { viewer: { allow: ["order:read"] } }
routes:
  - id: bound
    match: { host: "{tenant}.x", path: "/bound" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token, host], bound_to: [certificate] }
    allow: { GET: "order:read" }
  - id: sure
    match: { host: "{tenant}.x", path: "/sure" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token, host], acr: [gold], amr: { any: [otp, hwk] }, max_age: 10m }
    allow: { GET: "order:read" }
  - id: plain
    match: { host: "{tenant}.x", path: "/plain" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token, host] }
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
fn step_up_is_seen_by_tests() {
    hold(
        r#"
tests:
  - { as: { tenant: acme, roles: [viewer] }, do: GET https://acme.x/plain, expect: allow }
  - { as: { tenant: acme, roles: [viewer], acr: gold, amr: [otp], age: 10m }, do: GET https://acme.x/sure, expect: allow }
  - { as: { tenant: acme, roles: [viewer], acr: gold, amr: [otp], age: 11m }, do: GET https://acme.x/sure, expect: { deny: auth.insufficient.age } }
  - { as: { tenant: acme, roles: [viewer], acr: gold, amr: [otp] }, do: GET https://acme.x/sure, expect: { deny: auth.insufficient.age } }
  - { as: { tenant: acme, roles: [viewer], acr: gold, age: 1m }, do: GET https://acme.x/sure, expect: { deny: auth.insufficient.amr } }
  - { as: { tenant: acme, roles: [viewer], amr: [otp], age: 1m }, do: GET https://acme.x/sure, expect: { deny: auth.insufficient.acr } }
  - { as: { tenant: globex, roles: [viewer] }, do: GET https://globex.x/plain, expect: { deny: auth.insufficient.mfa } }
  - { as: { tenant: globex, roles: [viewer], amr: [mfa] }, do: GET https://globex.x/plain, expect: allow }
  - { as: { tenant: globex, roles: [viewer], amr: [mfa], age: 9h }, do: GET https://globex.x/plain, expect: { deny: auth.insufficient.session } }
  - { as: { tenant: hooli, roles: [viewer] }, do: GET https://hooli.x/plain, expect: { deny: tenant.closed } }
"#,
    );
}

#[test]
fn an_explanation_says_how_a_user_has_proven_itself_where_that_is_asked() {
    let policy = compiled(ROUTES).policy;
    let explain = |tenant: &str, path: &str, assurance: Assurance| {
        let question = Question {
            request: format!("GET https://{tenant}.x{path}").parse().unwrap(),
            asker: Some(Asker {
                key: None,
                service: None,
                issuer: None,
                subject: "ada".parse().unwrap(),
                tenant: Some(tenant.to_owned()),
                roles: ["viewer".parse().unwrap()].into(),
                assurance,
            }),
            client: None,
            now: None,
            headers: Vec::new(),
        };
        policy.explain(&question).to_string()
    };
    let gold = Assurance { acr: Some("gold".into()), age: Some(Duration::from_secs(60)), ..Assurance::default() };
    let told = explain("acme", "/sure", gold);
    assert!(told.contains("- `acr` gold, no `amr`, proven 60s ago: is not what is demanded"), "{told}");
    assert!(told.ends_with("= deny auth.insufficient.amr"), "{told}");
    let mfa = Assurance { amr: vec!["mfa".into()], ..Assurance::default() };
    let told = explain("globex", "/plain", mfa);
    assert!(told.contains("+ no `acr`, `amr` mfa, no `auth_time`: is what route and tenant demand"), "{told}");
    assert!(told.contains("a member of `globex`, plan `gold`, region `eu` with viewer"), "{told}");
    assert!(
        !explain("acme", "/plain", Assurance::default()).contains("acr"),
        "where nobody asks there is nothing to say"
    );
}

#[test]
fn what_a_tenant_demands_is_checked_where_it_is_written() {
    for (tenant, expected) in [
        ("{ status: active, mfa: {} }", "nothing says by what more than one factor is known"),
        ("{ status: active, mfa: maybe }", "`maybe` is not known here"),
        ("{ status: active, mfa: { amr: [\"a b\"] } }", "is not a word that a token could have here"),
        ("{ status: active, session_max: 0s }", "no session is over in no time"),
        ("{ status: active, session_max: soon }", "does not parse"),
        ("{ status: active, plan: \"\" }", "a name is not empty"),
        ("{ status: active, region: \"e u\" }", "a name has only letters"),
        ("{ status: gone }", "`gone` is not known here"),
    ] {
        let told = refused(&format!("tenants: {{ acme: {tenant} }}\n"));
        assert!(told.contains(expected) && told.lines().count() == 1, "{tenant}: {told}");
    }
}

#[test]
fn a_demand_that_cannot_be_met_or_asks_for_nothing_is_a_mistake() {
    for (auth, expected) in [
        ("{ issuers: [dev], tenant_from: [token], bound_to: [] }", "no token is bound to nothing"),
        ("{ issuers: [dev], tenant_from: [token], bound_to: [mtls] }", "a token is bound to"),
        ("{ authorities: [partners], tenant_from: [certificate], max_age: 1m }", "no token comes on a route"),
        ("{ issuers: [dev], tenant_from: [token], acr: [] }", "nothing is demanded here"),
        ("{ issuers: [dev], tenant_from: [token], amr: {} }", "nothing is demanded here"),
        ("{ issuers: [dev], tenant_from: [token], acr: ['a\"b'] }", "is not a word that a token could have here"),
        ("{ issuers: [dev], tenant_from: [token], max_age: 0s }", "nobody has proven itself within this time"),
        (
            "{ issuers: [dev], tenant_from: [token], api_keys: true, max_age: 1m }",
            "no API key can be what this route demands",
        ),
        ("{ api_keys: true, tenant_from: [token], bound_to: [dpop] }", "no token comes on a route"),
        (
            "{ authorities: [partners], tenant_from: [certificate], api_keys: true }",
            "no key comes on a route for services",
        ),
        ("{ api_keys: false, tenant_from: [token] }", "nothing says who may use this route"),
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
