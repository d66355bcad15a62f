use crate::{Source, compile};

const EXAMPLES: [Source<'static>; 5] = [
    Source { path: "policies/limits.yaml", text: include_str!("../../../policies/limits.yaml") },
    Source { path: "policies/orders.test.yaml", text: include_str!("../../../policies/orders.test.yaml") },
    Source { path: "policies/roles.yaml", text: include_str!("../../../policies/roles.yaml") },
    Source { path: "policies/routes.yaml", text: include_str!("../../../policies/routes.yaml") },
    Source { path: "policies/tenants.yaml", text: include_str!("../../../policies/tenants.yaml") },
];

#[test]
fn the_example_set_compiles_without_a_warning_and_passes_its_tests() {
    let mut known = super::known();
    known.issuers = [("dev".parse().unwrap(), tenancy::MembershipSource::Claims)].into();
    let compiled = compile(&EXAMPLES, &known).unwrap();
    assert_eq!(compiled.warnings.to_string(), "");
    let results = compiled.policy.run_cases();
    assert_eq!(results.len(), 25);
    for result in results {
        assert!(result.passed, "{}: {}: expected {}, got {}", result.place, result.title, result.expected, result.got);
    }
    let mut matrix = format!("{:<9}", "");
    for permission in compiled.policy.permissions() {
        matrix.push_str(&format!("{permission:<14}"));
    }
    for (role, row) in compiled.policy.matrix() {
        matrix.push_str(&format!("\n{:<9}", role.as_str()));
        for allowed in row {
            matrix.push_str(&format!("{:<15}", if allowed { "allow" } else { "deny" }));
        }
    }
    let matrix: Vec<&str> = matrix.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(matrix.join("\n"), @r#"
         file:readfile:writeorder:deleteorder:exportorder:readorder:writeprofile:readprofile:writestream:read
admin    allow          allow          allow          allow          allow          allow          deny           deny           allow
auditor  allow          deny           deny           deny           allow          deny           allow          deny           allow
clerk    allow          allow          deny           allow          allow          allow          deny           deny           allow
support  deny           deny           deny           deny           allow          deny           allow          allow          deny
user     deny           deny           deny           deny           deny           deny           allow          allow          deny
viewer   allow          deny           deny           deny           allow          deny           deny           deny           allow
"#);
}

#[test]
fn the_digest_of_a_policy_does_not_depend_on_the_order_of_its_files() {
    let mut turned = EXAMPLES;
    turned.reverse();
    assert_eq!(crate::canonical_bytes(&EXAMPLES), crate::canonical_bytes(&turned));
    let [first, ..] = EXAMPLES;
    let moved = [Source { path: "x", text: first.text }];
    assert_ne!(crate::canonical_bytes(&[first]), crate::canonical_bytes(&moved));
}
