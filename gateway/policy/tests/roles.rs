use proptest::prelude::*;
use terms::RoleName;

use super::compiled;
use crate::{Decision, Denial, Facts, Policy};

const PERMISSIONS: [&str; 6] = ["a:read", "a:write", "b:read", "b:write", "c:read", "c:write"];

/// What one role says: which earlier roles it inherits, what it allows, what it denies.
type Drawn = (Vec<usize>, Vec<&'static str>, Vec<&'static str>);

fn grants() -> impl Strategy<Value = Vec<&'static str>> {
    let grant = prop::sample::select(vec![
        "a:read", "a:write", "b:read", "b:write", "c:read", "a:*", "*:read", "*:write", "*:*",
    ]);
    prop::collection::vec(grant, 0..3)
}

/// Roles `r0`, `r1`, …, each inheriting only from those before it.
fn roles() -> impl Strategy<Value = Vec<Drawn>> {
    prop::collection::vec((prop::collection::vec(0..100_usize, 0..3), grants(), grants()), 1..6)
}

fn text(roles: &[Drawn]) -> String {
    let mut text = "roles:\n".to_owned();
    for (place, (parents, allow, deny)) in roles.iter().enumerate() {
        let parents: Vec<String> =
            parents.iter().filter(|_| place > 0).map(|p| format!("r{}", p % place.max(1))).collect();
        text.push_str(&format!("  r{place}: {{ inherits: {parents:?}, allow: {allow:?}, deny: {deny:?} }}\n"));
    }
    text.push_str("routes:\n");
    for (place, permission) in PERMISSIONS.iter().enumerate() {
        text.push_str(&format!(
            "- {{ id: p{place}, match: {{ host: \"*\", path: /{place} }}, upstream: orders, \
             auth: {{ issuers: [dev], tenant_from: [token] }}, allow: {{ GET: \"{permission}\" }} }}\n"
        ));
    }
    text
}

fn allowed(policy: &Policy, roles: &[RoleName]) -> Vec<bool> {
    let decide = |route: &std::sync::Arc<crate::Route>| {
        matches!(policy.decide(route, &Facts::new("GET", roles)), Decision::Allow { .. })
    };
    policy.routes().iter().map(decide).collect()
}

fn names(places: &[usize], of: usize) -> Vec<RoleName> {
    places.iter().map(|place| format!("r{}", place % of).parse().unwrap()).collect()
}

/// The same question, asked of the text instead of the bits.
fn naive(roles: &[Drawn], member: &[usize]) -> Vec<bool> {
    fn line(roles: &[Drawn], role: usize, seen: &mut Vec<usize>) {
        seen.push(role);
        if role > 0 {
            roles[role].0.iter().for_each(|parent| line(roles, parent % role, seen));
        }
    }
    let mut all = Vec::new();
    member.iter().for_each(|role| line(roles, role % roles.len(), &mut all));
    let covers = |grants: &[&str], asked: &str| {
        let (resource, verb) = asked.split_once(':').unwrap();
        grants.iter().any(|grant| {
            let (r, v) = grant.split_once(':').unwrap();
            (r == "*" || r == resource) && (v == "*" || v == verb)
        })
    };
    let asked = PERMISSIONS.iter().map(|asked| {
        all.iter().any(|role| covers(&roles[*role].1, asked)) && !all.iter().any(|role| covers(&roles[*role].2, asked))
    });
    asked.collect()
}

proptest! {
    #[test]
    fn the_bits_say_what_the_text_says(drawn in roles(), member in prop::collection::vec(0..100_usize, 0..4)) {
        let policy = compiled(&text(&drawn)).policy;
        prop_assert_eq!(allowed(&policy, &names(&member, drawn.len())), naive(&drawn, &member));
    }

    #[test]
    fn adding_a_deny_never_opens(
        drawn in roles(),
        which in 0..100_usize,
        deny in grants(),
        member in prop::collection::vec(0..100_usize, 0..4),
    ) {
        let mut stricter = drawn.clone();
        let which = which % drawn.len();
        stricter[which].2.extend(deny);
        let member = names(&member, drawn.len());
        let before = allowed(&compiled(&text(&drawn)).policy, &member);
        let after = allowed(&compiled(&text(&stricter)).policy, &member);
        prop_assert!(before.iter().zip(&after).all(|(before, after)| *before || !after));
    }

    #[test]
    fn a_role_that_says_nothing_changes_nothing(drawn in roles(), member in prop::collection::vec(0..100_usize, 0..4)) {
        let mut more = drawn.clone();
        more.push((Vec::new(), Vec::new(), Vec::new()));
        let member = names(&member, drawn.len());
        let before = allowed(&compiled(&text(&drawn)).policy, &member);
        let policy = compiled(&text(&more)).policy;
        let mut with = member.clone();
        with.push(format!("r{}", drawn.len()).parse().unwrap());
        with.push("stranger".parse().unwrap());
        prop_assert_eq!(policy.unknown_roles(&with), 1);
        prop_assert_eq!(&before, &allowed(&policy, &member));
        prop_assert_eq!(before, allowed(&policy, &with));
    }
}

#[test]
fn a_decision_names_the_rule_and_a_method_without_a_permission_is_denied() {
    let text = r#"
roles:
  viewer: { allow: ["order:read"] }
  clerk:
    inherits: [viewer]
    allow: ["order:write"]
  auditor: { deny: ["*:write"] }
routes:
  - id: orders
    match: { host: "*", path: /orders }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token] }
    allow: { GET: "order:read", POST: "order:write" }
  - id: rest
    match: { host: "*", path: /rest }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token] }
    allow: { GET: "order:read", "*": "order:write" }
"#;
    let policy = compiled(text).policy;
    let decide = |path: &str, method: &str, roles: &[&str]| {
        let roles: Vec<RoleName> = roles.iter().map(|role| role.parse().unwrap()).collect();
        match policy.decide(policy.route("h", path, method).unwrap().route, &Facts::new(method, &roles)) {
            Decision::Allow { rule } | Decision::BreakGlass { rule, .. } => rule.to_string(),
            Decision::Deny(denial) => {
                assert_eq!(denial.reason(), terms::Reason::PolicyDenied);
                assert_eq!(denial.rule().is_some(), matches!(denial, Denial::Forbidden { .. }));
                denial.to_string()
            }
        }
    };
    for (path, method, roles, expected) in [
        ("/orders", "GET", &["clerk"][..], "p.yaml:3 viewer"),
        ("/orders", "POST", &["clerk"], "p.yaml:6 clerk"),
        ("/orders", "POST", &["viewer"], "no role grants `order:write`"),
        ("/orders", "POST", &["clerk", "auditor"], "`p.yaml:7 auditor` denies `order:write`"),
        ("/orders", "POST", &["auditor", "clerk"], "`p.yaml:7 auditor` denies `order:write`"),
        ("/orders", "HEAD", &["clerk"], "the route has no permission for this method"),
        ("/orders", "BREW", &["clerk"], "the route has no permission for this method"),
        ("/rest", "BREW", &["clerk"], "p.yaml:6 clerk"),
        ("/rest", "HEAD", &["viewer"], "no role grants `order:write`"),
        ("/orders", "GET", &["stranger"], "no role grants `order:read`"),
        ("/orders", "GET", &[], "no role grants `order:read`"),
    ] {
        assert_eq!(decide(path, method, roles), expected, "{method} {path} {roles:?}");
    }
}

#[test]
fn a_rule_is_short_and_plain_whatever_files_are_called() {
    use terms::Place;
    let rule = |file: &str, name: &str| crate::RuleId::new(&Place::new(&file.into(), 12, 3), name).to_string();
    assert_eq!(rule("policies/roles.yaml", "viewer"), "roles.yaml:12 viewer");
    assert_eq!(rule("a/b c\u{e9}\n.yaml", "viewer"), "b_c__.yaml:12 viewer");
    let long = rule(&"f".repeat(300), &"r".repeat(64));
    assert!(long.len() <= crate::RuleId::MAX && long.starts_with("ffffffffffff:12 rrr"), "{long}");
}

#[test]
fn the_hundredth_permission_is_as_good_as_the_first() {
    let mut text = "roles: { odd: { allow: [".to_owned();
    (0..200).filter(|n| n % 2 == 1).for_each(|n| text.push_str(&format!("\"p{n:03}:read\", ")));
    text.push_str("], deny: [\"p101:*\"] } }\nroutes:\n");
    for n in 0..200 {
        text.push_str(&format!(
            "- {{ id: r{n}, match: {{ host: \"*\", path: /{n} }}, upstream: orders, \
             auth: {{ issuers: [dev], tenant_from: [token] }}, allow: {{ GET: \"p{n:03}:read\" }} }}\n"
        ));
    }
    let allowed = allowed(&compiled(&text).policy, &["odd".parse().unwrap()]);
    let expected: Vec<bool> = (0..200).map(|n| n % 2 == 1 && n != 101).collect();
    assert_eq!(allowed, expected);
}
