//! Budget: with 1,000 routes and 100 roles a decision takes less than 1 µs and allocates nothing.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::Criterion;
use policy::{Decision, Facts, Policy};
use terms::RoleName;

use crate::{allocations, world};

const ROUTES: usize = 1_000;
const ROLES: usize = 100;

pub(crate) fn bench(criterion: &mut Criterion) {
    let policy = policy();
    let paths: Vec<String> = (0..ROUTES).map(|route| format!("/api/v1/things-{route}/7f3a/lines/12")).collect();
    // The member has five roles, of which the last grants it.
    let roles = |route: usize| -> Vec<RoleName> {
        (0..5).rev().map(|n| format!("role-{}", (route + n) % ROLES).parse().expect("a role")).collect()
    };
    let members: Vec<_> = (0..ROUTES).map(roles).collect();
    let mut asked = paths.iter().zip(&members).cycle();
    let mut ask = || {
        let (path, roles) = asked.next().expect("a request");
        let matched = policy.route("acme.app.example.com", black_box(path), "GET").expect("a route");
        match policy.decide(matched.route, &Facts::new("GET", roles)) {
            Decision::Allow { rule } => rule.as_str().len(),
            Decision::Deny(_) => 0,
        }
    };
    let (count, granted) = allocations::during(|| (0..ROUTES).all(|_| ask() > 0));
    assert!(granted, "every request is granted by the last of the roles");
    assert_eq!(count, 0, "a decision allocates nothing");
    criterion.bench_function("decide", |bencher| bencher.iter(|| black_box(ask())));
}

fn policy() -> Policy {
    let mut text = String::from("roles:\n");
    for role in 0..ROLES {
        let allowed: Vec<String> =
            (0..ROUTES).filter(|route| route % ROLES == role).map(|route| format!("\"thing-{route}:read\"")).collect();
        writeln!(text, "  role-{role}: {{ allow: [{}] }}", allowed.join(", ")).expect("a line");
    }
    text.push_str("routes:\n");
    for route in 0..ROUTES {
        write!(
            text,
            r#"
  - id: things-{route}
    match: {{ host: "{{tenant}}.app.example.com", path: "/api/v1/things-{route}/{{id}}/lines/**" }}
    upstream: orders
    auth: {{ issuers: [main], tenant_from: [token, host] }}
    allow: {{ GET: "thing-{route}:read" }}
"#
        )
        .expect("a route");
    }
    world::compile(&text, &["main".parse().expect("an issuer")])
}
