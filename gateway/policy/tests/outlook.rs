use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use tenancy::{Status, Tenant};
use terms::RoleName;

use super::compiled;
use crate::outlook::Outlook;
use crate::{Decision, Facts};

const CONDITIONS: [&str; 5] = [
    "tenant.plan == 'gold'",
    "tenant.region == 'eu'",
    "now > timestamp('2026-01-01T00:00:00Z')",
    "has(tenant.plan) && tenant.plan != 'free'",
    "false",
];

fn clause() -> impl Strategy<Value = String> {
    let grant = prop::sample::select(vec!["p:a", "p:b", "p:*"]);
    (grant, prop::option::of(prop::sample::select(CONDITIONS.to_vec()))).prop_map(|(grant, when)| match when {
        Some(when) => format!("{{ permission: \"{grant}\", when: \"{when}\" }}"),
        None => format!("\"{grant}\""),
    })
}

fn role() -> impl Strategy<Value = String> {
    let clauses = |most| prop::collection::vec(clause(), 0..most);
    (clauses(3), clauses(2))
        .prop_map(|(allow, deny)| format!("{{ allow: [{}], deny: [{}] }}", allow.join(", "), deny.join(", ")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// What is said without a request holds for every request: an outlook is never brighter and never darker than what comes.
    #[test]
    fn an_outlook_is_what_comes_of_every_request(
        one in role(),
        two in role(),
        when in prop::option::of(prop::sample::select(CONDITIONS.to_vec())),
        plan in prop::option::of(prop::sample::select(vec!["gold", "free"])),
        region in prop::option::of(prop::sample::select(vec!["eu", "us"])),
        now in prop::option::of(prop::sample::select(vec![1_700_000_000_u64, 1_800_000_000])),
    ) {
        let when = when.map(|when| format!(", when: \"{when}\"")).unwrap_or_default();
        let text = format!(
            "roles:\n  one: {one}\n  two: {two}\nroutes:\n  - {{ id: r, match: {{ host: \"*\", path: /r }}, upstream: orders, \
             auth: {{ issuers: [dev], tenant_from: [token] }}, allow: {{ GET: \"p:a\" }}{when} }}\n"
        );
        let policy = compiled(&text).policy;
        let roles: Vec<RoleName> = ["one", "two"].iter().map(|role| role.parse().unwrap()).collect();
        let mut tenant = Tenant::new("acme".parse().unwrap(), Status::Active);
        tenant.plan = plan.map(|plan| plan.parse().unwrap());
        tenant.region = region.map(|region| region.parse().unwrap());
        let now = now.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        let facts = Facts { tenant: Some(&tenant), now, ..Facts::new("GET", &roles) };
        let route = &policy.routes()[0];
        let allowed = matches!(policy.decide(route, &facts), Decision::Allow { .. });
        match policy.outlook(route, "GET", Some("acme"), &roles) {
            Outlook::Allowed => prop_assert!(allowed, "{text}"),
            Outlook::Refused(_) => prop_assert!(!allowed, "{text}"),
            Outlook::Depends(_) => {}
            Outlook::Shadowed(_) => prop_assert!(false, "no route is in shadow"),
        }
    }
}
