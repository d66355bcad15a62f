//! Files that are not as they must be: one message per finding, exit code 2, and nothing is served.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::harness::{POLICIES, config_text, run};

/// A folder with good files, in which a story spoils one.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        std::fs::write(folder.path().join("policies/policy.yaml"), POLICIES).unwrap();
        std::fs::write(folder.path().join("cloister.yaml"), config_text(folder.path())).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn spoil(&self, file: &str, from: &str, to: &str) {
        let path = self.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    fn cloister(&self, command: &str) -> (i32, String, String) {
        run(&[command, "--config", "cloister.yaml", "--policies", "policies"], self.path())
    }
}

#[test]
fn good_files_are_fine() {
    let (code, out, err) = Folder::new().cloister("check");
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn each_mistake_is_named_with_its_place_and_its_remedy() {
    let config = "cloister.yaml";
    let policy = "policies/policy.yaml";
    for (file, from, to, finding) in [
        (config, "workers:", "wrokers:", "did you mean `workers`?"),
        (config, "workers: 2", "workers: many", "a whole number"),
        (config, "grace: 5s", "grace: 5", "a time with its unit, such as `10s`"),
        (config, "algorithms: [ES256, RS256]", "algorithms: [HS256]", "HS256"),
        (config, "jwks.json,", "missing.json,", "missing.json"),
        (config, "audiences: [saas-api]", "audiences: []", "audiences"),
        (config, "127.0.0.1:0\" }", "localhost\" }", "cloister.yaml:3:"),
        (config, "127.0.0.1:0\" }", "127.0.0.1:0\", proxy_protocol: [\"10.0.0.1/8\"] }", "the network is `10.0.0.0/8`"),
        (config, "127.0.0.1:0\" }", "127.0.0.1:0\", proxy_protocol: [\"0.0.0.0/0\"] }", "`0.0.0.0/0` is everybody"),
        (config, "127.0.0.1:0\" }", "127.0.0.1:0\", proxy_protocol: [] }", "no proxy is listed"),
        (config, "127.0.0.1:0\" }", "127.0.0.1:0\", h2c: yes please }", "h2c"),
        (
            config,
            "127.0.0.1:0\" }",
            "127.0.0.1:0\", h2c: true, tls: { certificates: [{ certificate: a, key: b }] } }",
            "without TLS",
        ),
        (config, "    timeouts:", "    assertion: { algorithm: hs256 }\n    timeouts:", "hs256"),
        (config, "    timeouts:", "    assertion: { binding: reuse }\n    timeouts:", "needs a signature"),
        (config, "    timeouts:", "    assertion: { signature: hmac-sha256 }\n    timeouts:", "nothing says which key"),
        (
            config,
            "    timeouts:",
            "    assertion: { signature: ed25519, key: \"${env:PATH}\" }\n    timeouts:",
            "keys of the gateway's own",
        ),
        (
            config,
            "    timeouts:",
            "    assertion: { key: \"${env:PATH}\", next_key: { id: b, key: \"${env:PATH}\", from: \"2026-12-01T00:00:00Z\" } }\n    timeouts:",
            "no key serves two purposes",
        ),
        (
            config,
            "gateway.example.test\"",
            "gateway.example.test\", keys: { rotate_after: 10m }",
            "at least four times",
        ),
        (config, "gateway.example.test\"", "gateway.example.test\", keys: { max_age: 0s }", "`1s` to `1d`"),
        (
            config,
            "gateway.example.test\"",
            "gateway.example.test\", keys: { rotate_after: 1d, secret: \"${env:PATH}\" }",
            "take no turns by themselves",
        ),
        (config, "gateway.example.test\"", "gateway.example.test\", root: hunter2", "${file:"),
        (
            config,
            "    timeouts:",
            "    assertion: { fields: { X-Tenant-Id: tid } }\n    timeouts:",
            "only Cloister writes this field",
        ),
        (
            config,
            "    timeouts:",
            "    assertion: { fields: { X_Email: email } }\n    timeouts:",
            "letters, digits and `-`",
        ),
        (
            config,
            "    timeouts:",
            "    assertion: { fields: { Authorization: token } }\n    timeouts:",
            "proves who asks",
        ),
        (config, "    timeouts:", "    assertion: { fields: { Host: host } }\n    timeouts:", "where it goes"),
        (
            config,
            "    timeouts:",
            "    assertion: { fields: { X-Email: email, X-E-Mail: mail } }\n    timeouts:",
            "are one field",
        ),
        (
            config,
            "    timeouts:",
            "    assertion: { fields: { X-Email: email, X-Email: mail } }\n    timeouts:",
            "X-Email",
        ),
        (
            config,
            "    timeouts:",
            "    assertion: { fields: { X-Plan: { claim: plan, as: text, join: \";\" } } }\n    timeouts:",
            "only a list",
        ),
        (
            config,
            "    timeouts:",
            "    assertion: { fields: { X-Plan: { claim: plan, as: list, join: \"\\n\" } } }\n    timeouts:",
            "visible ASCII",
        ),
        (
            config,
            "    timeouts:",
            "    assertion: { fields: { X-Plan: { claim: plan, as: xml } } }\n    timeouts:",
            "xml",
        ),
        (config, "    timeouts:", "    assertion: { fields: { X-Plan: \"/a~b\" } }\n    timeouts:", "written `~0`"),
        (config, "workers: 2", "guard: { min_body_rate: 0KiB }\nworkers: 2", "no client would be too slow"),
        (config, "workers: 2", "clients: { allow: [] }\nworkers: 2", "nobody would be served"),
        (config, "workers: 2", "clients: { trusted_proxies: [\"::/0\"] }\nworkers: 2", "`::/0` is everybody"),
        (config, "workers: 2", "clients: { deny: [\"10.0.0.0/33\"] }\nworkers: 2", "`10.0.0.0/33` is no network"),
        (config, "workers: 2", "clients: { field: x-real-ip }\nworkers: 2", "`x-real-ip` is not known here"),
        (
            policy,
            "acme: { status: active }",
            "acme: { status: active, clients: { allow: [] } }",
            "nobody would be served",
        ),
        (
            policy,
            "acme: { status: active }",
            "acme: { status: active, clients: { deny: [10.1.0.0/8] } }",
            "`10.0.0.0/8`",
        ),
        (config, "    timeouts:", "    protocol: h3\n    timeouts:", "`h3` is not known here"),
        (config, "timeouts: { connect: 1s, read: 5s", "timeouts: { first_byte: 6s, read: 5s", "awaited for longer"),
        (policy, "    auth: none", "    auth: none\n    timeouts: { first_byte: 6s, read: 5s }", "awaited for longer"),
        (config, "    timeouts:", "    health: { check: http }\n    timeouts:", "give `path`, such as `/healthz`"),
        (config, "    timeouts:", "    health: { check: ping }\n    timeouts:", "`ping` is not known here"),
        (config, "    timeouts:", "    health: { check: grpc }\n    timeouts:", "add `protocol: h2c`, or `h2`"),
        (
            config,
            "    timeouts:",
            "    health: { check: tcp, path: / }\n    timeouts:",
            "`path` belongs to `check: http`",
        ),
        (config, "    timeouts:", "    health: { check: tcp, evry: 1s }\n    timeouts:", "did you mean `every`?"),
        (config, "    timeouts:", "    health: { check: tcp, every: 0s }\n    timeouts:", "are a flood"),
        (
            config,
            "    timeouts:",
            "    health: { check: http, path: healthz }\n    timeouts:",
            "a path begins with `/`",
        ),
        (
            config,
            "    timeouts:",
            "    health: { check: http, path: /, host: \"a b\" }\n    timeouts:",
            "`a b` is not a host",
        ),
        (
            config,
            "    timeouts:",
            "    health: { check: http, path: /, statuses: [200, 299-200] }\n    timeouts:",
            "from 200 to 599",
        ),
        (config, "    timeouts:", "    ejection: { max_share: 50 }\n    timeouts:", "a share, such as `50%`"),
        (config, "    timeouts:", "    ejection: { consecutive: 0 }\n    timeouts:", "write `max_share: 0%`"),
        (
            config,
            "    timeouts:",
            "    ejection: { for: 1m, longest: 30s }\n    timeouts:",
            "the longest time is shorter than the first",
        ),
        (policy, "inherits: [viewer]", "inherits: [clerk]", "in a circle"),
        (policy, "inherits: [viewer]", "inherits: [viewr]", "did you mean `viewer`?"),
        (policy, "upstream: backend", "upstream: backnd", "did you mean `backend`?"),
        (policy, "issuers: [main]", "issuers: [mian]", "did you mean `main`?"),
        (policy, "path: \"/strict/**\"", "path: \"/orders/**\"", "orders"),
        (policy, "    auth: none", "", "auth"),
        (policy, "rate: 1/h", "rate: 1 per hour", "100/m"),
        (policy, "rate: 1/h, burst: 3", "rate: 1/d, burst: 400", "needs more than 366 days"),
        (policy, "rate: 100000/s", "rate: 1000000001/s", "faster than time can be measured"),
        (policy, "order:read", "order", "resource:verb"),
        (policy, "roles:", "roles:\n  viewer: { allow: [] }\nrolse:", "rolse"),
    ] {
        let folder = Folder::new();
        folder.spoil(file, from, to);
        for command in ["check", "run"] {
            let (code, out, err) = folder.cloister(command);
            assert_eq!(code, 2, "{to}: {out}{err}");
            assert!(err.contains(finding), "{to}: {err}");
            assert!(err.contains(file), "{to}: {err}");
        }
    }
}

#[test]
fn each_mistake_in_the_settings_of_tls_is_named_with_its_remedy() {
    let listener = |tls: &str| format!("127.0.0.1:0\", tls: {{ {tls} }} }}");
    let one = "certificates: [{ certificate: a.pem, key: a.key }]";
    let clients = "authorities:\n  partners: { ca: ca.pem, tenants: [acme] }\n";
    for (tls, more, finding, help) in [
        ("certificates: []", "", "tls without a certificate", "leave `tls` out"),
        (
            "certificates: [{ certificate: a, key: a, default: true }, { certificate: b, key: b, default: true }]",
            "",
            "two certificates are the default",
            "mark one of them",
        ),
        (&format!("{one}, min_version: \"1.1\""), "", "a version is \"1.2\" or \"1.3\"", ""),
        (
            &format!("{one}, suites: [TLS_AES_128_GCM_SHA25]"),
            "",
            "is not a cipher suite",
            "did you mean `TLS_AES_128_GCM_SHA256`?",
        ),
        (&format!("{one}, suites: [TLS_AES_128_GCM_SHA256]"), "", "no suite here is of TLS 1.2", "min_version"),
        (
            &format!("{one}, suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]"),
            "",
            "no suite here is of TLS 1.3",
            "TLS_AES_128_GCM_SHA256",
        ),
        (&format!("{one}, suites: []"), "", "no suite here is of TLS 1.3", "add"),
        (
            &format!(
                "{one}, min_version: \"1.3\", suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]"
            ),
            "",
            "is of TLS 1.2, and `min_version` is 1.3",
            "leave it out",
        ),
        (
            &format!("{one}, min_version: \"1.3\", suites: [TLS_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]"),
            "",
            "stands here twice",
            "leave it out here",
        ),
        (&format!("{one}, ticket_rotation: 59s"), "", "after 1m to 6h", "when it is stolen"),
        (&format!("{one}, ticket_rotation: 7h"), "", "after 1m to 6h", "when it is stolen"),
        (&format!("{one}, client_certificates: {{ mode: required }}"), "", "nobody vouches", "`authorities`"),
        (
            &format!("{one}, client_certificates: {{ mode: off, authorities: [partners] }}"),
            clients,
            "nobody is asked",
            "leave them out",
        ),
        (
            &format!("{one}, client_certificates: {{ mode: required, authorities: [partner] }}"),
            clients,
            "`partner` is not configured",
            "did you mean `partners`?",
        ),
        (
            &format!("{one}, hosts: {{ \"a.*.test\": {{ client_certificates: {{ mode: off }} }} }}"),
            "",
            "a host is a dns name in lower case",
            "",
        ),
        (
            one,
            "authorities:\n  main: { ca: ca.pem, tenants: [acme] }\n",
            "is the name of an issuer as well",
            "who vouches",
        ),
        (one, "authorities:\n  partners: { ca: ca.pem, tenants: [] }\n", "may speak for nobody", "list the tenants"),
        (one, "", "cannot read `a.pem`", ""),
    ] {
        let folder = Folder::new();
        folder.spoil("cloister.yaml", "127.0.0.1:0\" }", &listener(tls));
        folder.spoil("cloister.yaml", "workers: 2", &format!("{more}workers: 2"));
        let (code, out, err) = folder.cloister("check");
        assert_eq!(code, 2, "{tls}: {out}{err}");
        assert!(err.contains("cloister.yaml:") && err.contains(finding) && err.contains(help), "{tls}: {err}");
    }
}

#[test]
fn an_issuer_that_could_be_mistaken_or_not_be_asked_is_refused_at_its_place() {
    let asked = |more: &str| {
        format!(
            "    introspection: {{ url: \"https://idp.test/i\", client_id: gateway, client_secret: \"${{env:PATH}}\"{more} }}\n"
        )
    };
    for (issuer, settings, finding, help) in [
        ("https://idp.test/{tenant}", "    jwks: { discovery: oidc }\n".to_owned(), "", ""),
        ("https://idp.test/{tenant}", "    jwks: { file: \"/keys/{tenant}\" }\n".into(), "", ""),
        ("https://idp.test/{tenant}", "    jwks: { url: \"https://idp.test/k\" }\n".into(), "keys in common", ""),
        ("https://idp.test/{realm}", "    jwks: { discovery: oidc }\n".into(), "something else in braces", ""),
        (
            "https://idp.test/{tenant}",
            "    jwks: { discovery: oidc }\n    max_tenants: 0\n".into(),
            "`max_tenants` is not",
            "",
        ),
        (
            "https://idp.test/",
            "    jwks: { discovery: oidc }\n    max_tenants: 9\n".into(),
            "this is one issuer",
            "`{tenant}`",
        ),
        (
            "https://idp.test/{tenant}",
            "    jwks: { discovery: oidc }\n".to_owned() + &asked(""),
            "goes with one issuer",
            "",
        ),
        ("https://idp.test/", String::new(), "nothing says how tokens of this issuer are verified", "`introspection`"),
        (
            "https://idp.test/",
            asked(""),
            "without keys no token of this issuer is verified here",
            "leave `algorithms` out",
        ),
        ("https://idp.test/", "    jwks: { discovery: oidc }\n".to_owned() + &asked(""), "", ""),
        (
            "https://idp.test/",
            "    jwks: { discovery: oidc }\n".to_owned() + &asked(", timeout: 11s"),
            "`introspection.timeout`",
            "",
        ),
        (
            "https://idp.test/",
            "    jwks: { discovery: oidc }\n".to_owned() + &asked(", timeouts: 1s"),
            "`timeouts`",
            "`timeout`",
        ),
        (
            "https://idp.test/",
            "    jwks: { discovery: oidc }\n".to_owned()
                + &asked("").replace("https://idp.test/i", "http://idp.test/i"),
            "`introspection.url` is not an https address",
            "",
        ),
        (
            "https://idp.test/",
            "    jwks: { discovery: oidc }\n".to_owned() + &asked(", timeouts: 1s").replace("${env:PATH}", "hunter2"),
            "a secret is not written into a file",
            "",
        ),
        (
            "https://idp.test/",
            "    jwks: { discovery: oidc }\n".to_owned() + &asked(", authentication: private_key_jwt"),
            "it goes with another `authentication`",
            "`client_key`",
        ),
        (
            "https://idp.test/",
            "    jwks: { discovery: oidc }\n".to_owned()
                + &asked(", authentication: private_key_jwt").replace("client_secret", "client_key"),
            "it is no private key",
            "",
        ),
        (
            "https://idp.test/",
            "    jwks: { discovery: oidc }\n".to_owned() + &asked("").replace("client_secret", "client_key"),
            "it goes with another `authentication`",
            "",
        ),
        (
            "https://idp.test/",
            "    jwks: { discovery: oidc }\n".to_owned() + &asked("").replace("${env:PATH}", "${env:NOT_THERE}"),
            "is not set",
            "",
        ),
    ] {
        let folder = Folder::new();
        let other =
            format!("  other:\n    issuer: \"{issuer}\"\n    audiences: [api]\n    algorithms: [ES256]\n{settings}");
        folder.spoil("cloister.yaml", "upstreams:\n", &format!("{other}upstreams:\n"));
        let (code, out, err) = folder.cloister("check");
        assert_eq!(code, if finding.is_empty() { 0 } else { 2 }, "{other}: {out}{err}");
        assert!(err.contains(finding) && err.contains(help) && !err.contains("hunter2"), "{other}: {err}");
    }
}

#[test]
fn all_mistakes_of_all_policy_files_come_at_once() {
    let folder = Folder::new();
    folder.spoil("policies/policy.yaml", "upstream: backend", "upstream: backnd");
    folder.spoil("policies/policy.yaml", "inherits: [viewer]", "inherits: [viewr]");
    std::fs::write(folder.path().join("policies/more.yaml"), "tenants: { Acme: { status: activ } }\n").unwrap();
    let (code, _, err) = folder.cloister("check");
    assert_eq!(code, 2);
    for part in ["backnd", "viewr", "more.yaml:1:"] {
        assert!(err.contains(part), "{part}: {err}");
    }
}

#[test]
fn the_mistakes_of_all_files_come_at_once_and_none_of_them_twice() {
    let folder = Folder::new();
    folder.spoil("cloister.yaml", "algorithms: [ES256, RS256]", "algorithms: [HS256]"); // of the issuer `main`
    folder.spoil("cloister.yaml", "    timeouts:", "    protocol: h3\n    timeouts:"); // of the upstream `backend`
    folder.spoil("cloister.yaml", "workers: 2", "wrokers: 2");
    folder.spoil("policies/policy.yaml", "inherits: [viewer]", "inherits: [viewr]");
    folder.spoil("policies/policy.yaml", "issuers: [main]", "issuers: [mian]");
    for command in ["check", "run"] {
        let (code, _, err) = folder.cloister(command);
        assert_eq!(code, 2, "{err}");
        for part in ["HS256", "h3", "`wrokers`", "`viewr`", "did you mean `main`?"] {
            assert!(err.contains(part), "{part}: {err}");
        }
        assert!(err.contains("5 errors"), "what policies say of `main` and `backend` is no mistake: {err}");
    }
}

#[test]
fn a_configuration_that_cannot_be_read_does_not_hide_the_policies() {
    for (from, to) in [("version: 1", "version: [1"), ("upstreams:", "upstream:")] {
        let folder = Folder::new();
        folder.spoil("cloister.yaml", from, to);
        folder.spoil("policies/policy.yaml", "inherits: [viewer]", "inherits: [viewr]");
        let (code, _, err) = folder.cloister("check");
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("cloister.yaml:") && err.contains("`viewr`"), "{err}");
        assert!(!err.contains("is not configured"), "{err}");
    }
}

#[test]
fn a_web_socket_is_not_routed_to_a_backend_of_grpc() {
    let folder = Folder::new();
    folder.spoil("cloister.yaml", "    timeouts:", "    protocol: h2c\n    timeouts:");
    let (code, _, err) = folder.cloister("check");
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("policies/policy.yaml:34:15") && err.contains("takes no WebSockets"), "{err}");
}

#[test]
fn a_failing_policy_test_keeps_it_from_starting() {
    let folder = Folder::new();
    let test = "tests:\n  - as: { tenant: acme, roles: [viewer] }\n    do: GET https://globex.example.test/orders/1\n    expect: allow\n";
    std::fs::write(folder.path().join("policies/wrong.test.yaml"), test).unwrap();
    let (code, _, err) = folder.cloister("run");
    assert_eq!(code, 2);
    assert!(err.contains("wrong.test.yaml:2:") && err.contains("tenant.mismatch"), "{err}");
    let (code, out, _) = folder.cloister("test");
    assert_eq!(code, 1, "{out}");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    folder.spoil("cloister.yaml", "bind: \"127.0.0.1:0\"", &format!("bind: \"{address}\""));
    let (code, _, err) = folder.cloister("run");
    assert_eq!(code, 2, "{err}");
    assert!(err.contains(&address), "{err}");
}

#[test]
fn a_certificate_that_cannot_be_served_with_is_named_where_it_is_configured() {
    let generate = || rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let (certified, other) = (generate(), generate());
    let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    let foreign = other.signing_key.serialize_pem();
    for (certificate, key, mode, findings) in [
        (Some(&certificate), Some(&key), 0o600, &[][..]),
        (Some(&certificate), Some(&key), 0o644, &[("cloister.yaml:5:", "open to everybody (mode 644)")]),
        (Some(&certificate), Some(&foreign), 0o600, &[("cloister.yaml:5:", "does not belong to the certificate")]),
        (Some(&certificate), Some(&certificate), 0o600, &[("cloister.yaml:5:", "holds no private key")]),
        (Some(&key), Some(&key), 0o600, &[("cloister.yaml:4:", "holds no certificate")]),
        (
            None,
            None,
            0,
            &[("cloister.yaml:4:", "cannot read `tls.pem`"), ("cloister.yaml:5:", "cannot read `tls.key`")],
        ),
    ] {
        let folder = Folder::new();
        for (name, text, mode) in [("tls.pem", certificate, 0o644), ("tls.key", key, mode)] {
            let Some(text) = text else { continue };
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let tls = "  - bind: \"127.0.0.1:0\"\n    tls: { certificates: [{ certificate: tls.pem,\n           key: tls.key }] }\n";
        folder.spoil("cloister.yaml", "  - { bind: \"127.0.0.1:0\" }\n", tls);
        let (code, out, err) = folder.cloister("check");
        assert_eq!(code, if findings.is_empty() { 0 } else { 2 }, "{out}{err}");
        for (place, finding) in findings {
            assert!(err.lines().any(|line| line.contains(place) && line.contains(finding)), "{place} {finding}: {err}");
            let (code, _, err) = folder.cloister("run");
            assert!(code == 2 && err.contains(finding), "{finding}: {err}");
        }
    }
}

#[test]
fn missing_files_are_named() {
    let folder = Folder::new();
    let (code, _, err) = run(&["check", "--config", "nowhere.yaml", "--policies", "policies"], folder.path());
    assert_eq!(code, 2);
    assert!(err.contains("nowhere.yaml"), "{err}");
    let (code, _, err) = run(&["check", "--config", "cloister.yaml", "--policies", "nowhere"], folder.path());
    assert_eq!(code, 2);
    assert!(err.contains("nowhere"), "{err}");
}
