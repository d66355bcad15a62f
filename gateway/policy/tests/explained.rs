use super::compiled;
use crate::{Asker, Question};

const TEXT: &str = r#"
tenants: { acme: { status: active }, globex: { status: active } }
members: { acme: { ada: [auditor, clerk] } }
roles:
  viewer: { allow: ["order:read"] }
  clerk: { inherits: [viewer], allow: ["order:write"] }
  auditor: { deny: ["*:write"] }
routes:
  - id: orders
    match: { host: "{tenant}.localhost", path: "/api/orders" }
    upstream: orders
    auth: { issuers: [dev, corp], tenant_from: [token, host] }
    allow: { GET: "order:read", POST: "order:write" }
  - id: all
    match: { host: "{tenant}.localhost", path: "/**", methods: [GET] }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { GET: "order:read" }
  - id: health
    match: { host: "*", path: "/healthz" }
    upstream: orders
    auth: none
"#;

fn explain(request: &str, asker: Option<(Option<&str>, Option<&str>, &[&str])>) -> String {
    let policy = compiled(TEXT).policy;
    let question = Question {
        request: request.parse().unwrap(),
        asker: asker.map(|(issuer, tenant, roles)| Asker {
            key: None,
            service: None,
            issuer: issuer.map(|issuer| issuer.parse().unwrap()),
            subject: "ada".parse().unwrap(),
            tenant: tenant.map(str::to_owned),
            roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
            assurance: crate::Assurance::default(),
        }),
        client: None,
        now: None,
        headers: Vec::new(),
    };
    let explanation = policy.explain(&question);
    assert_eq!(explanation.allowed, explanation.reason == terms::Reason::Allowed);
    explanation.to_string()
}

#[test]
fn an_explanation_shows_the_rules_in_the_order_in_which_they_were_asked() {
    let acme = |roles: &'static [&'static str]| Some((None, Some("acme"), roles));
    let orders = "GET https://acme.localhost/api/orders";
    let all = [
        explain(orders, acme(&["clerk", "stranger"])),
        explain("POST https://acme.localhost/api/orders", acme(&["clerk", "auditor"])),
        explain("PUT https://acme.localhost/api/orders", acme(&["clerk"])),
        explain("POST https://acme.localhost/api/orders", Some((Some("corp"), Some("acme"), &[]))),
        explain(orders, Some((None, Some("globex"), &["clerk"]))),
        explain(orders, Some((None, None, &["clerk"]))),
        explain(orders, None),
        explain("GET https://acme.localhost/x", Some((Some("corp"), Some("acme"), &[]))),
        explain("PUT https://acme.localhost/x", acme(&["clerk"])),
        explain("GET https://example.com/x", acme(&["clerk"])),
        explain("GET https://example.com/healthz", None),
    ];
    insta::assert_snapshot!(all.join("\n\n"), @r#"
GET https://acme.localhost/api/orders
  route        + route `orders` ({tenant}.localhost/api/orders): the closest match  [p.yaml:9:5]
  route          route `all` ({tenant}.localhost/**): matches less closely  [p.yaml:14:5]
  authenticate + a token of `dev` for `ada`  [p.yaml:9:5]
  tenancy      + `token` names `acme`  [p.yaml:9:5]
  tenancy      + `host` names `acme`  [p.yaml:9:5]
  tenancy      + a member of `acme` with clerk, stranger
  authorise      GET asks for `order:read`  [p.yaml:9:5]
  authorise    + role `clerk`, as `viewer`, allows `order:read`  [p.yaml:5:21]
  authorise      role `stranger` is not defined: it grants nothing
  authorise    + allowed by `p.yaml:5 viewer`
= allow

POST https://acme.localhost/api/orders
  route        + route `orders` ({tenant}.localhost/api/orders): the closest match  [p.yaml:9:5]
  route          route `all` ({tenant}.localhost/**): takes only GET  [p.yaml:14:5]
  authenticate + a token of `dev` for `ada`  [p.yaml:9:5]
  tenancy      + `token` names `acme`  [p.yaml:9:5]
  tenancy      + `host` names `acme`  [p.yaml:9:5]
  tenancy      + a member of `acme` with clerk, auditor
  authorise      POST asks for `order:write`  [p.yaml:9:5]
  authorise    + role `clerk` allows `order:write`  [p.yaml:6:40]
  authorise    - role `auditor` denies `*:write`  [p.yaml:7:21]
  authorise    - `p.yaml:7 auditor` denies `order:write`  [p.yaml:9:5]
= deny policy.denied

PUT https://acme.localhost/api/orders
  route        + route `orders` ({tenant}.localhost/api/orders): the closest match  [p.yaml:9:5]
  route          route `all` ({tenant}.localhost/**): takes only GET  [p.yaml:14:5]
  authenticate + a token of `dev` for `ada`  [p.yaml:9:5]
  tenancy      + `token` names `acme`  [p.yaml:9:5]
  tenancy      + `host` names `acme`  [p.yaml:9:5]
  tenancy      + a member of `acme` with clerk
  authorise    - the route has no permission for this method  [p.yaml:9:5]
= deny policy.denied

POST https://acme.localhost/api/orders
  route        + route `orders` ({tenant}.localhost/api/orders): the closest match  [p.yaml:9:5]
  route          route `all` ({tenant}.localhost/**): takes only GET  [p.yaml:14:5]
  authenticate + a token of `corp` for `ada`  [p.yaml:9:5]
  tenancy      + `token` names `acme`  [p.yaml:9:5]
  tenancy      + `host` names `acme`  [p.yaml:9:5]
  tenancy      + a member of `acme` with auditor, clerk
  authorise      POST asks for `order:write`  [p.yaml:9:5]
  authorise    - role `auditor` denies `*:write`  [p.yaml:7:21]
  authorise    + role `clerk` allows `order:write`  [p.yaml:6:40]
  authorise    - `p.yaml:7 auditor` denies `order:write`  [p.yaml:9:5]
= deny policy.denied

GET https://acme.localhost/api/orders
  route        + route `orders` ({tenant}.localhost/api/orders): the closest match  [p.yaml:9:5]
  route          route `all` ({tenant}.localhost/**): matches less closely  [p.yaml:14:5]
  authenticate + a token of `dev` for `ada`  [p.yaml:9:5]
  tenancy      + `token` names `globex`  [p.yaml:9:5]
  tenancy      - `host` names `acme`  [p.yaml:9:5]
  tenancy      - the sources do not name the same tenant
= deny tenant.mismatch

GET https://acme.localhost/api/orders
  route        + route `orders` ({tenant}.localhost/api/orders): the closest match  [p.yaml:9:5]
  route          route `all` ({tenant}.localhost/**): matches less closely  [p.yaml:14:5]
  authenticate + a token of `dev` for `ada`  [p.yaml:9:5]
  tenancy      - `token` names no tenant  [p.yaml:9:5]
  tenancy      + `host` names `acme`  [p.yaml:9:5]
  tenancy      - the sources do not name the same tenant
= deny tenant.mismatch

GET https://acme.localhost/api/orders
  route        + route `orders` ({tenant}.localhost/api/orders): the closest match  [p.yaml:9:5]
  route          route `all` ({tenant}.localhost/**): matches less closely  [p.yaml:14:5]
  authenticate - no token; the route accepts those of `dev`, `corp`  [p.yaml:9:5]
= deny auth.missing

GET https://acme.localhost/x
  route        + route `all` ({tenant}.localhost/**): the closest match  [p.yaml:14:5]
  authenticate - a token of `corp`; the route accepts those of `dev`  [p.yaml:14:5]
= deny auth.invalid.issuer

PUT https://acme.localhost/x
  route          route `all` ({tenant}.localhost/**): takes only GET  [p.yaml:14:5]
  route        - no route of this host and path takes PUT
= deny route.unknown

GET https://example.com/x
  route        - no route of this host has path `/x`
= deny route.unknown

GET https://example.com/healthz
  route        + route `health` (*/healthz): the closest match  [p.yaml:19:5]
  authenticate + the route is public: no token is looked at  [p.yaml:19:5]
  authorise    + allowed by `p.yaml:19 health`
= allow
"#);
}

#[test]
fn an_explanation_is_json_too() {
    let policy = compiled(TEXT).policy;
    let question = Question {
        request: "GET https://example.com/healthz".parse().unwrap(),
        asker: None,
        client: None,
        now: None,
        headers: Vec::new(),
    };
    let json = serde_json::to_string_pretty(&policy.explain(&question)).unwrap();
    insta::assert_snapshot!(json, @r#"
{
  "request": "GET https://example.com/healthz",
  "steps": [
    {
      "stage": "route",
      "outcome": "for",
      "text": "route `health` (*/healthz): the closest match",
      "place": "p.yaml:19:5"
    },
    {
      "stage": "authenticate",
      "outcome": "for",
      "text": "the route is public: no token is looked at",
      "place": "p.yaml:19:5"
    },
    {
      "stage": "authorise",
      "outcome": "for",
      "text": "allowed by `p.yaml:19 health`",
      "place": null
    }
  ],
  "allowed": true,
  "reason": "allowed",
  "rule": "p.yaml:19 health",
  "route": "health",
  "tenant": null,
  "upstream": "orders"
}
"#);
}
