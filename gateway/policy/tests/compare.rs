use proptest::prelude::*;

use super::compiled;
use crate::{Decision, Facts, Policy, Turn};

const BEFORE: &str = r#"
tenants: { acme: { status: active }, globex: { status: active }, gone: { status: active } }
roles:
  viewer: { allow: ["order:read"] }
  clerk: { inherits: [viewer], allow: ["order:write"] }
members: { acme: { ada: [clerk], bob: [viewer] } }
plans: { gold: { per_tenant: { rate: 20/s, burst: 40 } } }
limits: { per_tenant: { rate: 10/s, burst: 20, key: [tenant] } }
services:
  billing: { authority: partners, san: "spiffe://p/billing", tenant: acme, roles: [viewer] }
routes:
  - { id: health, match: { host: "*", path: /healthz }, upstream: orders, auth: none }
  - { id: orders, match: { host: "{tenant}.a.test", path: "/orders/**" }, upstream: orders, auth: { issuers: [dev], tenant_from: [token, host] }, allow: { GET: "order:read", "*": "order:write" } }
  - { id: feed, match: { host: "a.test", path: /feed }, upstream: orders, auth: { authorities: [partners], tenant_from: [certificate] }, allow: { GET: "order:read" } }
"#;

/// One line a change.
fn changes(before: &str, after: &str) -> Vec<String> {
    let (before, after) = (compiled(before).policy, compiled(after).policy);
    let text = |change: crate::Change| {
        let crate::Change { turn, who, what, before, after } = change;
        format!("{turn} | {who} | {what} | {before} → {after}")
    };
    before.compare(&after).into_iter().map(text).collect()
}

#[test]
fn the_same_files_change_nothing_and_neither_do_comments_and_order() {
    assert_eq!(changes(BEFORE, BEFORE), Vec::<String>::new());
    let other = BEFORE.replace("roles:\n  viewer", "# said otherwise\nroles:\n\n  viewer");
    assert_eq!(changes(BEFORE, &other), Vec::<String>::new());
}

#[test]
fn who_gains_and_who_loses_is_said_with_what_it_is_about() {
    let cases: [(&str, &str, &[&str]); 13] = [
        (
            r#"viewer: { allow: ["order:read"] }"#,
            r#"viewer: { allow: ["order:*"] }"#,
            &[
                "gains | role viewer | DELETE,HEAD,OPTIONS,OTHER,PATCH,POST,PUT {tenant}.a.test/orders/** | policy.denied → allowed",
            ],
        ),
        ("inherits: [viewer], ", "", &["loses | role clerk | GET {tenant}.a.test/orders/** | allowed → policy.denied"]),
        (
            r#"allow: ["order:write"] }"#,
            r#"allow: ["order:write"], deny: ["order:read"] }"#,
            &["loses | role clerk | GET {tenant}.a.test/orders/** | allowed → policy.denied"],
        ),
        (
            "path: /healthz }",
            "path: /healthz, methods: [GET] }",
            &["loses | everybody | DELETE,HEAD,OPTIONS,OTHER,PATCH,POST,PUT */healthz | allowed → route.unknown"],
        ),
        (
            "auth: { issuers: [dev], tenant_from: [token, host] }",
            "auth: { issuers: [dev], tenant_from: [token, host], acr: [gold] }",
            &["differs | route orders | acr | none → gold"],
        ),
        (
            "gone: { status: active }",
            "gone: { status: suspended }, initech: { status: active }",
            &[
                "gains | tenant initech | status | unknown → active",
                "loses | tenant gone | status | active → suspended",
            ],
        ),
        (
            "globex: { status: active }",
            "globex: { status: active, mfa: required, clients: { allow: [\"192.0.2.0/24\"] } }",
            &[
                "differs | tenant globex | clients | everywhere → 192.0.2.0-192.0.2.255",
                "differs | tenant globex | mfa | none → amr mfa",
            ],
        ),
        (
            "rate: 10/s, burst: 20, key: [tenant]",
            "rate: 5/s, burst: 20, key: [tenant, route]",
            &[
                "differs | limit per_tenant | key | tenant → tenant, route",
                "differs | limit per_tenant | of everybody | 10/s, 20 at once → 5/s, 20 at once",
            ],
        ),
        (
            r#"viewer: { allow: ["order:read"] }"#,
            r#"viewer: { allow: [{ permission: "order:read", when: "tenant.plan == 'gold'" }] }"#,
            &[
                "loses | role clerk | GET {tenant}.a.test/orders/** | allowed → if `tenant.plan == 'gold'`",
                "loses | role viewer | GET {tenant}.a.test/orders/** | allowed → if `tenant.plan == 'gold'`",
                "loses | service billing | GET a.test/feed | allowed → if `tenant.plan == 'gold'`",
            ],
        ),
        (
            r#"allow: ["order:write"] }"#,
            r#"allow: ["order:write", { permission: "order:read", when: "false" }] }"#,
            &[],
        ),
        (
            r#"allow: { GET: "order:read", "*": "order:write" } }"#,
            r#"allow: { GET: "order:read", "*": "order:write" }, mode: shadow }"#,
            &[
                "gains | role viewer | DELETE,HEAD,OPTIONS,OTHER,PATCH,POST,PUT {tenant}.a.test/orders/** | policy.denied → in shadow: policy.denied",
                "differs | route orders | mode | enforce → shadow",
            ],
        ),
        (
            "ada: [clerk], bob: [viewer]",
            "ada: [viewer], eve: [viewer]",
            &[
                "gains | user eve of acme | roles | not a member → viewer",
                "loses | user bob of acme | roles | viewer → not a member",
                "differs | user ada of acme | roles | clerk → viewer",
            ],
        ),
        (
            "tenant: acme, roles: [viewer]",
            "tenant: acme, roles: []",
            &[
                "loses | service billing | GET a.test/feed | allowed → policy.denied",
                "differs | service billing | roles | viewer → none",
            ],
        ),
    ];
    for (from, to, expected) in cases {
        assert!(BEFORE.contains(from), "{from}");
        assert_eq!(changes(BEFORE, &BEFORE.replacen(from, to, 1)), expected, "{to}");
    }
}

/// A route that is closer takes a part of another one's paths: what changes there is found without anybody naming a path.
#[test]
fn a_closer_route_is_found_to_open_a_part_of_another() {
    let public = "  - { id: export, match: { host: \"{tenant}.a.test\", path: \"/{any}/export\" }, upstream: orders, auth: none }\n";
    let changed = changes(BEFORE, &format!("{BEFORE}{public}"));
    assert!(
        changed.iter().any(|it| it.starts_with("gains | everybody | * {tenant}.a.test/{any}/export")),
        "{changed:?}"
    );
    let literal = public.replace("/{any}/export", "/orders/export");
    let changed = changes(BEFORE, &format!("{BEFORE}{literal}"));
    assert_eq!(
        changed,
        [
            "gains | everybody | * {tenant}.a.test/orders/export | auth.missing → allowed",
            "loses | role clerk | * {tenant}.a.test/orders/export | allowed → route.unknown",
            "loses | role viewer | GET {tenant}.a.test/orders/export | allowed → route.unknown",
        ]
    );
}

fn allows(policy: &Policy, path: &str, method: &str, role: &str) -> bool {
    let Some(matched) = policy.route("acme.a.test", path, method) else { return false };
    let roles = [role.parse().unwrap()];
    matches!(policy.decide(matched.route, &Facts::new(method, &roles)), Decision::Allow { .. })
}

/// Routes of a few words, parameters and rests, each asking for one of three permissions.
fn drawn() -> impl Strategy<Value = String> {
    let paths = ["/a", "/a/b", "/a/{x}", "/{y}/b", "/a/**", "/**", "/{y}/{z}/**", "/a/b/c"];
    let routes = prop::collection::btree_map(prop::sample::select(paths.to_vec()), 0..3_usize, 1..6);
    let grants = prop::collection::vec(prop::sample::select(vec!["p:a", "p:b", "p:c", "p:*"]), 0..3);
    (routes, grants.clone(), grants).prop_map(|(routes, one, two)| {
        let mut text =
            format!("roles:\n  one: {{ allow: {one:?} }}\n  two: {{ allow: {two:?}, deny: [\"p:c\"] }}\nroutes:\n");
        for (place, (path, asks)) in routes.iter().enumerate() {
            let asks = ["p:a", "p:b", "p:c"][*asks];
            text.push_str(&format!(
                "  - {{ id: r{place}, match: {{ host: \"*\", path: \"{path}\" }}, upstream: orders, \
                 auth: {{ issuers: [dev], tenant_from: [token] }}, allow: {{ GET: \"{asks}\" }} }}\n"
            ));
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever request anybody thinks of: if a role gains or loses it, that is said of the role.
    #[test]
    fn no_request_is_gained_or_lost_in_silence(
        before in drawn(),
        after in drawn(),
        words in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d"]), 1..5),
        slash in any::<bool>(),
    ) {
        let (before, after) = (compiled(&before).policy, compiled(&after).policy);
        let path: String = words.iter().map(|word| format!("/{word}")).collect();
        let path = if slash { path + "/" } else { path };
        let changes = before.compare(&after);
        for role in ["one", "two"] {
            let (was, will_be) = (allows(&before, &path, "GET", role), allows(&after, &path, "GET", role));
            let turn = match (was, will_be) {
                (false, true) => Turn::Gains,
                (true, false) => Turn::Loses,
                _ => continue,
            };
            let who = format!("role {role}");
            prop_assert!(changes.iter().any(|change| change.turn == turn && change.who == who), "{path} {turn} {changes:?}");
        }
    }
}
