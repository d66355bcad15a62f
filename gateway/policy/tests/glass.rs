//! What people may do beyond their roles when they must and say why.

use proptest::prelude::*;
use terms::Reason;

use super::{compiled, refused};
use crate::{Asker, Assurance, Caller, Decision, Denial, Facts, Policy, Proof, Question, ShownKey, Turn};

const TEXT: &str = r#"
tenants: { clinic: { status: active }, other: { status: active } }
delegated: ["patient:read"]
roles:
  nurse: { allow: ["ward:read"] }
  physician:
    inherits: [nurse]
    allow: ["patient:read@own"]
    break_glass:
      allow: ["patient:read", { permission: "patient:write", when: 'request.params.id != "vip"' }]
      justification: { header: X-Justification, min_length: 10 }
  chief: { inherits: [physician], allow: ["patient:read"] }
  suspended: { deny: ["patient:*"] }
  remote: { inherits: [physician], allow: [{ permission: "patient:read", when: 'ip_in(request.client, "10.0.0.0/8")' }] }
routes:
  - id: patients
    match: { host: "*", path: "/patients/{id}" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token], api_keys: true }
    owner: { parameter: id, issuer: dev }
    allow: { GET: "patient:read", PUT: "patient:write", DELETE: "ward:read" }
    when: 'request.params.id != "sealed"'
"#;

const WHY: &str = "cardiac arrest in ward 3";

fn question(request: &str, roles: &str, why: &[&str]) -> Question {
    Question {
        request: request.replace(" /", " https://clinic.test/patients/").parse().unwrap(),
        asker: Some(Asker {
            key: None,
            service: None,
            issuer: Some("dev".parse().unwrap()),
            subject: "ada".parse().unwrap(),
            tenant: Some("clinic".to_owned()),
            roles: roles.split_ascii_whitespace().map(|role| role.parse().unwrap()).collect(),
            assurance: Assurance::default(),
        }),
        client: None,
        now: None,
        headers: why.iter().map(|why| ("x-justification".to_owned(), (*why).to_owned())).collect(),
    }
}

fn outcome(policy: &Policy, question: &Question) -> String {
    let explained = policy.explain(question);
    let glass = explained.steps.iter().any(|step| step.text.starts_with("no role grants it; the glass is broken by"));
    let word = if glass { "break_glass" } else { explained.reason.as_str() };
    let rule = explained.rule.as_deref().and_then(|rule| rule.split_once(' ')).map(|(_, name)| format!(" {name}"));
    format!("{word}{}", rule.unwrap_or_default())
}

#[test]
fn whoever_says_why_may_do_what_a_role_lets_them_and_no_deny_or_condition_is_passed_by() {
    let policy = compiled(TEXT).policy;
    let wanted = "policy.justification physician";
    for (request, roles, why, expected) in [
        ("GET /ada", "physician", &[][..], "ok physician"),
        ("GET /bob", "physician", &[], wanted),
        ("GET /bob", "physician", &["too short"], wanted),
        ("GET /bob", "physician", &["with a bell \u{7} in it"], wanted),
        ("GET /bob", "physician", &[WHY, WHY], wanted),
        ("GET /bob", "physician", &[WHY], "break_glass physician"),
        ("GET /bob", "chief", &[], "ok chief"),
        ("GET /bob", "chief", &[WHY], "ok chief"),
        ("PUT /bob", "chief", &[WHY], "break_glass physician"),
        ("PUT /vip", "chief", &[WHY], "policy.denied"),
        ("PUT /vip", "chief", &[], "policy.denied"),
        ("GET /bob", "nurse", &[WHY], "policy.denied"),
        ("GET /bob", "physician suspended", &[WHY], "policy.denied suspended"),
        ("GET /bob", "suspended physician", &[], "policy.denied suspended"),
        // Nobody is told of a justification that would not help.
        ("GET /sealed", "physician", &[], "policy.denied patients"),
        ("GET /sealed", "physician", &[WHY], "policy.denied patients"),
        ("DELETE /bob", "physician", &[], "ok nurse"),
        // From where it comes nobody can say here, which is no reason to let an emergency wait.
        ("GET /bob", "remote", &[], wanted),
        ("GET /bob", "remote", &[WHY], "break_glass physician"),
        ("GET /bob", "remote suspended", &[WHY], "policy.denied suspended"),
    ] {
        let got = outcome(&policy, &question(request, roles, why));
        assert_eq!(
            got.replace("policy.allowed", "ok").replace("allowed", "ok"),
            expected,
            "{request} as {roles}: {why:?}"
        );
    }
}

#[test]
fn a_program_breaks_no_glass() {
    let policy = compiled(TEXT).policy;
    let mut asked = question("GET /bob", "physician", &[WHY]);
    let asker = asked.asker.as_mut().unwrap();
    asker.key = Some(ShownKey { id: "k1".to_owned(), standing: String::new(), refused: None });
    asker.issuer = Some("dev".parse().unwrap());
    assert_eq!(policy.explain(&asked).reason, Reason::PolicyDenied);
}

#[test]
fn what_is_wrong_with_a_glass_is_said_where_it_stands() {
    for (from, to, expected) in [
        ("header: X-Justification", "header: Authorization", "`Authorization`: this field proves who asks"),
        ("header: X-Justification", "header: X-Tenant-Id", "`X-Tenant-Id`: only Cloister writes this field"),
        ("header: X-Justification", "header: X-Cloister-Why", "only Cloister writes this field"),
        ("header: X-Justification", "header: Cookie", "`Cookie`: this field proves who asks"),
        ("header: X-Justification", "header: 'a b'", "the name of a field is letters, digits and `-`"),
        ("min_length: 10", "min_length: 0", "a justification has from 1 to 200 characters"),
        ("min_length: 10", "min_length: 201", "a justification has from 1 to 200 characters"),
        ("justification: {", "justified: {", "unknown key `justified` (known here: `allow`, `justification`)"),
        (
            "clinic: { status: active }",
            "clinic: { status: active, roles: { own: { break_glass: { allow: [\"patient:write\"], justification: { header: X-Why } } } } }",
            "`patient:write` is more than tenants may give",
        ),
        (
            "clinic: { status: active }",
            "clinic: { status: active, roles: { own: { inherits: [physician] } } }",
            "role `physician` grants `patient:write`, which is more than tenants may give",
        ),
    ] {
        assert!(TEXT.contains(from), "{from}");
        let said = refused(&TEXT.replacen(from, to, 1));
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn a_test_says_whether_it_means_what_roles_grant_or_what_was_justified() {
    let tests = r#"
tests:
  - { as: { tenant: clinic, user: ada, roles: [physician] }, do: GET https://c.test/patients/ada, expect: allow }
  - { as: { tenant: clinic, roles: [physician] }, do: GET https://c.test/patients/bob, headers: { X-Justification: cardiac arrest in ward 3 }, expect: break_glass }
  - { as: { tenant: clinic, roles: [chief] }, do: PUT https://c.test/patients/bob, headers: { x-justification: cardiac arrest in ward 3 }, expect: { break_glass: physician } }
  - { as: { tenant: clinic, roles: [physician] }, do: GET https://c.test/patients/bob, expect: { deny: policy.justification } }
  - { as: { tenant: clinic, roles: [physician] }, do: GET https://c.test/patients/bob, headers: { X-Justification: cardiac arrest in ward 3 }, expect: allow }
  - { as: { tenant: clinic, roles: [chief] }, do: GET https://c.test/patients/bob, headers: { X-Justification: cardiac arrest in ward 3 }, expect: break_glass }
matrices:
  - as: { doctor: { tenant: clinic, roles: [physician] }, nurse: { tenant: clinic, roles: [nurse] } }
    headers: { X-Justification: cardiac arrest in ward 3 }
    expect: { GET https://c.test/patients/bob: { doctor: break_glass, nurse: policy.denied } }
"#;
    let policy = compiled(&(TEXT.to_owned() + tests)).policy;
    let results = policy.run_cases();
    let passed: Vec<bool> = results.iter().map(|result| result.passed).collect();
    assert_eq!(passed, [true, true, true, true, false, false, true, true], "{results:#?}");
    assert_eq!(results[4].got, "break_glass by physician");
    assert_eq!(results[5].got, "allow by chief");
    assert!(policy.coverage().rules.iter().any(|(rule, seen)| rule.ends_with("physician: patient:write") && *seen));
}

#[test]
fn a_glass_that_comes_and_goes_is_told_by_diff_and_lint() {
    let with = compiled(TEXT).policy;
    let without = compiled(&TEXT.replace("\"patient:read\", {", "{")).policy;
    let gained: Vec<_> = without.compare(&with).into_iter().filter(|change| change.who == "role physician").collect();
    assert_eq!(gained.len(), 1, "{gained:?}");
    assert_eq!(gained[0].turn, Turn::Differs);
    assert_eq!(gained[0].before, "if own, when request.params.id != \"sealed\"");
    assert_eq!(
        gained[0].after,
        "if a justification of 10 characters in `x-justification` or own, when request.params.id != \"sealed\""
    );
    let none = compiled(
        &TEXT
            .replace("break_glass:\n      allow: [", "break_glass:\n      allow: [ #")
            .replace("allow: [ #", "allow: [] #"),
    )
    .policy;
    let gained = none.compare(&with);
    assert!(
        gained.iter().any(|change| change.turn == Turn::Gains
            && change.who == "role physician"
            && change.what.starts_with("PUT ")),
        "{gained:?}"
    );
    let text = TEXT.replace("allow: [\"patient:read\"] }\n  suspended", "allow: [\"patient:read\"], break_glass: { allow: [\"patient:read\", \"*:*\"], justification: { header: X-Why } } }\n  suspended");
    let said = compiled(&text).policy.lint().to_string();
    assert!(said.contains("role `chief` has `patient:read` anyway, so nobody needs to break a glass for it"), "{said}");
    assert!(said.contains("whoever has role `chief` may do everything by saying why"), "{said}");
}

#[test]
fn conditions_read_the_fields_that_they_name_in_either_case() {
    let text = TEXT.replace(
        "when: 'request.params.id != \"sealed\"'",
        "when: '!(\"x-hold\" in request.headers) || request.headers[\"X-Hold\"] == \"no\"'",
    );
    let policy = compiled(&text).policy;
    for (hold, expected) in [
        (&[][..], "ok"),
        (&["no"], "ok"),
        (&["yes"], "policy.denied"),
        (&["no", "no"], "policy.error"),
        (&[&*"n".repeat(1_025)], "policy.error"),
    ] {
        let mut asked = question("GET /bob", "chief", &[]);
        asked.headers = hold.iter().map(|value| ("x-hold".to_owned(), (*value).to_owned())).collect();
        let reason = policy.explain(&asked).reason;
        assert_eq!(reason.as_str().replace("policy.allowed", "ok").replace("allowed", "ok"), expected, "{hold:?}");
    }
    for (name, expected) in [
        ("authorization", "this field proves who asks"),
        ("Cookie", "this field proves who asks"),
        ("X-Api-Key", "this field proves who asks"),
        ("X-Tenant-Id", "only Cloister writes this field"),
        ("x-forwarded-for", "only Cloister writes this field"),
        ("Host", "this field says where a message ends or where it goes"),
    ] {
        let said =
            refused(&TEXT.replace("request.params.id != \"sealed\"", &format!("request.headers[\"{name}\"] != \"\"")));
        assert!(said.contains(expected), "{name}: {said}");
    }
}

/// Who asks, with a token.
fn decided(policy: &Policy, justified: bool) -> &'static str {
    let (issuer, subject) = ("dev".parse().unwrap(), "ada".parse().unwrap());
    let caller = Caller {
        issuer: &issuer,
        subject: &subject,
        by: Proof::Token,
        acr: None,
        amr: &[],
        age: None,
        scopes: Some(""),
        claimed: &[],
    };
    let roles = ["one", "two"].map(|role| role.parse().unwrap());
    let sent: Vec<(String, String)> =
        justified.then(|| ("x-why".to_owned(), "because it must be".to_owned())).into_iter().collect();
    let facts = Facts { caller: Some(caller), headers: Some(&sent), ..Facts::new("GET", &roles) };
    match policy.decide(&policy.routes()[0], &facts) {
        Decision::Allow { .. } => "allow",
        Decision::BreakGlass { .. } => "glass",
        Decision::Deny(Denial::Unjustified { .. }) => "unjustified",
        Decision::Deny(_) => "deny",
    }
}

/// Grants of one kind, as they are written: of this permission or another, always, on a condition that holds, that does not, or
/// that has a fault.
fn clauses() -> impl Strategy<Value = String> {
    let clause = prop::sample::select(vec![
        "\"p:a\"",
        "\"p:*\"",
        "\"p:b\"",
        "{ permission: \"p:a\", when: \"true\" }",
        "{ permission: \"p:a\", when: \"false\" }",
        "{ permission: \"p:a\", when: \"tenant.plan == 'gold'\" }",
    ]);
    prop::collection::vec(clause, 0..3).prop_map(|clauses| clauses.join(", "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// What may be justified is added to what roles grant, and to nothing else.
    #[test]
    fn broken_glass_opens_what_was_merely_not_granted_and_never_more_than_without_a_deny(
        allow in [clauses(), clauses()],
        deny in [clauses(), clauses()],
        glass in [clauses(), clauses()],
        more in clauses(),
        justified in any::<bool>(),
    ) {
        let compile = |deny: [&str; 2], glass: [&str; 2]| {
            let role = |at: usize| format!(
                "{{ allow: [{}], deny: [{}], break_glass: {{ allow: [{}], justification: {{ header: X-Why, min_length: 5 }} }} }}",
                allow[at], deny[at], glass[at],
            );
            let text = format!(
                "roles:\n  one: {}\n  two: {}\nroutes:\n  - {{ id: r, match: {{ host: \"*\", path: /r }}, upstream: orders, \
                 auth: {{ issuers: [dev], tenant_from: [token] }}, allow: {{ GET: \"p:a\", PUT: \"p:b\" }} }}\n",
                role(0), role(1),
            );
            compiled(&text).policy
        };
        let policy = compile([&deny[0], &deny[1]], [&glass[0], &glass[1]]);
        let (was, without) = (decided(&policy, justified), decided(&compile([&deny[0], &deny[1]], ["", ""]), justified));
        match was {
            "allow" => prop_assert_eq!(without, "allow"),
            "glass" => prop_assert!(justified && without == "deny"),
            "unjustified" => prop_assert!(!justified && without == "deny"),
            _ => prop_assert_eq!(without, "deny"),
        }
        let denied = [deny[0].as_str(), &more].iter().filter(|it| !it.is_empty()).copied().collect::<Vec<_>>().join(", ");
        let now = decided(&compile([&denied, &deny[1]], [&glass[0], &glass[1]]), justified);
        let rank = |word| ["deny", "unjustified", "glass", "allow"].iter().position(|known| *known == word);
        prop_assert!(now == was || rank(now) < rank(was) && now == "deny", "{was} became {now}");
        // Whoever has justified it gets no further in one way than somebody who has not in another.
        let other = decided(&policy, !justified);
        prop_assert!(was == other || [was, other].contains(&"glass") && [was, other].contains(&"unjustified"));
    }
}
