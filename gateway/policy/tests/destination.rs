use super::{compiled, refused};

const POLICY: &str = r#"
tenants: { acme: { status: active }, globex: { status: active }, initech: { status: active } }
roles: { viewer: { allow: ["order:read"] } }
routes:
  - id: silo
    match: { host: "{tenant}.x", path: "/silo" }
    upstream: { by_tenant: { acme: orders } }
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { GET: "order:read" }
  - id: mixed
    match: { host: "{tenant}.x", path: "/mixed" }
    upstream: { by_tenant: { acme: streams }, otherwise: orders }
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { GET: "order:read" }
tests:
"#;

fn outcomes(tests: &str) -> Vec<(bool, String, String)> {
    let text = format!("{POLICY}{tests}");
    let results = compiled(&text).policy.run_cases().into_iter();
    results.map(|result| (result.passed, result.expected, result.got)).collect()
}

#[test]
fn the_verified_tenant_chooses_the_upstream_and_a_tenant_that_is_not_named_is_refused() {
    let case = |tenant: &str, path: &str, expect: &str| {
        format!(
            "  - {{ as: {{ tenant: {tenant}, roles: [viewer] }}, do: GET http://{tenant}.x/{path}, expect: {expect} }}\n"
        )
    };
    let tests = [
        case("acme", "silo", "{ upstream: orders }"),
        case("globex", "silo", "{ deny: tenant.unplaced }"),
        case("acme", "mixed", "{ allow: viewer, upstream: streams }"),
        case("globex", "mixed", "{ upstream: orders }"),
    ];
    for (passed, expected, got) in outcomes(&tests.concat()) {
        assert!(passed, "{expected}: {got}");
    }
    let wrong = outcomes(&case("globex", "mixed", "{ allow: viewer, upstream: streams }"));
    let told = (false, "allow by viewer from streams".to_owned(), "allow by viewer from orders".to_owned());
    assert_eq!(wrong, [told]);
}

#[test]
fn what_a_route_cannot_do_by_tenant_is_said_at_its_place() {
    let text = POLICY
        .replace("{ acme: orders }", "{ acme: oders, acmee: orders }")
        .replace("otherwise: orders", "otherwise: order")
        .replace(
            "tests:\n",
            "  - { id: open, match: { host: \"*\", path: / }, upstream: { by_tenant: {} }, auth: none }\n",
        );
    insta::assert_snapshot!(refused(&text), @r"
    p.yaml:7:36 upstream `oders` is not configured (did you mean `orders`?)
    p.yaml:7:43 tenant `acmee` is not registered (did you mean `acme`?)
    p.yaml:12:58 upstream `order` is not configured (did you mean `orders`?)
    p.yaml:15:71 on a public route no tenant is verified to go by (name one upstream, or say in `auth` whose tokens are accepted)
    p.yaml:15:71 no tenant has an upstream of its own here (name one upstream for all)
    ");
}

#[test]
fn explaining_names_the_upstream() {
    let text = format!("{POLICY}  []\n");
    let policy = compiled(&text).policy;
    let ask = |tenant: &str| {
        policy.explain(&crate::Question {
            client: None,
            now: None,
            request: format!("GET http://{tenant}.x/silo").parse().unwrap(),
            asker: Some(crate::Asker {
                key: None,
                service: None,
                issuer: None,
                subject: "ada".parse().unwrap(),
                tenant: Some(tenant.to_owned()),
                roles: ["viewer".parse().unwrap()].into(),
                assurance: crate::Assurance::default(),
            }),
            headers: Vec::new(),
        })
    };
    assert_eq!(ask("acme").upstream.as_deref(), Some("orders"));
    let told = ask("globex").to_string();
    assert!(told.contains("names no upstream for this tenant") && told.contains("= deny tenant.unplaced"));
}
