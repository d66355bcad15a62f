use tenancy::{MembershipSource, OpaqueTokens, Voucher};

use super::known;
use crate::{Known, Source, compile};

/// Three more issuers, of which two are asked about tokens.
fn asking() -> Known {
    let mut known = known();
    for (name, opaque) in
        [("asked", OpaqueTokens::Asked), ("also", OpaqueTokens::Asked), ("not", OpaqueTokens::Refused)]
    {
        let voucher = Voucher { opaque, ..MembershipSource::Claims.into() };
        known.issuers.insert(name.parse().unwrap(), voucher);
    }
    known
}

#[test]
fn a_route_has_one_issuer_to_ask_about_a_token_that_does_not_say_whose_it_is() {
    let policy = |issuers: &str| {
        format!(
            r#"tenants: {{ acme: {{ status: active }} }}
roles: {{ viewer: {{ allow: ["order:read"] }} }}
routes:
  - id: orders
    match: {{ host: "*", path: "/orders" }}
    upstream: orders
    auth: {{ issuers: [{issuers}], tenant_from: [token] }}
    allow: {{ GET: "order:read" }}
"#
        )
    };
    let compiled = |issuers: &str| {
        let text = policy(issuers);
        compile(&[Source { path: "p.yaml", text: &text }], &asking()).map(drop).map_err(|findings| findings.to_string())
    };
    for issuers in ["asked", "asked, dev, not", "not, also"] {
        assert_eq!(compiled(issuers), Ok(()), "{issuers}");
    }
    let refused = compiled("asked, dev, also").unwrap_err();
    assert!(
        refused.starts_with(
            "p.yaml:7:22 `asked` and `also` are both asked about tokens that do not say whose they are (accept one issuer with `introspection` on a route)"
        ),
        "{refused}"
    );
}
