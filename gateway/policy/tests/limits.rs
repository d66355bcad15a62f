use std::num::NonZeroU16;

use super::{compiled, known, refused};
use crate::{Amount, Counting, KeyPart, Known, LimitScope, OnStoreLoss, Source, compile};

/// A file with these limits, and a route that has the first two.
fn file(limits: &str, route: &str) -> String {
    format!(
        "limits:\n{limits}\nroles: {{ viewer: {{ allow: [\"order:read\"] }} }}\nroutes:\n- id: orders\n  \
         match: {{ host: \"{{tenant}}.localhost\", path: \"/api/orders\" }}\n  upstream: orders\n  \
         auth: {{ issuers: [dev], tenant_from: [token, host] }}\n  allow: {{ GET: \"order:read\" }}\n  {route}\n"
    )
}

#[test]
fn a_limit_counts_one_thing_for_a_key() {
    let mut known = known();
    let form = crate::ClaimForm::Text;
    known.claims.insert("org".parse().unwrap(), crate::KnownClaim { place: 0, form });
    let text = file(
        "  a: { rate: 10/s, burst: 5, key: [tenant, api_key, role, issuer] }\n  \
         b: { concurrency: 20, key: [tenant], mode: shadow }\n  \
         c: { bytes: 100MiB/m, key: [\"claim:org\", user] }\n  \
         d: { failures: 5, of: [401, 403], within: 10m, lock: 15m, key: [client_ip, route] }\n  \
         e: { quota: 1000, per: month, key: [tenant] }",
        "limits: [a, b, c, d, e]\n  cost: 5",
    );
    let policy = compile(&[Source { path: "p.yaml", text: &text }], &known).unwrap().policy;
    let [a, b, c, d, e] = policy.limits() else { panic!() };
    assert_eq!(a.key, [KeyPart::Tenant, KeyPart::ApiKey, KeyPart::Role, KeyPart::Issuer]);
    assert_eq!(b.amount, Amount::Concurrency(20));
    assert_eq!(c.key, [KeyPart::Claim(0), KeyPart::User]);
    assert_eq!(d.amount.to_string(), "5 failures within 10m lock for 15m");
    assert_eq!(e.amount, Amount::Quota { count: 1_000, per: terms::Period::Month });
    assert_eq!(policy.routes()[0].cost.get(), 5);
}

#[test]
fn zero_is_taken_as_none() {
    let policy = compiled(&file(
        "  a: { rate: 10/s, burst: 0, key: [tenant] }\n  b: { concurrency: 0, key: [tenant] }",
        "limits: [a, b]",
    ))
    .policy;
    assert!(matches!(policy.limits()[0].amount, Amount::Rate { burst: 0, .. }));
    assert_eq!(policy.limits()[1].amount, Amount::Concurrency(0));
}

#[test]
fn what_no_limit_can_be_is_said_at_its_place() {
    insta::assert_snapshot!(refused(&file(
        "  none: { key: [tenant] }
  both: { rate: 1/s, burst: 1, concurrency: 3, key: [tenant] }
  unsaid: { rate: 1/s, key: [tenant] }
  alone: { concurrency: 3, burst: 3, key: [tenant] }
  zero: { rate: 0/s, burst: 3, key: [tenant] }
  unit: { bytes: 100/s, key: [tenant] }
  within: { rate: 1/s, burst: 1, within: 10m, key: [tenant] }
  short: { failures: 5, of: [200], within: 10ms, key: [client_ip] }
  many: { failures: 5, of: [400, 401, 402, 403, 404], within: 10m, lock: 1m, key: [client_ip] }
  claim: { rate: 1/s, burst: 1, key: [\"claim:org\"] }
  period: { quota: 5, key: [tenant] }
  week: { quota: 5, per: week, key: [tenant] }
  per: { rate: 1/s, burst: 1, per: day, key: [tenant] }
  word: { rate: 1/s, burst: 1, key: [apikey] }",
        "limits: [none]",
    )), @r#"
p.yaml:2:3 a limit says how much there is (write one of `rate` (with `burst`), `quota` (with `per`), `concurrency`, `bytes` and `failures` (with `within` and `lock`))
p.yaml:3:3 a limit counts one thing (write one of `rate` (with `burst`), `quota` (with `per`), `concurrency`, `bytes` and `failures` (with `within` and `lock`))
p.yaml:4:19 a rate says how much may come at once (write `burst` beside it)
p.yaml:5:35 `burst` stands beside `rate` alone
p.yaml:6:17 `0/s` does not parse: a rate of zero lets nothing through; where that is meant, write `burst: 0` beside any rate
p.yaml:7:18 `100/s` does not parse: a rate of bytes is a size per unit of time: `512KiB/s`, `100MiB/m`, `10GiB/d`
p.yaml:8:42 this stands beside `failures` alone
p.yaml:9:22 a limit of failures says `lock` (for example `10m`)
p.yaml:9:30 no answer with this status says no (statuses from 400 to 599 do)
p.yaml:9:44 it is at least a second
p.yaml:10:28 a limit of failures counts from 1 to 4 statuses
p.yaml:11:39 claim `org` is not one that tokens are asked for (name it under `claims` in cloister.yaml: `claims: { org: org_id }`)
p.yaml:12:20 a quota says in which stretch of time (write `per: day` or `per: month` beside it)
p.yaml:13:26 `week` is not known here (known here: `day`, `month`)
p.yaml:14:36 `per` stands beside `quota` alone
p.yaml:15:38 `apikey` is not known here (did you mean `api_key`?)
"#);
}

#[test]
fn a_request_that_could_never_pass_is_found_at_load() {
    let limits = "  a: { rate: 10/s, burst: 5, key: [tenant] }\n  b: { concurrency: 3, key: [tenant] }\n\
        plans: { free: { a: { rate: 1/s, burst: 2 } }, none: { a: { rate: 1/s, burst: 0 } } }";
    insta::assert_snapshot!(refused(&file(limits, "limits: [a, b]\n  cost: 3")), @r#"p.yaml:13:9 a request that costs 3 never fits into the 2 that limit `a` has (it stands at p.yaml:2:3)"#);
    insta::assert_snapshot!(refused(&file(limits, "limits: [b]\n  cost: 2")), @r#"p.yaml:13:9 no limit of this route counts what requests cost (limits with a `rate` or a `quota` do)"#);
    insta::assert_snapshot!(refused(&file(limits, "limits: [a]\n  cost: 0")), @r#"p.yaml:13:9 what costs nothing is not limited (take `limits` away if that is meant)"#);
    compiled(&file(limits, "limits: [a, b]\n  cost: 2"));
}

#[test]
fn plans_and_tenants_have_numbers_of_limits_that_there_are() {
    let limits = "  a: { rate: 10/s, burst: 5, key: [tenant] }\n  shared: { rate: 1/s, burst: 5, key: [route] }";
    insta::assert_snapshot!(refused(&file(&format!("{limits}
plans:
  gold:
    a: {{ concurrency: 5 }}
    b: {{ rate: 1/s, burst: 1 }}
    shared: {{ rate: 1/s, burst: 1 }}
  gold: {{}}
tenants:
  acme: {{ status: active, plan: golld }}
  globex: {{ status: active, plan: gold, limits: {{ aa: {{ rate: 1/s, burst: 1 }} }} }}"), "limits: [a, shared]")), @r#"
p.yaml:6:5 limit `a` counts `rate` and not `concurrency` (it stands at p.yaml:2:3)
p.yaml:7:5 limit `b` is not defined (did you mean `a`?)
p.yaml:8:5 limit `shared` has one budget for several tenants, so none can have its own numbers (put `tenant` into its key)
p.yaml:9:3 key `gold` stands here twice (the first stands at p.yaml:5:3)
p.yaml:11:33 plan `golld` is not defined (did you mean `gold`?)
p.yaml:12:51 limit `aa` is not defined (did you mean `a`?)
"#);
    insta::assert_snapshot!(refused(&file(&format!("{limits}\ntenants: {{ acme: {{ status: active, time_zone: Berlin }} }}"), "limits: [a, shared]")), @r#"p.yaml:4:47 `Berlin` does not parse: a time zone is written as in the IANA database: `Europe/Berlin`, `America/New_York`, `UTC`"#);
    let policy = compiled(&file(
        &format!(
            "{limits}
plans:
  gold: {{ a: {{ rate: 100/s, burst: 50 }} }}
  silver: {{}}
tenants:
  acme: {{ status: active, plan: gold }}
  globex: {{ status: active, plan: gold, limits: {{ a: {{ rate: 7/s, burst: 7 }} }} }}
  initech: {{ status: active, plan: silver }}"
        ),
        "limits: [a, shared]",
    ))
    .policy;
    assert_eq!(policy.plans().iter().map(|plan| plan.as_str()).collect::<Vec<_>>(), ["gold", "silver"]);
    let amount = |tenant: &str, plan: &str| {
        policy.limits()[0].amount_for(Some(&tenant.parse().unwrap()), Some(&plan.parse().unwrap())).to_string()
    };
    assert_eq!(amount("acme", "gold"), "100/s, 50 at once");
    assert_eq!(amount("globex", "gold"), "7/s, 7 at once");
    assert_eq!(amount("initech", "silver"), "10/s, 5 at once");
}

#[test]
fn an_unknown_plan_in_a_table_is_said_and_keeps_its_tenant() {
    let text = file("  a: { rate: 10/s, burst: 5, key: [tenant] }\nplans: { gold: {} }", "limits: [a]");
    let policy = compiled(&text).policy;
    let row = |plan: &str| tenancy::TenantRow {
        id: "hooli".into(),
        status: "active".into(),
        plan: Some(plan.into()),
        ..Default::default()
    };
    for (plan, said) in [("gold", ""), ("golld", "plan `golld` is not defined")] {
        let (registry, findings) = policy.with_rows(&[row(plan)], &Known::default());
        assert_eq!(registry.get("hooli").unwrap().status, tenancy::Status::Active);
        assert!(
            findings.to_string().contains(said) && findings.to_string().is_empty() == said.is_empty(),
            "{findings}"
        );
    }
}

#[test]
fn an_account_is_named_in_a_field_or_in_a_segment_that_the_path_has() {
    let limit =
        |name: &str, key: &str| format!("  {name}: {{ failures: 5, within: 1m, lock: 1m, key: [\"{key}\"] }}\n");
    let one = limit("a", "header:X-Account") + &limit("b", "path:account");
    let text = file(&one, "limits: [a, b]").replace("/api/orders", "/api/login/{account}");
    let policy = compiled(&text).policy;
    let route = &policy.routes()[0];
    assert_eq!(route.parameter("/api/login/ada", "account"), Some("ada"));
    assert_eq!(policy.sources().len(), 2);
    let more = one
        + &limit("c", "header:X Y")
        + &limit("d", "header:Authorization")
        + &limit("e", "path:c")
        + &limit("f", "path:d")
        + &limit("g", "path:e")
        + &limit("h", "query:x");
    insta::assert_snapshot!(refused(&file(&more, "limits: [a, b]")), @r#"
p.yaml:4:49 this is not the name of a field (for example `header:X-Account`)
p.yaml:5:49 what proves who asks is no name of a budget (write `user`, `api_key` or a claim)
p.yaml:8:49 limits count by at most 4 fields and places in paths
p.yaml:9:49 `query:x` is not known here
p.yaml:18:15 limit `b` counts by `{account}`, which this path does not have
"#);
}

#[test]
fn on_arrival_requests_are_counted_by_their_address_alone() {
    let limits = "  ip: { rate: 10/s, burst: 5, key: [client_ip] }
  a: { rate: 10/s, burst: 5, key: [client_ip] }
  tenant: { rate: 10/s, burst: 5, key: [client_ip, tenant] }
  flights: { concurrency: 3, key: [client_ip] }
arrival: [ip]";
    let policy = compiled(&file(limits, "limits: [a, tenant, flights]")).policy;
    assert_eq!(policy.arrival(), [0]);
    let more = limits.replace("arrival: [ip]", "arrival: [ip, ip, tenant, flights, ipp]");
    insta::assert_snapshot!(refused(&file(&more, "limits: [a]")), @r#"
p.yaml:6:15 this limit stands here twice (take one of them away)
p.yaml:6:19 nothing is known of a request on arrival but its address (use a limit whose key is `client_ip` alone)
p.yaml:6:27 on arrival requests are counted, and not how they end (use a limit with a `rate`)
p.yaml:6:36 limit `ipp` is not defined (did you mean `ip`?)
"#);
    insta::assert_snapshot!(refused(&file(limits, "limits: [ip, a, tenant, flights]")), @r#"p.yaml:6:11 limit `ip` counts every request here, and those of a route again (define another one for the route)"#);
}

#[test]
fn a_route_has_as_many_limits_as_can_be_judged_at_once() {
    let limits: Vec<String> = (0..9).map(|n| format!("  l{n}: {{ rate: 1/s, burst: 1, key: [tenant] }}")).collect();
    let names = |count: usize| (0..count).map(|n| format!("l{n}")).collect::<Vec<_>>().join(", ");
    compiled(&file(&limits.join("\n"), &format!("limits: [{}]", names(8))));
    let findings = refused(&file(&limits.join("\n"), &format!("limits: [{}]", names(9))));
    assert!(findings.contains("a route has at most 8 limits"), "{findings}");
}

#[test]
fn where_gateways_count_together_a_limit_says_what_it_does_alone() {
    let together = Known { counting: Counting::Together(NonZeroU16::MIN), ..known() };
    let text = file(
        "  a: { rate: 10/s, burst: 5, key: [tenant] }\n  b: { rate: 10/s, burst: 5, key: [tenant], on_store_loss: deny }\n  \
         c: { rate: 10/s, burst: 5, key: [tenant], scope: gateway }\n  d: { rate: 10/s, burst: 5, key: [client_ip] }",
        "limits: [a, b, c]\narrival: [d]",
    );
    let scopes = |known: &Known, text: &str| {
        let policy = compile(&[Source { path: "p.yaml", text }], known).unwrap().policy;
        policy.limits().iter().map(|limit| limit.scope).collect::<Vec<_>>()
    };
    let shared = LimitScope::Shared(OnStoreLoss::LocalShare);
    let deny = LimitScope::Shared(OnStoreLoss::Deny);
    assert_eq!(scopes(&together, &text), [shared, deny, LimitScope::Gateway, LimitScope::Gateway]);
    let alone = text.replace(", on_store_loss: deny", "");
    assert_eq!(scopes(&known(), &alone), [LimitScope::Gateway; 4], "one gateway needs no word about it");
}

#[test]
fn what_cannot_be_in_force_without_a_store_is_said_at_its_place() {
    let limits = "  a: { rate: 10/s, burst: 5, key: [tenant], on_store_loss: deny }\n  \
                  b: { rate: 10/s, burst: 5, key: [tenant], scope: shared }\n  \
                  c: { rate: 10/s, burst: 5, key: [tenant], scope: gateway, on_store_loss: allow }\n  \
                  d: { rate: 10/s, burst: 5, key: [client_ip], scope: shared }";
    let text = file(limits, "limits: [a, b, c]\narrival: [d]");
    let found = |known: &Known| {
        let findings = compile(&[Source { path: "p.yaml", text: &text }], known).unwrap_err();
        findings.iter().map(|finding| (finding.place.line, finding.message.clone())).collect::<Vec<_>>()
    };
    let no_store = "no store is named in which gateways share limits".to_owned();
    let by_itself = "a limit that each gateway counts for itself stands in no store".to_owned();
    let on_arrival = "on arrival each gateway counts for itself, so that what is thrown away costs nothing".to_owned();
    for (counting, expected) in [
        (Counting::Alone, vec![(2, no_store.clone()), (3, no_store.clone()), (4, by_itself.clone()), (5, no_store)]),
        (Counting::Together(NonZeroU16::MIN), vec![(4, by_itself)]),
    ] {
        let mut found = found(&Known { counting, ..known() });
        found.sort();
        let arrival = found.iter().position(|(_, message)| *message == on_arrival).map(|place| found.remove(place));
        assert!(arrival.is_some(), "{found:?}");
        assert_eq!(found, expected);
    }
}
