//! Budget: with 1,000 routes and 100 roles a decision takes less than 1 µs and allocates nothing, also where it counts on
//! conditions; and 10,000 routes are compiled in less than a second.

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use criterion::Criterion;
use policy::{Caller, Decision, Facts, Policy, Proof};
use terms::RoleName;

use crate::{allocations, world};

const ROUTES: usize = 1_000;
const ROLES: usize = 100;

pub(crate) fn bench(criterion: &mut Criterion) {
    let policy = policy(ROUTES, Counts::Always);
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
            Decision::Allow { rule } | Decision::BreakGlass { rule, .. } => rule.as_str().len(),
            Decision::Deny(_) => 0,
        }
    };
    let (count, granted) = allocations::during(|| (0..ROUTES).all(|_| ask() > 0));
    assert!(granted, "every request is granted by the last of the roles");
    assert_eq!(count, 0, "a decision allocates nothing");
    criterion.bench_function("decide", |bencher| bencher.iter(|| black_box(ask())));
    conditional(criterion, &paths, &members);
    compile(criterion);
}

/// The same, where each grant and each route counts on a condition of two or three parts.
fn conditional(criterion: &mut Criterion, paths: &[String], members: &[Vec<RoleName>]) {
    let policy = policy(ROUTES, Counts::OnConditions);
    let tenant = policy.tenants().get("acme").expect("a tenant");
    let (issuer, subject) = ("main".parse().expect("an issuer"), "ada".parse().expect("a subject"));
    let (by, acr, amr, age) = (Proof::Token, Some("gold"), &[][..], Some(Duration::from_secs(60)));
    let (scopes, claimed) = (Some(""), &[][..]);
    let caller = Caller { issuer: &issuer, subject: &subject, by, acr, amr, age, scopes, claimed };
    let mut asked = paths.iter().zip(members).cycle();
    let mut ask = || {
        let (path, roles) = asked.next().expect("a request");
        let host = "acme.app.example.com";
        let matched = policy.route(host, black_box(path), "GET").expect("a route");
        let client = Some(IpAddr::from([10, 1, 2, 3]));
        let now = Some(UNIX_EPOCH + Duration::from_secs(1_795_768_200));
        let (caller, tenant) = (Some(caller), Some(tenant));
        let facts = Facts { method: "GET", host, path, client, now, caller, tenant, roles, headers: None };
        match policy.decide(matched.route, &facts) {
            Decision::Allow { rule } | Decision::BreakGlass { rule, .. } => rule.as_str().len(),
            Decision::Deny(_) => 0,
        }
    };
    let (count, granted) = allocations::during(|| (0..ROUTES).all(|_| ask() > 0));
    assert!(granted, "every request is granted by the last of the roles");
    assert_eq!(count, 0, "a decision on conditions allocates nothing");
    criterion.bench_function("decide on conditions", |bencher| bencher.iter(|| black_box(ask())));
}

fn compile(criterion: &mut Criterion) {
    let issuers = ["main".parse().expect("an issuer")];
    for (name, counts) in
        [("compile 10,000 routes", Counts::Always), ("compile 10,000 conditions", Counts::OnConditions)]
    {
        let text = text(10_000, counts);
        criterion.bench_function(name, |bencher| bencher.iter(|| black_box(world::compile(&text, &issuers))));
    }
}

/// On what grants and routes count.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Counts {
    Always,
    OnConditions,
}

fn policy(routes: usize, counts: Counts) -> Policy {
    world::compile(&text(routes, counts), &["main".parse().expect("an issuer")])
}

fn text(routes: usize, counts: Counts) -> String {
    let mut text = String::from("tenants: { acme: { status: active, plan: gold } }\nroles:\n");
    let grant = |route: usize| match counts {
        Counts::Always => format!("\"thing-{route}:read\""),
        Counts::OnConditions => {
            format!(
                "{{ permission: \"thing-{route}:read\", when: 'tenant.plan == \"gold\" && caller.age < duration(\"1h\")' }}"
            )
        }
    };
    let when = match counts {
        Counts::Always => "",
        Counts::OnConditions => {
            "    when: 'request.params.id.size() < 9 && now.getHours(\"Europe/Berlin\") < 18 && ip_in(request.client, \"10.0.0.0/8\")'\n"
        }
    };
    for role in 0..ROLES {
        let allowed: Vec<String> = (0..routes).filter(|route| route % ROLES == role).map(grant).collect();
        writeln!(text, "  role-{role}: {{ allow: [{}] }}", allowed.join(", ")).expect("a line");
    }
    text.push_str("routes:\n");
    for route in 0..routes {
        write!(
            text,
            r#"
  - id: things-{route}
    match: {{ host: "{{tenant}}.app.example.com", path: "/api/v1/things-{route}/{{id}}/lines/**" }}
    upstream: orders
    auth: {{ issuers: [main], tenant_from: [token, host] }}
    allow: {{ GET: "thing-{route}:read" }}
{when}"#
        )
        .expect("a route");
    }
    text
}
