use super::{compiled, known, refused};
use crate::{Known, KnownNames, KnownUpstream, Requests, Source, Upgrade, compile};

const ROUTE: &str = r#"
roles: { viewer: { allow: ["order:read"] } }
routes:
  - id: orders
    match: { host: "{tenant}.localhost", path: "/api/orders" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { GET: "order:read" }
"#;

#[test]
fn all_mistakes_come_at_once_each_with_its_place_and_a_guess() {
    insta::assert_snapshot!(refused(r#"
rolls: {}
tenants:
  Acme: { status: active }
  globex: { status: frozen }
members: { acme: {} }
roles:
  viewer: { allow: ["order:read", "order"], denies: ["x:y"] }
  clerk: { inherits: [viewr], allow: [17] }
limits:
  per_tenant: { rate: 100/w, burst: 0, key: [tenant, tenant] }
  empty: { rate: 1/s, burst: 1, key: [] }
  bare: { rate: 1/s, burst: 1, key: [tenent] }
routes:
  - id: one
    match: { host: "API.example.com", path: "/a/*", methods: [get] }
    upstream: order
    auth: { issuers: [main], tenant_from: [token, hots] }
    allow: { GET: "order:*", FETCH: "order:read" }
    limits: [per_tennant]
    max_body: 10MB
    audit: stict
  - id: two
    match: { host: "{tenant}.localhost", path: "/{tenant}/x" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [header:X_Org] }
    allow: {}
    max_body: 10MB
  - id: three
    match: { host: "*", path: "/b" }
    upstream: orders
  - id: four
    match: { host: "*", path: "/c" }
    upstream: orders
    auth: nobody
tests:
  - do: GET /a
    expect: allow
  - do: GET https://a/
    as: { issuer: def, roles: [viewr] }
    expect: { deny: limit.rate }
  - do: GET https://a/
    expect: { deny: tenant.mismach }
"#), @r#"
p.yaml:2:1 unknown section `rolls` (did you mean `roles`?)
p.yaml:4:3 `Acme` does not parse: a tenant's name starts with a lower-case letter
p.yaml:5:21 `frozen` is not known here (known here: `active`, `suspended`, `closed`)
p.yaml:6:12 tenant `acme` is not defined (did you mean `Acme`?)
p.yaml:8:35 `order` does not parse: a permission is written `resource:verb`
p.yaml:8:45 unknown key `denies` (known here: `inherits`, `allow`, `deny`, `break_glass`)
p.yaml:9:23 role `viewr` is not defined (did you mean `viewer`?)
p.yaml:9:39 expected text, found a number (put it in quotes)
p.yaml:11:23 `100/w` does not parse: a rate is a number per unit of time: `10/s`, `100/m`, `5000/h`, `100000/d`
p.yaml:11:54 this part of the key stands here twice
p.yaml:12:38 a limit without a key is one bucket for everybody (name what shares a bucket: `tenant`, `user`, `client_ip`, `route`)
p.yaml:13:38 `tenent` is not known here (did you mean `tenant`?)
p.yaml:16:20 `API.example.com`: a host is written `api.example.com`, `{tenant}.example.com` or `*`, in lower case and without a port
p.yaml:16:45 `/a/*`: `*` does not stand in a path: `{name}` is one segment, `/**` at the end is everything below
p.yaml:16:63 `get` is not a method that a route may name (did you mean `GET`?)
p.yaml:17:15 upstream `order` is not configured (did you mean `orders`?)
p.yaml:18:23 issuer `main` is not configured
p.yaml:18:51 `hots` cannot name a tenant (did you mean `host`?)
p.yaml:19:19 `order:*` does not parse: a route asks for one permission; `*` stands only in a role
p.yaml:19:30 `FETCH` is not a method that a route may name
p.yaml:20:14 limit `per_tennant` is not defined (did you mean `per_tenant`?)
p.yaml:21:15 `10MB` does not parse: a size is a number and a unit: `512B`, `64KiB`, `10MiB`, `1GiB`
p.yaml:22:12 `stict` is not known here (did you mean `strict`?)
p.yaml:24:20 the host names a tenant that nothing checks (add `host` to `tenant_from`)
p.yaml:24:48 the path names a tenant that nothing checks (add `path` to `tenant_from`)
p.yaml:26:42 tokens of `dev` say themselves who is a member, so the token must name the tenant (add `token` to `tenant_from`)
p.yaml:26:43 `header:X_Org` cannot name a tenant (write `token`, `certificate`, `host`, `path` or `header:X-Org`)
p.yaml:27:12 a route without a permission lets nobody in
p.yaml:28:15 `10MB` does not parse: a size is a number and a unit: `512B`, `64KiB`, `10MiB`, `1GiB`
p.yaml:29:5 this route does not say who may use it (write `auth: none` if everybody may)
p.yaml:35:11 `nobody` is not known here (known here: `none`)
p.yaml:37:9 `GET /a` does not parse: a request is a method and an absolute URL: `GET https://acme.example.com/api/orders`
p.yaml:40:19 issuer `def` is not configured (did you mean `dev`?)
p.yaml:40:32 role `viewr` is not defined (did you mean `viewer`?)
p.yaml:41:21 a test of a policy cannot see `limit.rate` (it sees `auth.insufficient.acr`, `auth.insufficient.age`, `auth.insufficient.amr`, `auth.insufficient.mfa`, `auth.insufficient.session`, `auth.invalid.issuer`, `auth.invalid.service`, `auth.invalid.unbound`, `auth.missing`, `client.denied`, `policy.denied`, `policy.error`, `policy.justification`, `route.unknown`, `tenant.closed`, `tenant.issuer`, `tenant.mismatch`, `tenant.not_member`, `tenant.suspended`, `tenant.unknown`, `tenant.unplaced`)
p.yaml:43:21 `tenant.mismach` is not a reason (did you mean `tenant.mismatch`?)
"#);
}

#[test]
fn a_file_that_is_not_yaml_does_not_hide_what_is_wrong_with_the_others() {
    let sources = [
        Source { path: "a.yaml", text: "roles: [" },
        Source {
            path: "b.yaml",
            text: "routes:\n- id: x\n  match: { host: \"*\", path: \"/\" }\n  upstream: nowhere\n  auth: none\n",
        },
        Source { path: "c.yaml", text: "a: 1\n---\nb: 2\n" },
        Source { path: "d.yaml", text: "just words" },
        Source { path: "e.yaml", text: "roles: { <<: {} }" },
        Source { path: "f.yaml", text: "" },
        Source { path: "g.yaml", text: "# nothing but words\n" },
    ];
    insta::assert_snapshot!(compile(&sources, &known()).unwrap_err().to_string(), @r#"
a.yaml:1:8 this is not YAML: unclosed bracket '['
b.yaml:4:13 upstream `nowhere` is not configured
c.yaml:3:1 a file is one YAML document
d.yaml:1:1 a policy file is a mapping of sections (known here: `arrival`, `delegated`, `limits`, `matrices`, `members`, `mode`, `plans`, `revoked`, `roles`, `routes`, `services`, `tenants`, `tests`)
e.yaml:1:10 this is not YAML: YAML merge keys are not allowed by configured policy
"#);
}

#[test]
fn a_name_that_is_given_twice_names_both_places() {
    let b = ROUTE.replace("/api/orders", "/api/other");
    let sources = [Source { path: "a.yaml", text: ROUTE }, Source { path: "b.yaml", text: &b }];
    insta::assert_snapshot!(compile(&sources, &known()).unwrap_err().to_string(), @r#"
b.yaml:2:10 role `viewer` is defined twice (the first stands at a.yaml:2:10)
b.yaml:4:9 route `orders` is defined twice (the first stands at a.yaml:4:9)
"#);
    insta::assert_snapshot!(refused("tenants: { acme: { status: active }, acme: { status: suspended } }\n"), @r#"p.yaml:1:38 key `acme` stands here twice (the first stands at p.yaml:1:12)"#);
    insta::assert_snapshot!(refused("roles: { a: { allow: [], allow: [] } }\nroles: {}\n"), @r#"
p.yaml:1:26 key `allow` stands here twice (the first stands at p.yaml:1:15)
p.yaml:2:1 key `roles` stands here twice (the first stands at p.yaml:1:1)
"#);
}

#[test]
fn a_finding_quotes_its_line() {
    let text = ROUTE.replace("upstream: orders", "upstream: oders");
    let findings = compile(&[Source { path: "p.yaml", text: &text }], &known()).unwrap_err();
    let finding = findings.iter().next().unwrap();
    insta::assert_snapshot!(format!("{finding}\n{}", finding.snippet.as_deref().unwrap()), @r#"
p.yaml:6:15 upstream `oders` is not configured (did you mean `orders`?)
6 |     upstream: oders
  |               ^^^^^
"#);
}

#[test]
fn a_circle_of_roles_is_shown_whole() {
    insta::assert_snapshot!(refused("roles:
  a: { inherits: [b] }
  b: { inherits: [x, c] }
  c: { inherits: [a] }
  self: { inherits: [self] }
  x: {}
"), @r#"
p.yaml:4:19 roles inherit in a circle: `a` → `b` → `c` → `a`
p.yaml:5:22 roles inherit in a circle: `self` → `self`
"#);
}

#[test]
fn a_generation_too_deep_is_refused_and_does_not_overflow() {
    let roles: String = (0..5_000).map(|n| format!("  r{n:05}: {{ inherits: [r{:05}] }}\n", n + 1)).collect();
    let text = format!("roles:\n{roles}  r05000: {{}}\n");
    assert!(refused(&text).contains("roles inherit over more than 64 generations"));
}

#[test]
fn public_and_guarded_do_not_mix() {
    let route = |rest: &str| {
        format!("limits: {{ t: {{ rate: 1/s, burst: 1, key: [tenant] }}, u: {{ rate: 1/s, burst: 1, key: [route, user] }} }}
routes:\n- {{ id: r, match: {{ host: \"*\", path: \"/\" }}, upstream: orders, {rest} }}\n")
    };
    let mut text = String::new();
    for rest in [
        "auth: none, allow: { GET: \"a:b\" }",
        "auth: none, limits: [t, u, t]",
        "auth: { issuers: [corp], tenant_from: [header:X-Org] }",
        "auth: { issuers: [], tenant_from: [] }, allow: { GET: \"a:b\" }",
        "auth: { issuers: [dev, corp], tenant_from: [header:X-Org, header:x-org] }, allow: { GET: \"a:b\" }",
        "auth: { issuers: [corp], tenant_from: [header:X-One, header:X-Two] }, allow: { GET: \"a:b\" }",
        "auth: { issuers: [corp], tenant_from: [host] }, allow: { GET: \"a:b\" }",
        "auth: { issuers: [corp, corp], tenant_from: [path, path] }, allow: { GET: \"a:b\" }",
    ] {
        text.push_str(&format!("{rest}\n{}\n\n", refused(&route(rest))));
    }
    insta::assert_snapshot!(text.trim_end(), @r#"
auth: none, allow: { GET: "a:b" }
p.yaml:3:82 a public route asks for no permission (take `allow` away, or say in `auth` whose tokens are accepted)

auth: none, limits: [t, u, t]
p.yaml:3:84 limit `t` counts by who asks, which a public route does not know (use a limit whose key is `client_ip` or `route`)
p.yaml:3:87 limit `u` counts by who asks, which a public route does not know (use a limit whose key is `client_ip` or `route`)
p.yaml:3:90 limit `t` counts by who asks, which a public route does not know (use a limit whose key is `client_ip` or `route`)
p.yaml:3:90 this limit stands here twice

auth: { issuers: [corp], tenant_from: [header:X-Org] }
p.yaml:3:3 this route does not say which permission it asks for (write for example `allow: { GET: "invoice:read" }`)

auth: { issuers: [], tenant_from: [] }, allow: { GET: "a:b" }
p.yaml:3:80 a route without an issuer lets nobody in (name whose tokens it accepts, or write `auth: none`)
p.yaml:3:97 a guarded route says what must name the tenant (write for example `tenant_from: [token, host]`)

auth: { issuers: [dev, corp], tenant_from: [header:X-Org, header:x-org] }, allow: { GET: "a:b" }
p.yaml:3:106 tokens of `dev` say themselves who is a member, so the token must name the tenant (add `token` to `tenant_from`)
p.yaml:3:121 this source stands here twice

auth: { issuers: [corp], tenant_from: [header:X-One, header:X-Two] }, allow: { GET: "a:b" }
p.yaml:3:116 a route takes the tenant from one header at most

auth: { issuers: [corp], tenant_from: [host] }, allow: { GET: "a:b" }
p.yaml:3:69 `tenant_from` asks for the host, which names no tenant (write `{tenant}` into `host` under `match`)

auth: { issuers: [corp, corp], tenant_from: [path, path] }, allow: { GET: "a:b" }
p.yaml:3:69 `tenant_from` asks for the path, which names no tenant (write `{tenant}` into `path` under `match`)
p.yaml:3:87 this issuer stands here twice
p.yaml:3:114 this source stands here twice
"#);
}

#[test]
fn two_routes_for_one_request_are_refused_and_a_closer_one_is_not() {
    let two = |one: &str, other: &str| {
        format!(
            "routes:\n- {{ id: one, match: {{ {one} }}, upstream: orders, auth: none }}\n\
             - {{ id: two, match: {{ {other} }}, upstream: orders, auth: none }}\n"
        )
    };
    for (one, other) in [
        ("host: \"*\", path: /a", "host: a.b, path: /a"),
        ("host: \"*\", path: \"/a/{x}\"", "host: \"*\", path: /a/**"),
        ("host: \"*\", path: /a, methods: [GET]", "host: \"*\", path: /a, methods: [PUT]"),
        ("host: \"*\", path: /a, methods: [GET]", "host: \"*\", path: /a"),
        ("host: \"*\", path: /a", "host: \"*\", path: /a/"),
        ("host: \"{tenant}.a\", path: /a", "host: \"{tenant}.b\", path: /a"),
    ] {
        compiled(&two(one, other));
    }
    insta::assert_snapshot!(refused(&two("host: \"*\", path: \"/a/{x}\"", "host: \"*\", path: \"/a/{y}\"")), @r#"p.yaml:3:3 route `two` matches the same requests as route `one`, equally closely (that one stands at p.yaml:2:3)"#);
    insta::assert_snapshot!(
        refused(&two("host: a.b, path: /a/**, methods: [GET, PUT]", "host: a.b, path: /a/**, methods: [POST, PUT]")),
        @r#"p.yaml:3:3 route `two` matches the same PUT requests as route `one`, equally closely (that one stands at p.yaml:2:3)"#
    );
}

#[test]
fn what_is_written_in_vain_is_worth_a_warning() {
    let text = r#"
limits: { unused: { rate: 1/s, burst: 1, key: [route] } }
roles: { viewer: { allow: ["order:read", "ordr:read", "*:print"], deny: ["x:y"] } }
routes:
  - id: orders
    match: { host: "{tenant}.localhost", path: "/api/orders", methods: [GET, PUT] }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { GET: "order:read", POST: "order:write" }
tests:
  - as: { tenant: amce, roles: [viewr] }
    do: GET https://acme.localhost/api/orders
    expect: { deny: tenant.mismatch }
"#;
    insta::assert_snapshot!(compiled(text).warnings.to_string(), @r#"
p.yaml:2:11 no route has limit `unused`
p.yaml:3:42 no route asks for `ordr:read` (did you mean `order:read`?)
p.yaml:3:55 no route asks for `*:print`
p.yaml:3:74 no route asks for `x:y`
p.yaml:5:5 no role grants `order:write`, which route `orders` asks for
p.yaml:6:78 `PUT` is always denied here: `allow` has no permission for it
p.yaml:9:33 `POST` never comes here: `methods` does not list it
p.yaml:11:19 tenant `amce` is not registered
p.yaml:11:33 role `viewr` is not defined (did you mean `viewer`?)
"#);
}

#[test]
fn one_directory_serves_one_issuer() {
    let mut known = known();
    known.issuers.insert("other".parse().unwrap(), tenancy::MembershipSource::Directory.into());
    let text =
        "tenants: { acme: { status: active } }\nroles: { viewer: {} }\nmembers: { acme: { ada: [viewer, vewer] } }\n";
    insta::assert_snapshot!(compile(&[Source { path: "p.yaml", text }], &known).unwrap_err().to_string(), @r#"
p.yaml:3:12 the directory serves one issuer, but `corp` and `other` have `members: directory` or `union` (a subject is unique only within its issuer; leave one of them `directory`)
p.yaml:3:34 role `vewer` is not defined (did you mean `viewer`?)
"#);
}

#[test]
fn what_is_taken_back_says_what_it_is_and_whose() {
    let text = "tenants: { acme: { status: active } }\nrevoked:\n\
        - { issuer: dev, jti: a, sid: b }\n\
        - { jti: a }\n\
        - { issuer: dev, tenant: acme, before: \"2026-11-23T12:00:00Z\" }\n\
        - { tenant: acme }\n\
        - { issuer: dev, jti: a, before: \"2026-11-23T12:00:00Z\" }\n\
        - { issuer: devv, user: ada }\n\
        - { tenant: amce, before: \"2026-11-23T12:00:00Z\" }\n\
        - { issuer: dev, user: ada, before: yesterday }\n\
        - { issuer: dev, user: \"a b\" }\n";
    insta::assert_snapshot!(refused(text), @r#"
p.yaml:3:3 what is taken back is one of `jti`, `sid`, `user` and `tenant`, or an `issuer` with `before` (write one entry for each)
p.yaml:4:3 `issuer` goes with `jti`, `sid` or `user`, and not with `tenant` (a token, a session and a user are an issuer's; a tenant's tokens are of whichever issuer)
p.yaml:5:3 `issuer` goes with `jti`, `sid` or `user`, and not with `tenant` (a token, a session and a user are an issuer's; a tenant's tokens are of whichever issuer)
p.yaml:6:3 all tokens for a tenant, whenever issued (give `before`, or say `status: suspended`)
p.yaml:7:3 a token or a session is taken back whole (take `before` away)
p.yaml:8:13 issuer `devv` is not configured (did you mean `dev`?)
p.yaml:9:13 tenant `amce` is not registered (did you mean `acme`?)
p.yaml:10:37 `yesterday` is not a time (such as 2026-11-23T12:00:00Z (RFC 3339))
p.yaml:11:24 `a b` does not parse: a subject has only visible ascii characters
"#);
}

#[test]
fn a_tenant_names_issuers_that_there_are() {
    let text = "tenants: { acme: { status: active, issuers: [devv] }, globex: { status: active, issuers: [] } }\n";
    insta::assert_snapshot!(refused(text), @r#"
p.yaml:1:46 issuer `devv` is not configured (did you mean `dev`?)
p.yaml:1:90 no issuer may speak for this tenant (leave `issuers` out to take those of the routes, or say `status: suspended`)
"#);
}

#[test]
fn a_file_that_grows_by_itself_is_refused_at_once() {
    let lines = (b'b'..=b'k').map(|name| {
        let (name, before) = (char::from(name), char::from(name - 1));
        format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 9].join(","))
    });
    let bomb = format!("a: &a [x,x,x,x,x,x,x,x,x]\n{}", lines.collect::<String>());
    assert!(refused(&bomb).contains("this is not YAML"));
    assert!(refused(&format!("roles: {}", "[".repeat(100_000))).contains("this is not YAML"));
    assert!(refused(&"#".repeat(17 << 20)).contains("at most 16 MiB"));
}

#[test]
fn ten_thousand_tenants_and_their_members_fit_into_a_file() {
    let tenants: String = (0..10_000).map(|n| format!("  t{n}: {{ status: active }}\n")).collect();
    let members: String = (0..10_000).map(|n| format!("  t{n}: {{ ada: [viewer], bob: [viewer] }}\n")).collect();
    let text = format!("roles: {{ viewer: {{}} }}\ntenants:\n{tenants}members:\n{members}");
    let policy = compiled(&text).policy;
    assert_eq!((policy.tenants().len(), policy.members().len()), (10_000, 20_000));
}

#[test]
fn a_web_socket_needs_an_upstream_that_takes_it() {
    let mut known = known();
    let grpc = KnownUpstream { upgrade: Upgrade::None, requests: Requests::Unsigned, told: Vec::new() };
    known.upstreams.insert("grpc".parse().unwrap(), grpc);
    let text = r#"
roles: { viewer: { allow: ["order:read"] } }
routes:
  - id: socket
    match: { host: "{tenant}.example.com", path: "/socket" }
    upstream: grpc
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { GET: "order:read" }
    upgrade: websocket
"#;
    insta::assert_snapshot!(compile(&[Source { path: "p.yaml", text }], &known).unwrap_err().to_string(), @"p.yaml:6:15 upstream `grpc` takes no WebSockets (they need an upstream with `protocol: http1`)");
}

/// Upstreams whose requests are signed, and which are told a claim.
fn signing() -> Known {
    let mut known = known();
    let signed =
        KnownUpstream { upgrade: Upgrade::WebSocket, requests: Requests::Signed, told: vec!["X-E-Mail".into()] };
    known.upstreams.insert("signed".parse().unwrap(), signed);
    known
}

#[test]
fn a_digest_that_nothing_would_cover_is_refused() {
    const ROUTES: &str = r#"
roles: { viewer: { allow: ["order:read"] } }
tenants: { acme: { status: active } }
routes:
  - id: fit
    match: { host: "{tenant}.localhost", path: "/fit" }
    upstream: signed
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { "*": "order:read" }
    body_digest: 64KiB
  - id: long
    match: { host: "{tenant}.localhost", path: "/long" }
    upstream: signed
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { "*": "order:read" }
    body_digest: 65KiB
  - id: nothing
    match: { host: "{tenant}.localhost", path: "/nothing" }
    upstream: signed
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { "*": "order:read" }
    body_digest: 0B
  - id: beyond
    match: { host: "{tenant}.localhost", path: "/beyond" }
    upstream: signed
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { "*": "order:read" }
    max_body: 1KiB
    body_digest: 2KiB
  - id: socket
    match: { host: "{tenant}.localhost", path: "/socket" }
    upstream: signed
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { "*": "order:read" }
    upgrade: websocket
    body_digest: 2KiB
  - id: public
    match: { host: "*", path: "/public" }
    upstream: signed
    auth: none
    body_digest: 2KiB
  - id: unsigned
    match: { host: "{tenant}.localhost", path: "/unsigned" }
    upstream: { by_tenant: { acme: orders }, otherwise: streams }
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { "*": "order:read" }
    body_digest: 2KiB
  - id: written
    match: { host: "{tenant}.localhost", path: "/written" }
    upstream: signed
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { "*": "order:read" }
    body_digest: 2KiB
    request_headers: { set: { Content-Digest: a }, remove: [Repr-Digest, Digest, Want-Content-Digest] }
"#;
    let compiled = compile(&[Source { path: "p.yaml", text: ROUTES }], &signing());
    insta::assert_snapshot!(compiled.unwrap_err().to_string(), @"
p.yaml:16:18 so much is held in memory for each request (at least 1B, at most 64KiB)
p.yaml:22:18 so much is held in memory for each request (at least 1B, at most 64KiB)
p.yaml:29:18 no body is as long as that: `max_body` is less (make it at most `max_body`)
p.yaml:36:18 what flows after an upgrade has no digest (give it a route of its own)
p.yaml:41:18 on a public route nothing is signed (take `body_digest` away)
p.yaml:47:18 requests to `orders`, `streams` are not signed, so nothing covers a digest (give it a `signature` or a `key` under `assertion` in cloister.yaml)
p.yaml:54:31 with `body_digest` only Cloister writes `Content-Digest` (take it away: the digest is of what was read)
p.yaml:54:61 with `body_digest` only Cloister writes `Repr-Digest` (take it away: the digest is of what was read)
p.yaml:54:74 with `body_digest` only Cloister writes `Digest` (take it away: the digest is of what was read)
");
}

#[test]
fn a_field_that_would_be_written_over_or_taken_out_is_refused() {
    let text = ROUTE
        .replace("upstream: orders", "upstream: signed")
        .replace("tenant_from: [token, host] }", "tenant_from: [token, host], api_keys: true }")
        .replace(
            "    allow:",
            "    request_headers:
      set: { X-EMail: a, X-Remote-User: ada, DPoP: a, X-API-Key: a }
      remove: [x-e-mail, X-API-Key]
    allow:",
        );
    let compiled = compile(&[Source { path: "p.yaml", text: &text }], &signing());
    insta::assert_snapshot!(compiled.unwrap_err().to_string(), @"
p.yaml:9:14 `X-EMail`: in this field upstream `signed` is told a claim (take it away here, or under `fields` of the upstream's `assertion`)
p.yaml:9:26 `X-Remote-User`: by this field other proxies tell backends who asks, so no backend gets it
p.yaml:9:46 `DPoP`: this field says who asks, which no policy makes up
p.yaml:9:55 `X-API-Key`: with `api_keys` no backend gets this field (take it away, or let the backend look in another field)
p.yaml:10:16 `x-e-mail`: in this field upstream `signed` is told a claim (take it away here, or under `fields` of the upstream's `assertion`)
p.yaml:10:26 field `x-api-key` stands here twice (what is set replaces what came, so it need not be removed)
");
}

#[test]
fn of_a_name_that_is_broken_elsewhere_nothing_more_is_said() {
    let text = r#"
roles: { viewer: { allow: ["order:read"] } }
routes:
  - id: orders
    match: { host: "{tenant}.example.com", path: "/orders" }
    upstream: crumbling
    auth: { issuers: [broken], tenant_from: [host] }
    allow: { GET: "order:read" }
tests:
  - as: { tenant: acme, issuer: broken }
    do: GET https://acme.example.com/orders
    expect: allow
"#;
    let with = |known: &Known, text: &str| match compile(&[Source { path: "p.yaml", text }], known) {
        Ok(_) => "it compiles".to_owned(),
        Err(findings) => findings
            .iter()
            .filter(|finding| finding.severity == terms::Severity::Error)
            .cloned()
            .collect::<terms::Findings>()
            .to_string(),
    };
    let mut broken = known();
    broken.issuers.insert_broken("broken");
    broken.upstreams.insert_broken("crumbling");
    assert_eq!(with(&broken, text), "", "no policy, and no finding");
    let unread = Known {
        issuers: KnownNames::unread(),
        authorities: KnownNames::unread(),
        upstreams: KnownNames::unread(),
        ..Known::default()
    };
    assert_eq!(with(&unread, text), "");
    // What has nothing to do with it is told all the same, with the broken names to choose from.
    insta::assert_snapshot!(with(&broken, &text.replace("issuers: [broken]", "issuers: [brokn]")), @"p.yaml:7:23 issuer `brokn` is not configured (did you mean `broken`?)");
}

#[test]
fn a_policy_writes_no_field_that_is_not_its_own() {
    let text = ROUTE.replace(
        "    allow:",
        "    request_headers:
      set: { X-Channel: web, Authorization: Basic YTpi, X_Tenant: a, X-Tenant-Id: acme, x-forwarded-for: 1.2.3.4, Host: a }
      remove: [X-Channel, Content-Length, Cookie, Connection, X-HTTP-Method-Override, Traceparent, Sec-WebSocket-Key]
    response_headers:
      set: { X-A: \"a\\r\\nSet-Cookie: b\", X-B: \"\u{e9}\", X-C: \" c\", Cache-Control: no-store, cache-control: public, \"X-\u{e9}\": a }
      remove: [Transfer-Encoding, X-Cloister-Any, X-Request-Id, Upgrade, Proxy-Connection, Cache-Control, ETag, ETag]
    allow:",
    );
    insta::assert_snapshot!(refused(&text), @r#"
p.yaml:9:30 `Authorization`: this field says who asks, which no policy makes up
p.yaml:9:57 `X_Tenant`: the name of a field is letters, digits and `-`
p.yaml:9:70 `X-Tenant-Id`: only Cloister writes this field
p.yaml:9:89 `x-forwarded-for`: only Cloister writes this field
p.yaml:9:115 `Host`: this field says where a message ends or where it goes, which is not for a policy to say
p.yaml:10:16 field `x-channel` stands here twice (what is set replaces what came, so it need not be removed)
p.yaml:10:27 `Content-Length`: this field says where a message ends or where it goes, which is not for a policy to say
p.yaml:10:51 `Connection`: this field speaks of one connection, and each has its own
p.yaml:10:63 `X-HTTP-Method-Override`: by this field backends do another thing than the one that was judged
p.yaml:10:87 `Traceparent`: only Cloister writes this field
p.yaml:10:100 `Sec-WebSocket-Key`: this field speaks of one connection, and each has its own
p.yaml:12:19 `a��Set-Cookie: b`: the value of a field is visible ASCII, with spaces between
p.yaml:12:46 `é`: the value of a field is visible ASCII, with spaces between
p.yaml:12:56 ` c`: the value of a field is visible ASCII, with spaces between
p.yaml:12:87 field `cache-control` is set twice
p.yaml:12:110 `X-é`: the name of a field is letters, digits and `-`
p.yaml:13:16 `Transfer-Encoding`: this field says where a message ends or where it goes, which is not for a policy to say
p.yaml:13:35 `X-Cloister-Any`: only Cloister writes this field
p.yaml:13:51 `X-Request-Id`: only Cloister writes this field
p.yaml:13:65 `Upgrade`: this field speaks of one connection, and each has its own
p.yaml:13:74 `Proxy-Connection`: this field speaks of one connection, and each has its own
p.yaml:13:92 field `cache-control` stands here twice (what is set replaces what came, so it need not be removed)
p.yaml:13:113 field `etag` stands here twice (what is set replaces what came, so it need not be removed)
"#);
    compiled(&ROUTE.replace(
        "    allow:",
        "    request_headers: { set: { X-Channel: web }, remove: [Cookie, Authorization] }
    response_headers: { set: { X-Frame-Options: DENY }, remove: [ETag] }
    allow:",
    ));
}

#[test]
fn pages_of_other_origins_are_named_one_by_one() {
    let with = |cors: &str| refused(&ROUTE.replace("    allow:", &format!("    cors: {cors}\n    allow:")));
    let mut text = String::new();
    for cors in [
        "{ origins: [\"*\"], credentials: true }",
        "{ origins: [] }",
        "{ origins: [\"null\", \"https://a.com/\", \"https://*.a.com\", \"https://a.com:443\", a.com, \"https://b.com\", \"https://b.com\"] }",
        "{ origins: [\"*\", \"https://a.com\"] }",
        "{ origins: [\"https://a.com\"], methods: [GET, PUT, get], headers: [\"*\"], expose: [X_A], max_age: \"10\" }",
        "{ origins: [\"https://a.com\"], methods: [], origin: a }",
        "{ origins: [\"https://a.com\"], credentials: yes }",
    ] {
        text.push_str(&format!("{cors}\n{}\n\n", with(cors)));
    }
    insta::assert_snapshot!(text.trim_end(), @r#"
{ origins: ["*"], credentials: true }
p.yaml:8:23 every page there is could act as whoever looks at it (list the origins, or take `credentials` away)

{ origins: [] }
p.yaml:8:22 `cors` without an origin allows no page anything (leave `cors` out, or name the origins)

{ origins: ["null", "https://a.com/", "https://*.a.com", "https://a.com:443", a.com, "https://b.com", "https://b.com"] }
p.yaml:8:23 `null`: `null` is the origin of every page that has none of its own, an attacker's among them
p.yaml:8:31 `https://a.com/`: an origin is written `https://app.example.com`, `https://{tenant}.app.example.com` or `*`, in lower case, without a path
p.yaml:8:49 `https://*.a.com`: an origin is written `https://app.example.com`, `https://{tenant}.app.example.com` or `*`, in lower case, without a path
p.yaml:8:68 `https://a.com:443`: browsers leave the port out of an origin where it is the one of its scheme
p.yaml:8:89 `a.com`: an origin is written `https://app.example.com`, `https://{tenant}.app.example.com` or `*`, in lower case, without a path
p.yaml:8:113 this origin stands here twice

{ origins: ["*", "https://a.com"] }
p.yaml:8:22 `*` is every origin, so the others say nothing

{ origins: ["https://a.com"], methods: [GET, PUT, get], headers: ["*"], expose: [X_A], max_age: "10" }
p.yaml:8:56 this route does not take `PUT`
p.yaml:8:61 `get` is not a method that a route may name (did you mean `GET`?)
p.yaml:8:77 `*` is not the name of a field (list the names; `*` is none)
p.yaml:8:92 `X_A` is not the name of a field (list the names; `*` is none)
p.yaml:8:107 `10` does not parse: a time is a number and a unit: `250ms`, `10s`, `5m`, `1h`, `30d`

{ origins: ["https://a.com"], methods: [], origin: a }
p.yaml:8:50 `cors` without a method allows no page anything (leave `methods` out for all that the route takes)
p.yaml:8:54 unknown key `origin` (did you mean `origins`?)

{ origins: ["https://a.com"], credentials: yes }
p.yaml:8:54 expected a boolean, found text
"#);
    let public = "routes:\n- { id: r, match: { host: a.b, path: / }, upstream: orders, auth: none, \
                  cors: { origins: [\"https://{tenant}.a.com\"] }, \
                  response_headers: { set: { Access-Control-Allow-Origin: \"*\" } } }\n";
    insta::assert_snapshot!(refused(public), @r#"
p.yaml:2:90 `response_headers` sets `access-control-allow-origin`, too (`cors` writes all that begin with Access-Control)
p.yaml:2:91 the host of this route names no tenant to compare with (write `{tenant}` into `host` under `match`)
"#);
    let plain =
        ROUTE.replace("    allow:", "    cors: { origins: [\"http://a.com\", \"http://localhost:3000\"] }\n    allow:");
    insta::assert_snapshot!(compiled(&plain).warnings.to_string(), @r#"p.yaml:8:23 whoever is on the way to this page can speak for it (write `https`)"#);
}
