use terms::Reason;

use super::compiled;
use crate::{Recorded, Replay, Replayed};

const BEFORE: &str = r#"
tenants: { acme: { status: active }, globex: { status: active } }
roles:
  viewer: { allow: ["order:read"] }
  clerk: { inherits: [viewer], allow: ["order:write"] }
members: { acme: { ada: [clerk] } }
routes:
  - { id: health, match: { host: "*", path: /healthz }, upstream: orders, auth: none }
  - { id: orders, match: { host: "{tenant}.a.test", path: "/orders/**" }, upstream: orders, auth: { issuers: [dev, corp], tenant_from: [token, host] }, allow: { GET: "order:read", "*": "order:write" } }
"#;

fn served(method: &'static str, roles: &'static str) -> Recorded<'static> {
    Recorded {
        host: Some("acme.a.test"),
        method: Some(method),
        route: Some("orders"),
        tenant: Some("acme"),
        issuer: Some("dev"),
        by_key: false,
        roles: Some(roles),
        forwarded: true,
        reason: Reason::Allowed,
    }
}

fn refused(method: &'static str, roles: &'static str) -> Recorded<'static> {
    Recorded { forwarded: false, reason: Reason::PolicyDenied, ..served(method, roles) }
}

#[track_caller]
fn replayed(from: &str, to: &str, recorded: Recorded<'_>) -> Replayed {
    assert!(BEFORE.contains(from), "{from}");
    let (old, new) = (compiled(BEFORE).policy, compiled(&BEFORE.replacen(from, to, 1)).policy);
    let mut replay = Replay::new(&old, &new);
    let first = replay.judge(&recorded);
    assert_eq!(replay.judge(&recorded), first, "it remembers");
    first
}

#[test]
fn by_the_same_policy_everything_becomes_what_it_was() {
    let denied = |reason| Recorded { forwarded: false, reason, roles: None, tenant: None, ..served("GET", "") };
    let public = Recorded { route: Some("health"), roles: None, tenant: None, issuer: None, ..served("GET", "") };
    let late = Recorded { reason: Reason::UpstreamUnavailable, ..served("GET", "viewer") };
    let unknown = Recorded { route: None, ..denied(Reason::RouteUnknown) };
    let limited = Recorded { forwarded: false, reason: Reason::LimitRate, ..served("GET", "viewer") };
    for recorded in [
        served("GET", "viewer"),
        served("POST", "clerk viewer"),
        refused("POST", "viewer"),
        refused("GET", ""),
        denied(Reason::AuthMissing),
        denied(Reason::TenantMismatch),
        public,
        late,
        unknown,
        limited,
    ] {
        assert_eq!(replayed("acme", "acme", recorded), Replayed::Same, "{recorded:?}");
    }
}

#[test]
fn what_changes_is_said() {
    let viewer = r#"viewer: { allow: ["order:read"] }"#;
    let limited = Recorded { forwarded: false, reason: Reason::LimitRate, ..served("GET", "viewer") };
    let missing = Recorded {
        forwarded: false,
        reason: Reason::AuthMissing,
        roles: None,
        tenant: None,
        issuer: None,
        ..served("GET", "")
    };
    for (from, to, recorded, expected) in [
        (viewer, r#"viewer: { allow: ["order:*"] }"#, refused("POST", "viewer"), Replayed::Allowed),
        (viewer, r#"viewer: { allow: ["order:*"] }"#, refused("POST", "nobody"), Replayed::Same),
        (viewer, "viewer: { allow: [] }", served("GET", "viewer"), Replayed::Denied(Reason::PolicyDenied)),
        (viewer, "viewer: { allow: [] }", limited, Replayed::Denied(Reason::PolicyDenied)),
        (
            "acme: { status: active }",
            "acme: { status: suspended }",
            served("GET", "viewer"),
            Replayed::Denied(Reason::TenantSuspended),
        ),
        ("globex: { status: active }", "globex: { status: suspended }", served("GET", "viewer"), Replayed::Same),
        ("[dev, corp]", "[corp]", served("GET", "viewer"), Replayed::Denied(Reason::AuthInvalidIssuer)),
        (
            "path: \"/orders/**\"",
            "path: \"/orders/**\", methods: [GET]",
            served("POST", "clerk"),
            Replayed::Denied(Reason::RouteUnknown),
        ),
        ("id: orders", "id: orders2", served("GET", "viewer"), Replayed::Same),
        ("\"order:write\" } }", "\"order:write\" }, mode: shadow }", refused("POST", "viewer"), Replayed::Allowed),
        (
            "auth: { issuers: [dev, corp], tenant_from: [token, host] }, allow: { GET: \"order:read\", \"*\": \"order:write\" }",
            "auth: none",
            missing,
            Replayed::Allowed,
        ),
    ] {
        assert_eq!(replayed(from, to, recorded), expected, "{to} {recorded:?}");
    }
}

/// A record has no path and no claim: what depends on them is not guessed, in either direction.
#[test]
fn what_the_record_does_not_say_is_unknown() {
    let roleless = Recorded { roles: None, ..served("GET", "") };
    let corp = Recorded { issuer: Some("corp"), ..served("GET", "clerk") };
    let routeless = Recorded { route: None, forwarded: false, reason: Reason::RouteUnknown, ..served("GET", "") };
    let health = "  - { id: health,";
    let closer = "  - { id: export, match: { host: \"*\", path: \"/orders/export\" }, upstream: orders, auth: none }\n  - { id: near, match: { host: \"{tenant}.a.test\", path: \"/orders/export\" }, upstream: orders, auth: { issuers: [dev], tenant_from: [token, host] }, allow: { GET: \"order:nobody\" } }\n  - { id: health,";
    for (from, to, recorded) in [
        (health, closer, served("GET", "viewer")),
        (health, closer, routeless),
        ("tenant_from: [token, host]", "tenant_from: [token, host, \"header:x-org\"]", served("GET", "viewer")),
        ("tenant_from: [token, host]", "tenant_from: [token, host], acr: [gold]", refused("POST", "viewer")),
        ("acme: { status: active }", "acme: { status: active, mfa: required }", served("GET", "viewer")),
        ("acme: {", "acme:   {", roleless),
        ("ada: [clerk]", "ada: [viewer]", corp),
        ("\"order:write\" } }", "\"order:write\" }, when: \"tenant.plan == 'gold'\" }", served("GET", "viewer")),
        ("acme: {", "acme:   {", Recorded { route: Some("other"), ..served("GET", "viewer") }),
    ] {
        let became = replayed(from, to, recorded);
        assert!(matches!(became, Replayed::Unknown(_)), "{to} {recorded:?}: {became:?}");
    }
}
