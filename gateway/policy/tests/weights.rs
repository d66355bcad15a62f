use tenancy::TenantRow;
use terms::Weight;

use super::{compiled, known, refused};

const PLANS: &str = "plans: { gold: { weight: 4, flights: { concurrency: 9 } }, free: {} }\n\
                     limits: { flights: { concurrency: 2, key: [tenant] } }\n";

#[test]
fn a_tenant_has_the_weight_that_it_says_else_that_of_its_plan_else_one() {
    for (entry, expected) in
        [("", 1), (", plan: free", 1), (", plan: gold", 4), (", plan: gold, weight: 9", 9), (", weight: 1000", 1_000)]
    {
        let policy = compiled(&format!("{PLANS}tenants: {{ acme: {{ status: active{entry} }} }}")).policy;
        assert_eq!(policy.tenants().weight("acme").get(), expected, "{entry}");
        assert_eq!(policy.tenants().weight("nobody"), Weight::ONE);
        let gold = policy.limits()[0].amount_for(None, Some(&"gold".parse().unwrap()));
        assert_eq!(gold.to_string(), "9 at once", "the limits of a plan stand beside it");
    }
}

#[test]
fn a_row_of_a_table_has_the_weight_of_its_plan_and_that_of_an_unknown_one_is_the_least() {
    let policy = compiled(PLANS).policy;
    for (plan, expected) in [(None, 1), (Some("gold"), 4), (Some("free"), 1), (Some("golden"), 1)] {
        let plan = plan.map(ToOwned::to_owned);
        let row = TenantRow { id: "acme".into(), status: "active".into(), plan, ..TenantRow::default() };
        let (registry, _) = policy.with_rows(&[row], &known());
        assert_eq!(registry.weight("acme").get(), expected);
    }
}

#[test]
fn what_is_no_weight_is_said_at_its_place_and_nothing_is_ever_without_bound() {
    insta::assert_snapshot!(
        refused(
            "plans:
  none: { weight: 0 }
  much: { weight: 1001 }
  word: { weight: much }
  part: { weight: 0.5 }
  less: { weight: -1 }
  twice: { weight: 2, weight: 3 }
limits:
  weight: { concurrency: 2, key: [tenant] }
tenants:
  acme: { status: active, weight: 0 }
  globex: { status: active, weight: 70000 }
"
        ),
        @r"
    p.yaml:2:19 a weight is from 1 to 1000 (who is not to be served has `status: suspended`; leave it out for 1)
    p.yaml:3:19 a weight is from 1 to 1000
    p.yaml:4:19 expected a whole number, found text
    p.yaml:5:19 expected a whole number, found a number
    p.yaml:6:19 expected a whole number, found a number
    p.yaml:7:23 key `weight` stands here twice (the first stands at p.yaml:7:12)
    p.yaml:9:3 `weight` in a plan is no limit's name (call the limit something else)
    p.yaml:11:35 a weight is from 1 to 1000 (who is not to be served has `status: suspended`; leave it out for 1)
    p.yaml:12:37 a weight is from 1 to 1000
    "
    );
}

#[test]
fn an_explanation_tells_the_weight_where_some_tenants_have_another() {
    let text = |weight: &str| {
        format!(
            "tenants: {{ acme: {{ status: active{weight} }} }}\nroles: {{ viewer: {{ allow: [\"order:read\"] }} }}\nroutes:\n\
             - id: orders\n  match: {{ host: \"{{tenant}}.localhost\", path: \"/api/orders\" }}\n  upstream: orders\n  \
             auth: {{ issuers: [dev], tenant_from: [token, host] }}\n  allow: {{ GET: \"order:read\" }}\n\
             tests:\n- as: {{ tenant: acme, roles: [viewer] }}\n  do: GET https://acme.localhost/api/orders\n  expect: allow\n"
        )
    };
    for (weight, told) in [("", false), (", weight: 3", true)] {
        let policy = compiled(&text(weight)).policy;
        let explained = policy.explain(&policy.cases[0].question).to_string();
        assert_eq!(explained.contains("tenant `acme` has weight 3, where"), told, "{explained}");
    }
}
