use super::{compiled, refused};
use crate::{Recognised, ServiceMark};

const SERVICES: &str = r#"
tenants: { acme: { status: active }, globex: { status: active }, initech: { status: active } }
roles: { viewer: { allow: ["order:read"] } }
services:
  billing: { authority: partners, san: "spiffe://mesh/billing", tenant: acme, roles: [viewer] }
  idle: { authority: partners, san: idle.partner.test, tenant: globex }
  pinned:
    authority: partners
    spki: "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
    tenant: acme
routes:
  - id: feed
    match: { host: "{tenant}.localhost", path: "/feed" }
    upstream: orders
    auth: { authorities: [partners], tenant_from: [certificate, host] }
    allow: { GET: "order:read" }
  - id: orders
    match: { host: "{tenant}.localhost", path: "/orders" }
    upstream: orders
    auth: { issuers: [dev], tenant_from: [token, host] }
    allow: { GET: "order:read" }
"#;

#[test]
fn services_are_judged_as_members_with_the_tenant_and_the_roles_of_their_entry() {
    let tests = r#"
tests:
  - { as: { service: billing }, do: GET https://acme.localhost/feed, expect: { allow: viewer } }
  - { as: { service: billing }, do: POST https://acme.localhost/feed, expect: { deny: policy.denied } }
  - { as: { service: billing }, do: GET https://globex.localhost/feed, expect: { deny: tenant.mismatch } }
  - { as: { service: idle }, do: GET https://globex.localhost/feed, expect: { deny: policy.denied } }
  - { as: { service: billing }, do: GET https://acme.localhost/orders, expect: { deny: auth.missing } }
  - { as: { tenant: acme, roles: [viewer] }, do: GET https://acme.localhost/feed, expect: { deny: auth.invalid.service } }
  - { do: GET https://acme.localhost/feed, expect: { deny: auth.invalid.service } }
"#;
    for result in compiled(&format!("{SERVICES}{tests}")).policy.run_cases() {
        assert!(result.passed, "{}: expected {}, got {}", result.title, result.expected, result.got);
    }
}

#[test]
fn a_certificate_is_that_of_one_service_or_of_none() {
    let policy = compiled(SERVICES).policy;
    let (partners, others) = ("partners".parse().unwrap(), "others".parse().unwrap());
    let pinned: [u8; 32] = std::array::from_fn(|at| 0x11 * (at as u8 % 16));
    let nobody = [0; 32];
    for (voucher, key, names, expected) in [
        (&partners, nobody, &["spiffe://mesh/billing"][..], "billing"),
        (&partners, nobody, &["other.test", "idle.partner.test"], "idle"),
        (&partners, pinned, &[], "pinned"),
        (&partners, nobody, &["spiffe://mesh/billing/", "SPIFFE://mesh/billing", "spiffe://mesh/Billing"], "nobody"),
        (&partners, nobody, &[], "nobody"),
        (&others, pinned, &["spiffe://mesh/billing"], "nobody"),
        (&partners, nobody, &["spiffe://mesh/billing", "idle.partner.test"], "several"),
        (&partners, pinned, &["spiffe://mesh/billing"], "several"),
        (&partners, nobody, &["spiffe://mesh/billing", "spiffe://mesh/billing"], "billing"),
    ] {
        let got = policy.services().recognise(std::slice::from_ref(voucher), &key, names.iter().copied());
        let got = match &got {
            Recognised::Nobody => "nobody",
            Recognised::One(service) => service.name.as_str(),
            Recognised::Several => "several",
        };
        assert_eq!(got, expected, "{voucher} {names:?}");
    }
    assert_ne!(ServiceMark::San("a".into()), ServiceMark::Key(nobody));
}

#[test]
fn what_is_wrong_with_a_service_is_said_where_it_stands() {
    insta::assert_snapshot!(refused(r#"
tenants: { acme: { status: active }, initech: { status: active } }
roles: { viewer: { allow: ["order:read"] } }
services:
  a: { authority: partner, san: "spiffe://mesh/a", tenant: acme }
  b: { authority: partners, san: "spiffe://mesh/b", tenant: initech, roles: [viewr] }
  c: { authority: partners, san: "*.partner.test", tenant: acme }
  d: { authority: partners, spki: "sha256:00", tenant: acme }
  e: { authority: partners, tenant: acne }
  f: { authority: partners, san: "f.test", spki: "sha256:00", tenant: acme }
  g: { authority: partners, san: "spiffe://mesh/g", tenant: acme }
  h: { authority: partners, san: "spiffe://mesh/g", tenant: acme }
routes:
  - id: one
    match: { host: "*", path: "/a" }
    upstream: orders
    auth: { authorities: [partners], tenant_from: [token] }
    allow: { GET: "order:read" }
  - id: two
    match: { host: "*", path: "/b" }
    upstream: orders
    auth: { issuers: [dev], authorities: [partners], tenant_from: [token] }
    allow: { GET: "order:read" }
  - id: three
    match: { host: "*", path: "/c" }
    upstream: orders
    auth: { tenant_from: [token] }
    allow: { GET: "order:read" }
  - id: four
    match: { host: "*", path: "/d" }
    upstream: orders
    auth: { authorities: [partnrs], tenant_from: [certificat] }
    allow: { GET: "order:read" }
tests:
  - { as: { service: g, tenant: acme }, do: GET https://a/a, expect: allow }
  - { as: { service: nobody }, do: GET https://a/a, expect: allow }
"#), @r#"
p.yaml:5:19 authority `partner` is not configured (did you mean `partners`?)
p.yaml:6:61 authority `partners` may not speak for `initech` (add the tenant to the authority in cloister.yaml, or choose another)
p.yaml:6:78 role `viewr` is not defined (did you mean `viewer`?)
p.yaml:7:34 this is not a name that a certificate can have (a whole URI, or a DNS name in lower case; a star stands for nobody)
p.yaml:8:35 this is not the digest of a key (write `sha256:` and 64 hexadecimal digits)
p.yaml:9:19 nothing says which certificate is this service's (give it a `san` or an `spki`)
p.yaml:9:37 tenant `acne` is not registered (did you mean `acme`?)
p.yaml:10:50 a service is known by one thing (keep `san` or `spki`)
p.yaml:12:3 service `g` has this certificate already (one of the two would act as the other)
p.yaml:17:51 no token comes on a route for services (write `certificate` in place of `token`)
p.yaml:17:51 the certificate says for which tenant a service acts, so it must name the tenant (add `certificate` to `tenant_from`)
p.yaml:22:42 a route takes tokens or certificates of services (leave out `issuers` or `authorities`)
p.yaml:27:11 nothing says who may use this route (name `issuers` or `authorities`, or write `api_keys: true` or `auth: none`)
p.yaml:32:27 authority `partnrs` is not configured (did you mean `partners`?)
p.yaml:32:50 the certificate says for which tenant a service acts, so it must name the tenant (add `certificate` to `tenant_from`)
p.yaml:32:51 `certificat` cannot name a tenant (did you mean `certificate`?)
p.yaml:35:33 a service brings a certificate and no token (its tenant and its roles stand under `services`)
p.yaml:36:22 service `nobody` is not defined
"#);
}
