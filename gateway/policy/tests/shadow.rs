use super::{compiled, refused};
use crate::{Asker, Assurance, DenyAs, Mode, Question};

fn text(more: &str, mode: &str) -> String {
    format!(
        "{mode}tenants: {{ acme: {{ status: active }} }}\nroles: {{ a: {{ allow: [\"x:read\"] }} }}\nroutes:\n  - id: one\n    \
         match: {{ host: \"*\", path: \"/one\" }}\n    upstream: orders\n    auth: {{ issuers: [dev], tenant_from: [token] }}\n    \
         allow: {{ GET: \"x:read\", PUT: \"x:read\" }}\n{more}  - id: two\n    match: {{ host: \"*\", path: \"/two\" }}\n    \
         upstream: orders\n    auth: none\n"
    )
}

#[test]
fn a_route_has_the_mode_that_it_says_or_that_its_file_says() {
    for (more, mode, expected) in [
        ("", "", Mode::Enforce),
        ("    mode: shadow\n", "", Mode::Shadow),
        ("", "mode: shadow\n", Mode::Shadow),
        ("    mode: enforce\n", "mode: shadow\n", Mode::Enforce),
    ] {
        let compiled = compiled(&text(more, mode));
        assert_eq!(compiled.policy.routes()[0].mode, expected, "{more}{mode}");
        assert_eq!(compiled.policy.routes()[1].mode, Mode::Enforce, "nobody is denied on a public route");
        let warned = compiled.warnings.to_string().contains("route `one` is in shadow");
        assert_eq!(warned, expected == Mode::Shadow, "{more}{mode}");
    }
    assert_eq!(compiled(&text("    deny_as: 404\n", "")).policy.routes()[0].deny_as, DenyAs::NotFound);
}

#[test]
fn what_cannot_be_in_shadow_or_hidden_is_said() {
    let public = "    mode: shadow\n    deny_as: 404\n";
    insta::assert_snapshot!(refused(&format!("{}{public}", text("    mode: shade\n    deny_as: 405\n", ""))), @r#"
p.yaml:9:11 `shade` is not known here (known here: `enforce`, `shadow`)
p.yaml:10:14 a denial is not told as 405 (write `403` or `404`)
p.yaml:15:11 a public route denies nobody (take `mode` away, or say in `auth` whose tokens are accepted)
p.yaml:16:14 a public route denies nobody (take `deny_as` away, or say in `auth` whose tokens are accepted)
"#);
    insta::assert_snapshot!(refused("mode: shadow\nroles: {}\n"), @r#"
p.yaml:1:7 this file has no routes that could have a mode
"#);
}

#[test]
fn tests_ask_what_the_policy_says_also_in_shadow() {
    let tests = r#"
tests:
  - { as: { tenant: acme, roles: [] }, do: "GET https://h/one", expect: { deny: policy.denied } }
  - { as: { tenant: acme, roles: [] }, do: "GET https://h/one", expect: { would_deny: policy.denied } }
  - { as: { tenant: acme, roles: [a] }, do: "GET https://h/one", expect: { allow: a } }
  - { as: { tenant: acme, roles: [] }, do: "GET https://h/one", expect: allow }
  - { as: { tenant: acme, roles: [a] }, do: "GET https://h/one", expect: { would_deny: policy.denied } }
"#;
    let results = compiled(&format!("{}{tests}", text("    mode: shadow\n", ""))).policy.run_cases();
    let passed: Vec<bool> = results.iter().map(|result| result.passed).collect();
    assert_eq!(passed, [true, true, true, false, false], "{results:?}");
    assert_eq!(results[3].got, "would deny policy.denied");
    let results = compiled(&format!("{}{tests}", text("", ""))).policy.run_cases();
    let passed: Vec<bool> = results.iter().map(|result| result.passed).collect();
    assert_eq!(passed, [true, false, true, false, false], "without shadow nothing would be denied: it is");
    let both = r#"
tests: [{ as: { tenant: acme, roles: [] }, do: "GET https://h/one", expect: { deny: policy.denied, would_deny: policy.denied } }]
"#;
    assert!(refused(&format!("{}{both}", text("    mode: shadow\n", ""))).contains("a test expects one thing"));
}

#[test]
fn an_explanation_says_that_it_passes_in_shadow() {
    let policy = compiled(&text("    mode: shadow\n", "")).policy;
    let question = Question {
        request: "GET https://h/one".parse().unwrap(),
        asker: Some(Asker {
            key: None,
            service: None,
            issuer: None,
            subject: "ada".parse().unwrap(),
            tenant: Some("acme".to_owned()),
            roles: [].into(),
            assurance: Assurance::default(),
        }),
        client: None,
        now: None,
        headers: Vec::new(),
    };
    let explanation = policy.explain(&question);
    assert!(explanation.allowed && explanation.would == Some(terms::Reason::PolicyDenied));
    assert!(explanation.to_string().ends_with("= allow, in shadow of deny policy.denied"), "{explanation}");
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!((&json["would"], &json["reason"]), (&"policy.denied".into(), &"allowed".into()));
}
