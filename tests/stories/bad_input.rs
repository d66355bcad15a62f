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
        (policy, "inherits: [viewer]", "inherits: [clerk]", "in a circle"),
        (policy, "inherits: [viewer]", "inherits: [viewr]", "did you mean `viewer`?"),
        (policy, "upstream: backend", "upstream: backnd", "did you mean `backend`?"),
        (policy, "issuers: [main]", "issuers: [mian]", "did you mean `main`?"),
        (policy, "path: \"/strict/**\"", "path: \"/orders/**\"", "orders"),
        (policy, "    auth: none", "", "auth"),
        (policy, "rate: 1/h", "rate: 1 per hour", "100/m"),
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
fn a_port_in_use_and_a_key_that_others_can_read_are_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    folder.spoil("cloister.yaml", "bind: \"127.0.0.1:0\"", &format!("bind: \"{address}\""));
    let (code, _, err) = folder.cloister("run");
    assert_eq!(code, 2, "{err}");
    assert!(err.contains(&address), "{err}");

    let folder = Folder::new();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    std::fs::write(folder.path().join("tls.pem"), certified.cert.pem()).unwrap();
    std::fs::write(folder.path().join("tls.key"), certified.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(folder.path().join("tls.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    folder.spoil(
        "cloister.yaml",
        "{ bind: \"127.0.0.1:0\" }",
        "{ bind: \"127.0.0.1:0\", tls: { certificate: tls.pem, key: tls.key } }",
    );
    let (code, _, err) = folder.cloister("run");
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("tls.key"), "{err}");
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
