use super::{compiled, refused};
use crate::CaseResult;

const POLICY: &str = r#"
tenants: { acme: { status: active } }
roles:
  viewer: { allow: ["order:read"] }
  clerk: { inherits: [viewer], allow: ["order:write"], deny: ["order:delete"] }
routes:
  - { id: orders, match: { host: "{tenant}.a.test", path: "/orders" }, upstream: orders, auth: { issuers: [dev], tenant_from: [token, host] }, allow: { GET: "order:read", POST: "order:write", DELETE: "order:delete" } }
  - { id: health, match: { host: "*", path: /healthz }, upstream: orders, auth: none }
"#;

fn results(tests: &str) -> Vec<CaseResult> {
    compiled(&format!("{POLICY}{tests}")).policy.run_cases()
}

#[test]
fn a_matrix_is_a_test_for_each_who_in_each_row() {
    let results = results(
        r#"
matrices:
  - name: orders
    as:
      viewer: { tenant: acme, roles: [viewer] }
      clerk: { tenant: acme, roles: [clerk] }
      nobody: none
    expect:
      GET https://acme.a.test/orders: { viewer: allow, clerk: allow, nobody: auth.missing }
      POST https://acme.a.test/orders: { viewer: policy.denied, clerk: allow, "*": auth.missing }
      DELETE https://acme.a.test/orders: { viewer: allow, "*": auth.missing }
"#,
    );
    let failed: Vec<_> = results.iter().filter(|case| !case.passed).map(|case| (&*case.title, &*case.got)).collect();
    assert_eq!(results.len(), 9);
    assert_eq!(
        failed,
        [
            ("orders: DELETE https://acme.a.test/orders as viewer", "deny policy.denied"),
            ("orders: DELETE https://acme.a.test/orders as clerk", "deny policy.denied by clerk"),
        ]
    );
    assert_eq!(results[3].place.to_string(), "p.yaml:18:50", "each has the place of its cell");
}

#[test]
fn a_row_names_those_that_there_are_and_leaves_nobody_out() {
    let wrong = refused(&format!(
        r#"{POLICY}
matrices:
  - as: {{ viewer: {{ tenant: acme, roles: [viewer] }}, nobody: none }}
    expect:
      GET https://acme.a.test/orders: {{ viewr: allow }}
      get https://acme.a.test/orders: {{ "*": allow }}
      POST https://acme.a.test/orders: {{ "*": policy.denyed }}
"#
    ));
    let expected = [
        "nobody here is called `viewr` (did you mean `viewer`?)",
        "this row does not say what becomes of `viewer`, `nobody`",
        "a method is written in upper-case letters",
        "`policy.denyed` is not a reason (did you mean `policy.denied`?)",
    ];
    for text in expected {
        assert!(wrong.contains(text), "{text}: {wrong}");
    }
}

#[test]
fn coverage_is_what_tests_have_decided_by() {
    let tests = |rows: &str| {
        format!(
            "{POLICY}matrices:\n  - as: {{ viewer: {{ tenant: acme, roles: [viewer] }}, clerk: {{ tenant: acme, roles: [clerk] }} }}\n    expect:\n{rows}"
        )
    };
    let coverage = |rows: &str| {
        let coverage = compiled(&tests(rows)).policy.coverage();
        let routes = coverage.routes.iter().filter(|(.., seen)| !seen).map(|(route, ..)| route.to_string());
        let rules = coverage.rules.iter().filter(|(_, seen)| !seen).map(|(rule, _)| rule.clone());
        (coverage.percent(), routes.chain(rules).collect::<Vec<_>>())
    };
    let (percent, missing) = coverage("      GET https://acme.a.test/orders: { \"*\": allow }\n");
    assert_eq!(percent, 40);
    assert_eq!(missing, ["health", "p.yaml:5 clerk: order:delete", "p.yaml:5 clerk: order:write"]);
    let all = [
        "      GET https://acme.a.test/orders: { \"*\": allow }\n",
        "      POST https://acme.a.test/orders: { viewer: policy.denied, clerk: allow }\n",
        "      DELETE https://acme.a.test/orders: { \"*\": policy.denied }\n",
        "      GET https://a.test/healthz: { \"*\": allow }\n",
    ];
    assert_eq!(coverage(&all.concat()), (100, Vec::new()));
}
