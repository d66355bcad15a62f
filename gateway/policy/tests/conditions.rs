use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use terms::Reason;

use super::{compiled, refused};
use crate::{Asker, Assurance, Policy, Question};

const TEXT: &str = r#"
tenants:
  acme: { status: active, plan: gold, region: eu }
  globex: { status: active }
roles:
  clerk:
    allow: ["order:read", "profile:read@own", { permission: "order:write", when: 'tenant.plan == "gold"' }]
  approver:
    allow: ["order:approve"]
    deny: ["order:approve@own", { permission: "order:*", when: 'now.getDayOfWeek("Europe/Berlin") in [0, 6]' }]
  auditor: { allow: [{ permission: "order:read", when: 'ip_in(request.client, "10.0.0.0/8") && caller.age < duration("1h")' }] }
routes:
  - id: orders
    match: { host: "{tenant}.localhost", path: "/api/orders/{id}" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { GET: "order:read", PUT: "order:write" }
    when: 'request.params.id.size() < 9 && (request.method == "GET" || now.getHours("Europe/Berlin") < 18)'
  - id: approvals
    match: { host: "{tenant}.localhost", path: "/api/{user}/approvals" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token, host] }
    owner: user
    allow: { POST: "order:approve" }
  - id: profiles
    match: { host: "{tenant}.localhost", path: "/api/profiles/{user}" }
    upstream: orders
    auth: { issuers: [dev, corp], tenant_from: [token, host] }
    owner: { parameter: user, issuer: dev }
    allow: { GET: "profile:read" }
  - id: directory
    match: { host: "{tenant}.localhost", path: "/api/directory/{user}" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { GET: "profile:read" }
members: { acme: { ada: [clerk] } }
"#;

/// Friday, 27 November 2026, 09:30 in Berlin.
const FRIDAY: u64 = 1_795_768_200;

#[derive(Clone, Copy)]
struct Who {
    issuer: &'static str,
    tenant: &'static str,
    role: &'static str,
    now: Option<u64>,
    client: Option<&'static str>,
    age: Option<u64>,
}

const CLERK: Who = Who { issuer: "dev", tenant: "acme", role: "clerk", now: Some(FRIDAY), client: None, age: None };

fn question(request: &str, who: Who) -> Question {
    Question {
        request: request.replace("//t.", &format!("//{}.", who.tenant)).parse().unwrap(),
        asker: Some(Asker {
            key: None,
            service: None,
            issuer: Some(who.issuer.parse().unwrap()),
            subject: "ada".parse().unwrap(),
            tenant: Some(who.tenant.to_owned()),
            roles: [who.role.parse().unwrap()].into(),
            assurance: Assurance { age: who.age.map(Duration::from_secs), ..Assurance::default() },
        }),
        client: who.client.map(|client| client.parse().unwrap()),
        now: who.now.map(|now| UNIX_EPOCH + Duration::from_secs(now)),
        headers: Vec::new(),
    }
}

#[test]
fn a_condition_decides_and_what_cannot_be_worked_out_lets_nothing_through() {
    let policy = compiled(TEXT).policy;
    let (order, approval, profile) = (
        "GET https://t.localhost/api/orders/7",
        "POST https://t.localhost/api/bob/approvals",
        "GET https://t.localhost/api/profiles/ada",
    );
    let put = "PUT https://t.localhost/api/orders/7";
    let approver = Who { role: "approver", ..CLERK };
    let auditor = Who { role: "auditor", client: Some("10.1.1.1"), age: Some(60), ..CLERK };
    for (request, who, expected) in [
        (order, CLERK, Reason::Allowed),
        ("GET https://t.localhost/api/orders/123456789", CLERK, Reason::PolicyDenied),
        (put, CLERK, Reason::Allowed),
        (put, Who { tenant: "globex", ..CLERK }, Reason::PolicyError), // it has no plan
        (put, Who { now: Some(FRIDAY + 10 * 3_600), ..CLERK }, Reason::PolicyDenied),
        (put, Who { now: None, ..CLERK }, Reason::PolicyError),
        (order, Who { now: None, ..CLERK }, Reason::Allowed), // `||` needs no time for a GET
        (approval, approver, Reason::Allowed),
        (&approval.replace("bob", "ada"), approver, Reason::PolicyDenied),
        (approval, Who { now: Some(FRIDAY + 86_400), ..approver }, Reason::PolicyDenied),
        (approval, Who { now: None, ..approver }, Reason::PolicyError), // a deny that cannot be worked out denies
        (&approval.replace("bob", "ada"), Who { now: None, ..approver }, Reason::PolicyDenied), // the other one decides
        (profile, CLERK, Reason::Allowed),
        ("GET https://t.localhost/api/profiles/bob", CLERK, Reason::PolicyDenied),
        (profile, Who { issuer: "corp", ..CLERK }, Reason::PolicyDenied), // another ada
        ("GET https://t.localhost/api/directory/ada", CLERK, Reason::PolicyDenied), // no route says that it is hers
        (order, auditor, Reason::Allowed),
        (order, Who { client: Some("192.0.2.1"), ..auditor }, Reason::PolicyDenied),
        (order, Who { client: Some("192.0.2.1"), age: None, ..auditor }, Reason::PolicyDenied),
        (order, Who { client: None, ..auditor }, Reason::PolicyError),
        (order, Who { age: Some(3_600), ..auditor }, Reason::PolicyDenied),
        (order, Who { age: None, ..auditor }, Reason::PolicyError),
    ] {
        let explanation = policy.explain(&question(request, who));
        assert_eq!(explanation.reason, expected, "{explanation}");
    }
}

#[test]
fn what_is_wrong_in_a_condition_is_said_where_it_stands() {
    insta::assert_snapshot!(refused(r#"
roles:
  a: { allow: [{ permission: "x:read", when: "tenant.plna == \"gold\"" }, "x:write@mine"] }
  b: { deny: [{ permission: "x:read", when: 'caller.roles.exists(it, it == ''x'')' }, { permission: "x:read" }] }
  c: { allow: ["y:read@own"], deny: ["x:read@own"] }
routes:
  - id: one
    match: { host: "*", path: "/a/{id}" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token] }
    allow: { GET: "x:read", PUT: "x:write" }
    when: |
      request.method == "GET"
        && request.params.ib == "7"
        && now.getHours("Europe/Berlni") > 8
  - id: two
    match: { host: "*", path: "/b/{user}" }
    upstream: orders
    auth: { issuers: [dev, corp], tenant_from: [token] }
    allow: { GET: "y:read" }
    owner: user
    when: tenant.id
  - id: three
    match: { host: "*", path: "/c/{user}" }
    upstream: orders
    auth: { issuers: [dev, corp], tenant_from: [token] }
    allow: { GET: "y:read" }
    owner: { parameter: usr, issuer: div }
  - id: four
    match: { host: "*", path: "/d/{user}" }
    upstream: orders
    auth: none
    owner: user
    when: "true"
"#), @r#"
p.yaml:3:54 `tenant` has no `plna` (did you mean `plan`?)
p.yaml:3:75 `@mine` is not known here (did you mean `@own`?)
p.yaml:4:53 `caller` has no `roles` (known here: `subject`, `issuer`, `acr`, `amr`, `age`, `is_service`, `api_key`, `scopes`)
p.yaml:4:87 key `when` is missing
p.yaml:14:27 `request.params` has no `ib` (did you mean `id`?)
p.yaml:15:25 `Europe/Berlni` is not a time zone (write for example `Europe/Berlin`, `UTC` or `+02:00`)
p.yaml:21:12 several vouch for callers here, and one name may be two callers (write `owner: { parameter: user, issuer: … }`)
p.yaml:22:11 expected true or false, found a text
p.yaml:28:25 the path has no parameter `usr` (did you mean `user`?)
p.yaml:28:38 this route takes no tokens of `div` (did you mean `dev`?)
p.yaml:33:12 on this route nobody has a resource of their own: no token names a user (take `owner` away)
p.yaml:34:11 a public route is for everybody, always (take `when` away, or say in `auth` whose tokens are accepted)
"#);
    let text = |roles: &str, more: &str| {
        format!(
            "roles: {roles}\nroutes:\n  - id: one\n    match: {{ host: \"*\", path: \"/a/{{id}}\" }}\n    upstream: orders\n    \
             auth: {{ issuers: [dev], tenant_from: [token] }}\n    allow: {{ GET: \"x:read\" }}\n{more}"
        )
    };
    insta::assert_snapshot!(refused(&text("{ a: { allow: [\"x:read@own\"] }, b: { allow: [\"x:read\"], deny: [\"*:read@own\"] } }", "")), @r#"
p.yaml:1:23 `x:read@own` is granted nowhere: route `one` does not say whose its resources are (write for example `owner: user` there)
p.yaml:1:71 route `one` does not say whose its resources are, so `*:read@own` cannot tell (write for example `owner: user` there)
"#);
    let other = "  - id: two\n    match: { host: \"*\", path: \"/b\" }\n    upstream: orders\n    auth: { issuers: [dev], tenant_from: [token] }\n    allow: { GET: \"x:read\" }\n";
    let warnings =
        compiled(&text("{ a: { allow: [{ permission: \"x:read\", when: 'request.params.id == \"7\"' }] } }", other))
            .warnings;
    insta::assert_snapshot!(warnings.to_string(), @r#"
p.yaml:1:53 route `two` has no parameter `id`, so this condition cannot be worked out there (ask for another permission there, or for `has(…)` first if that is meant)
"#);
}

#[test]
fn an_explanation_says_what_the_parts_of_a_condition_are_worth() {
    let policy = compiled(TEXT).policy;
    let evening = Who { now: Some(FRIDAY + 10 * 3_600), ..CLERK };
    let approver = Who { role: "approver", now: None, ..CLERK };
    let all = [
        policy.explain(&question("PUT https://t.localhost/api/orders/7", evening)),
        policy.explain(&question("PUT https://t.localhost/api/orders/7", Who { tenant: "globex", ..CLERK })),
        policy.explain(&question("POST https://t.localhost/api/bob/approvals", approver)),
        policy.explain(&question("GET https://t.localhost/api/profiles/bob", CLERK)),
    ];
    insta::assert_snapshot!(all.map(|explanation| explanation.to_string()).join("\n\n"), @r#"
PUT https://acme.localhost/api/orders/7
  route        + route `orders` ({tenant}.localhost/api/orders/{id}): the closest match  [p.yaml:13:5]
  authenticate + a token of `dev` for `ada`  [p.yaml:13:5]
  tenancy      + `token` names `acme`  [p.yaml:13:5]
  tenancy      + `host` names `acme`  [p.yaml:13:5]
  tenancy      + a member of `acme`, plan `gold`, region `eu` with clerk
  authorise      PUT asks for `order:write`  [p.yaml:13:5]
  authorise    + role `clerk` allows `order:write`, as its condition is met  [p.yaml:7:61]
  authorise        tenant.plan is "gold"  [p.yaml:7:82]
  authorise    - the condition of the route is not met  [p.yaml:18:11]
  authorise        request.params.id.size() < 9 is true  [p.yaml:18:11]
  authorise        (request.method == "GET" || now.getHours("Europe/Berlin") < 18) is false  [p.yaml:18:11]
  authorise        now is 2026-11-27T18:30:00Z  [p.yaml:18:11]
  authorise        request.method is "PUT"  [p.yaml:18:11]
  authorise        request.params.id is "7"  [p.yaml:18:11]
  authorise    - the condition of `p.yaml:18 orders` is not met  [p.yaml:13:5]
= deny policy.denied

PUT https://globex.localhost/api/orders/7
  route        + route `orders` ({tenant}.localhost/api/orders/{id}): the closest match  [p.yaml:13:5]
  authenticate + a token of `dev` for `ada`  [p.yaml:13:5]
  tenancy      + `token` names `globex`  [p.yaml:13:5]
  tenancy      + `host` names `globex`  [p.yaml:13:5]
  tenancy      + a member of `globex` with clerk
  authorise      PUT asks for `order:write`  [p.yaml:13:5]
  authorise    - role `clerk` allows `order:write`, on a condition that cannot be worked out: something that it asks for is not there  [p.yaml:7:61]
  authorise        tenant.plan is not there  [p.yaml:7:82]
  authorise    + the condition of the route is met  [p.yaml:18:11]
  authorise        request.params.id.size() < 9 is true  [p.yaml:18:11]
  authorise        (request.method == "GET" || now.getHours("Europe/Berlin") < 18) is true  [p.yaml:18:11]
  authorise        now is 2026-11-27T08:30:00Z  [p.yaml:18:11]
  authorise        request.method is "PUT"  [p.yaml:18:11]
  authorise        request.params.id is "7"  [p.yaml:18:11]
  authorise    - the condition of `p.yaml:7 clerk` cannot be worked out: something that it asks for is not there  [p.yaml:13:5]
= deny policy.error

POST https://acme.localhost/api/bob/approvals
  route        + route `approvals` ({tenant}.localhost/api/{user}/approvals): the closest match  [p.yaml:19:5]
  authenticate + a token of `dev` for `ada`  [p.yaml:19:5]
  tenancy      + `token` names `acme`  [p.yaml:19:5]
  tenancy      + `host` names `acme`  [p.yaml:19:5]
  tenancy      + a member of `acme`, plan `gold`, region `eu` with approver
  authorise      POST asks for `order:approve`  [p.yaml:19:5]
  authorise      role `approver` denies `order:approve@own`, and this is not  [p.yaml:10:12]
  authorise    - role `approver` denies `order:*`, on a condition that cannot be worked out: something that it asks for is not there  [p.yaml:10:47]
  authorise        now is not there  [p.yaml:10:64]
  authorise    + role `approver` allows `order:approve`  [p.yaml:9:13]
  authorise    - the condition of `p.yaml:10 approver` cannot be worked out: something that it asks for is not there  [p.yaml:19:5]
= deny policy.error

GET https://acme.localhost/api/profiles/bob
  route        + route `profiles` ({tenant}.localhost/api/profiles/{user}): the closest match  [p.yaml:25:5]
  authenticate + a token of `dev` for `ada`  [p.yaml:25:5]
  tenancy      + `token` names `acme`  [p.yaml:25:5]
  tenancy      + `host` names `acme`  [p.yaml:25:5]
  tenancy      + a member of `acme`, plan `gold`, region `eu` with clerk
  authorise      GET asks for `profile:read`  [p.yaml:25:5]
  authorise      role `clerk` allows `profile:read@own`, and this is not  [p.yaml:7:27]
  authorise    - no role grants `profile:read`  [p.yaml:25:5]
= deny policy.denied
"#);
}

#[test]
fn tests_in_files_say_what_time_it_is_and_where_the_client_is() {
    let tests = r#"
tests:
  - { as: { tenant: acme, roles: [clerk] }, do: "PUT https://acme.localhost/api/orders/7", now: "2026-11-27T08:30:00Z", expect: allow }
  - { as: { tenant: acme, roles: [clerk] }, do: "PUT https://acme.localhost/api/orders/7", now: "2026-11-27T19:30:00+01:00", expect: { deny: policy.denied } }
  - { as: { tenant: acme, roles: [clerk] }, do: "PUT https://acme.localhost/api/orders/7", expect: { deny: policy.error } }
  - { as: { tenant: acme, roles: [auditor], age: 1m }, from: 10.0.0.1, do: "GET https://acme.localhost/api/orders/7", expect: { allow: auditor } }
"#;
    let policy = compiled(&format!("{TEXT}{tests}")).policy;
    for result in policy.run_cases() {
        assert!(result.passed, "{result:?}");
    }
    insta::assert_snapshot!(refused(&format!("{TEXT}tests: [{{ do: 'GET https://acme.localhost/', now: yesterday, expect: allow }}]\n")), @r#"
p.yaml:37:51 `yesterday` is not a time (write for example `2026-11-27T09:30:00Z`)
"#);
}

/// On what a rule counts, and what that is worth for the requests below: true, false or a fault.
const PROVISOS: [(&str, Option<bool>); 6] = [
    ("", Some(true)),
    ("@own", Some(true)),
    ("true", Some(true)),
    ("false", Some(false)),
    ("tenant.plan == \"x\"", None),
    ("@own tenant.plan == \"x\"", None),
];

/// What one role says: its allows and denies, as places in [`PROVISOS`].
type Drawn = (Vec<usize>, Vec<usize>);

fn text(roles: &[Drawn], when: usize) -> String {
    let clause = |place: &usize| match PROVISOS[*place].0 {
        "" => "\"x:read\"".to_owned(),
        "@own" => "\"x:read@own\"".to_owned(),
        when => match when.strip_prefix("@own ") {
            Some(when) => format!("{{ permission: \"x:read@own\", when: '{when}' }}"),
            None => format!("{{ permission: \"x:read\", when: '{when}' }}"),
        },
    };
    let mut text = "tenants: { acme: { status: active } }\nroles:\n  never: { allow: [\"x:read\"] }\n".to_owned();
    for (place, (allow, deny)) in roles.iter().enumerate() {
        let [allow, deny] = [allow, deny].map(|list| list.iter().map(clause).collect::<Vec<_>>().join(", "));
        text.push_str(&format!("  r{place}: {{ allow: [{allow}], deny: [{deny}] }}\n"));
    }
    let when = if when == 0 { String::new() } else { format!("    when: '{}'\n", PROVISOS[when + 1].0) };
    text + "routes:\n  - id: one\n    match: { host: \"*\", path: \"/{user}\" }\n    upstream: orders\n    owner: user\n    \
            auth: { issuers: [dev], tenant_from: [token] }\n    allow: { GET: \"x:read\" }\n"
        + &when
}

fn judged(text: &str, roles: &[usize]) -> Reason {
    let policy: Policy = compiled(text).policy;
    let mut question = question("GET https://t.localhost/ada", CLERK);
    if let Some(asker) = &mut question.asker {
        asker.roles = roles.iter().map(|role| format!("r{role}").parse().unwrap()).collect();
    }
    let explanation = policy.explain(&question);
    // What is explained is what is decided: the last step and the outcome say the same.
    assert_eq!(explanation.allowed, explanation.to_string().contains("allowed by"), "{explanation}");
    assert_eq!(explanation.allowed, explanation.reason == Reason::Allowed);
    explanation.reason
}

/// `||` of three values.
fn any(mut values: impl Iterator<Item = Option<bool>> + Clone) -> Option<bool> {
    match values.clone().any(|one| one == Some(true)) {
        true => Some(true),
        false => values.all(|one| one.is_some()).then_some(false),
    }
}

fn naive(roles: &[Drawn], when: usize) -> Reason {
    let worth = |place: &usize| PROVISOS[*place].1;
    let denied = any(roles.iter().flat_map(|(_, deny)| deny).map(worth));
    let granted = any(roles.iter().flat_map(|(allow, _)| allow).map(worth));
    let when = if when == 0 { Some(true) } else { PROVISOS[when + 1].1 };
    match (denied, granted, when) {
        (Some(true), _, _) => Reason::PolicyDenied,
        (None, _, _) | (_, None, _) => Reason::PolicyError,
        (_, Some(false), _) | (_, _, Some(false)) => Reason::PolicyDenied,
        (_, _, None) => Reason::PolicyError,
        (Some(false), Some(true), Some(true)) => Reason::Allowed,
    }
}

fn drawn() -> impl Strategy<Value = (Vec<Drawn>, usize)> {
    let list = || prop::collection::vec(0..PROVISOS.len(), 0..3);
    (prop::collection::vec((list(), list()), 1..4), 0..4_usize)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn conditions_are_joined_like_cel_joins_them_in_any_order((roles, when) in drawn()) {
        let text = text(&roles, when);
        let order: Vec<usize> = (0..roles.len()).collect();
        let turned: Vec<usize> = order.iter().rev().copied().collect();
        prop_assert_eq!(judged(&text, &order), naive(&roles, when), "{}", text);
        prop_assert_eq!(judged(&text, &turned), naive(&roles, when), "{}", text);
    }

    #[test]
    fn another_deny_never_opens_and_neither_does_one_allow_less(
        (roles, when) in drawn(),
        role in 0..4_usize,
        deny in 0..PROVISOS.len(),
    ) {
        let all: Vec<usize> = (0..roles.len()).collect();
        let before = judged(&text(&roles, when), &all);
        let role = role % roles.len();
        let mut stricter = roles.clone();
        stricter[role].1.push(deny);
        let mut less = roles.clone();
        less[role].0.pop();
        for narrowed in [stricter, less] {
            let after = judged(&text(&narrowed, when), &all);
            prop_assert!(before == Reason::Allowed || after != Reason::Allowed, "{before} to {after}: {narrowed:?}");
        }
    }
}

#[test]
fn every_fact_is_what_it_is_called() {
    let judged = |when: &str, change: &dyn Fn(&mut Question)| {
        let text = format!(
            "tenants: {{ acme: {{ status: active, plan: gold, region: eu }} }}\nroles: {{ a: {{ allow: [\"x:read\"] }} }}\nroutes:\n  \
             - id: one\n    match: {{ host: \"{{tenant}}.localhost\", path: \"/p/{{id}}/{{user}}\" }}\n    upstream: orders\n    \
             auth: {{ issuers: [dev], tenant_from: [host, token], api_keys: true }}\n    allow: {{ GET: \"x:read\" }}\n    when: |\n      {when}\n"
        );
        let who = Who { role: "a", client: Some("192.0.2.7"), age: Some(60), ..CLERK };
        let mut question = question("GET https://t.localhost/p/7/ada", who);
        if let Some(asker) = &mut question.asker {
            asker.assurance.acr = Some("silver".into());
            asker.assurance.amr = vec!["pwd".into(), "otp".into()];
        }
        change(&mut question);
        compiled(&text).policy.explain(&question).reason
    };
    for when in [
        "request.method == 'GET'",
        "request.host == 'acme.localhost'",
        "request.path == '/p/7/ada'",
        "request.route == 'one'",
        "request.params.id == '7' && request.params['user'] == 'ada'",
        "ip_in(request.client, '192.0.2.7')",
        "caller.subject == 'ada'",
        "caller.issuer == 'dev'",
        "caller.acr == 'silver'",
        "caller.amr == ['pwd', 'otp']",
        "caller.age == duration('1m')",
        "!caller.is_service && !has(caller.api_key)",
        "member.roles == ['a']",
        "tenant.id == 'acme'",
        "tenant.plan == 'gold'",
        "tenant.region == 'eu'",
        "now == timestamp('2026-11-27T08:30:00Z')",
    ] {
        assert_eq!(judged(when, &|_| {}), Reason::Allowed, "{when}");
        assert_eq!(judged(&format!("!({when})"), &|_| {}), Reason::PolicyDenied, "{when}");
    }
    let by_key = |question: &mut Question| {
        if let Some(asker) = &mut question.asker {
            asker.key = Some(crate::ShownKey { id: "ABCDEFabcdef".to_owned(), standing: String::new(), refused: None });
        }
    };
    assert_eq!(judged("caller.api_key == 'ABCDEFabcdef' && !caller.is_service", &by_key), Reason::Allowed);
}
