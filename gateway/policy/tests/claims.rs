//! What tokens say besides who somebody is, in conditions.

use super::{known, refused};
use crate::{ClaimForm, Compiled, Known, KnownClaim, Source, compile};

const TEXT: &str = r#"
tenants: { acme: { status: active } }
roles:
  texts: { allow: [{ permission: "order:read", when: 'has(caller.claims.org) && caller.claims.org == "o-1"' }] }
  numbers: { allow: [{ permission: "order:read", when: 'caller.claims.seats >= 5' }] }
  bools: { allow: [{ permission: "order:read", when: 'caller.claims.beta' }] }
  lists: { allow: [{ permission: "order:read", when: '"eu" in caller.claims.regions' }] }
  scoped: { allow: [{ permission: "order:read", when: '"orders.read" in caller.scopes' }] }
routes:
  - id: orders
    match: { host: "*", path: "/orders" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token] }
    allow: { GET: "order:read" }
tests:
"#;

fn with_claims() -> Known {
    let forms = [
        ("org", ClaimForm::Text),
        ("seats", ClaimForm::Number),
        ("beta", ClaimForm::Bool),
        ("regions", ClaimForm::Texts),
    ];
    let claims = forms.into_iter().enumerate();
    let claims = claims.map(|(place, (name, form))| (name.parse().unwrap(), KnownClaim { place, form })).collect();
    Known { claims, ..known() }
}

fn compiled(text: &str) -> Result<Compiled, String> {
    compile(&[Source { path: "p.yaml", text }], &with_claims()).map_err(|findings| findings.to_string())
}

#[test]
fn a_claim_is_of_its_type_and_what_a_token_does_not_say_is_not_there() {
    let cases = [
        ("texts", "claims: { org: o-1 }", "allow"),
        ("texts", "claims: { org: o-2 }", "{ deny: policy.denied }"),
        ("texts", "", "{ deny: policy.denied }"),
        ("numbers", "claims: { seats: \"5\" }", "allow"),
        ("numbers", "claims: { seats: \"-5\" }", "{ deny: policy.denied }"),
        ("numbers", "claims: { org: o-1 }", "{ deny: policy.error }"),
        ("bools", "claims: { beta: \"true\" }", "allow"),
        ("bools", "claims: { beta: \"false\" }", "{ deny: policy.denied }"),
        ("bools", "", "{ deny: policy.error }"),
        ("lists", "claims: { regions: \"us, eu\" }", "allow"),
        ("lists", "claims: { regions: us }", "{ deny: policy.denied }"),
        ("lists", "claims: { regions: \"\" }", "{ deny: policy.denied }"),
        ("lists", "", "{ deny: policy.error }"),
        ("scoped", "scopes: [orders.read, openid]", "allow"),
        ("scoped", "scopes: [orders.readall]", "{ deny: policy.denied }"),
        ("scoped", "", "{ deny: policy.denied }"),
    ];
    let mut text = TEXT.to_owned();
    for (role, says, expect) in cases {
        text.push_str(&format!(
            "  - {{ as: {{ tenant: acme, roles: [{role}], {says} }}, do: GET https://h/orders, expect: {expect} }}\n"
        ));
    }
    let policy = compiled(&text).unwrap().policy;
    for (result, case) in policy.run_cases().iter().zip(cases) {
        assert!(result.passed, "{case:?}: {result:?}");
    }
}

#[test]
fn a_claim_that_nobody_asks_tokens_for_or_of_another_type_is_a_mistake() {
    let text = TEXT.trim_end_matches("tests:\n");
    for (from, to, expected) in [
        (
            "caller.claims.org == \"o-1\"",
            "caller.claims.ogr == \"o-1\"",
            "`caller.claims` has no `ogr` (did you mean `org`?)",
        ),
        ("caller.claims.seats >= 5", "caller.claims.seats >= \"5\"", "a number"),
        ("'caller.claims.beta'", "'caller.claims.beta == \"yes\"'", "true or false"),
        ("caller.claims.regions'", "caller.claims.org'", "expected a list or a map, found a text"),
    ] {
        assert!(text.contains(from), "{from}");
        let said = compiled(&text.replacen(from, to, 1)).unwrap_err();
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let said = refused(text);
    assert!(said.contains("`caller.claims` is not known") || said.contains("has no `claims`"), "{said}");
    let tests =
        "tests:\n  - { as: { tenant: acme, claims: { seats: many } }, do: GET https://h/orders, expect: allow }\n";
    assert!(compiled(&format!("{text}{tests}")).unwrap_err().contains("claim `seats` is not of its type"));
    let limit = "limits: { l: { rate: 1/s, burst: 1, key: [\"claim:regions\"] } }\n";
    assert!(
        compiled(&format!("{text}{limit}")).unwrap_err().contains("claim `regions` is neither a text nor a number")
    );
}
