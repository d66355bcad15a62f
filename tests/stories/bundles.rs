//! What is allowed says who may say it, and nobody brings back what was allowed once.

use crate::harness::{Gateway, POLICIES, run};

/// Signs the folder of the policies.
fn sign(gateway: &Gateway, more: &[&str]) -> (i32, String) {
    let arguments = [&["bundle", "sign", "policies", "--key", "signer.key"][..], more].concat();
    let (code, out, err) = run(&arguments, gateway.folder.path());
    (code, out + &err)
}

/// A gateway that takes policies of one signer alone.
async fn trusting() -> (Gateway, String) {
    let mut gateway = Gateway::test().start().await;
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let folder = gateway.folder.path().to_owned();
    let make = ["bundle", "key", "--name", "policies.example.test", "--out", "signer.key"];
    let (code, key, err) = run(&make, &folder);
    assert_eq!(code, 0, "{err}");
    assert_eq!(run(&make, &folder).0, 2, "no key is written over");
    let config = std::fs::read_to_string(folder.join("cloister.yaml")).unwrap();
    let config = format!("{config}policies: {{ signed_by: [\"{}\"] }}\n", key.trim());
    std::fs::write(folder.join("cloister.yaml"), config).unwrap();
    assert_eq!(sign(&gateway, &[]).0, 0);
    gateway.start_again();
    (gateway, key.trim().to_owned())
}

/// How often files were taken, and how often they were not.
fn outcomes(gateway: &Gateway) -> [f64; 2] {
    let (_, text) = gateway.admin("/metrics");
    ["replaced", "refused"].map(|outcome| {
        let name = format!("cloister_reload_total{{outcome=\"{outcome}\"}} ");
        text.lines().filter_map(|line| line.strip_prefix(&name)?.parse::<f64>().ok()).sum()
    })
}

/// Changes the file and the note together, and waits for what comes of it.
fn change(gateway: &Gateway, change: impl FnOnce(&std::path::Path)) -> [f64; 2] {
    let before = outcomes(gateway);
    let staged = gateway.folder.path().join("policies");
    change(&staged);
    gateway.eventually("it is looked at", || outcomes(gateway) != before);
    let after = outcomes(gateway);
    [after[0] - before[0], after[1] - before[1]]
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_signed_comes_into_force_and_nothing_old_comes_back() {
    let (gateway, key) = trusting().await;
    let folder = gateway.folder.path();
    let policy = folder.join("policies/policy.yaml");
    let token = gateway.token("acme", "bob", &["viewer"]);
    let may_write = async || {
        let request = gateway.request("POST", "acme", "/orders/1").bearer_auth(&token);
        gateway.send(request).await.status == 200
    };
    let first = std::fs::read(folder.join("policies/bundle.note")).unwrap();
    assert!(!may_write().await);

    let wider = POLICIES.replace(r#"viewer: { allow: ["order:read"] }"#, r#"viewer: { allow: ["order:*"] }"#);
    let [replaced, refused] = change(&gateway, |_| std::fs::write(&policy, &wider).unwrap());
    assert!(replaced == 0.0 && refused >= 1.0, "nobody has signed it");
    assert!(!may_write().await);
    assert!(gateway.said().contains("`policy.yaml` is not the file that was signed for"), "{}", gateway.said());

    change(&gateway, |_| assert_eq!(sign(&gateway, &[]).0, 0));
    gateway.eventually("it is in force", || outcomes(&gateway)[0] >= 1.0);
    assert!(may_write().await);
    let (code, out, _) = run(&["bundle", "verify", "policies", "--signed-by", &key], folder);
    assert_eq!((code, out.trim()), (0, "version 2, 1 file, signed by policies.example.test"));

    // Everything of before, signed as it was.
    let [replaced, _] = change(&gateway, |_| {
        std::fs::write(&policy, POLICIES).unwrap();
        std::fs::write(folder.join("policies/bundle.note"), &first).unwrap();
    });
    assert!(replaced == 0.0 && may_write().await, "what was is not brought back");
    assert!(gateway.said().contains("version 1 is older than version 2"), "{}", gateway.said());

    // Meant, it has a version of its own.
    let (code, said) = sign(&gateway, &["--version", "1"]);
    assert!(code == 0 || said.contains("a version is given once"), "{said}");
    change(&gateway, |_| assert_eq!(sign(&gateway, &["--version", "3"]).0, 0));
    gateway.eventually("it is in force", || outcomes(&gateway)[0] >= 2.0);
    assert!(!may_write().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_does_not_start_with_files_that_nobody_has_signed_or_that_are_old() {
    let (mut gateway, _) = trusting().await;
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let folder = gateway.folder.path().to_owned();
    let first = std::fs::read(folder.join("policies/bundle.note")).unwrap();
    let check = || {
        let (code, out, err) = run(&["check", "--config", "cloister.yaml", "--policies", "policies"], &folder);
        (code, out + &err)
    };
    assert_eq!(check().0, 0);
    std::fs::write(folder.join("policies/more.yaml"), "roles: { more: { allow: [\"order:*\"] } }\n").unwrap();
    let (code, said) = check();
    assert!(code == 2 && said.contains("nobody has signed for `more.yaml`"), "{said}");
    std::fs::remove_file(folder.join("policies/more.yaml")).unwrap();
    std::fs::remove_file(folder.join("policies/bundle.note")).unwrap();
    let (code, said) = check();
    assert!(code == 2 && said.contains("bundle.note") && said.contains("cloister bundle sign"), "{said}");
    std::fs::write(folder.join("policies/bundle.note"), &first).unwrap();
    std::fs::write(folder.join("state/policies.version"), "what?").unwrap();
    let (code, said) = check();
    assert!(code == 2 && said.contains("policies.version"), "{said}");
}

/// Signs a set of files beside the folder and sends it to the gateway.
fn push(gateway: &Gateway, name: &str, policies: &str, version: &str) -> (i32, String) {
    let folder = gateway.folder.path();
    let next = folder.join(name);
    std::fs::create_dir_all(&next).unwrap();
    std::fs::write(next.join("policy.yaml"), policies).unwrap();
    let signed = run(&["bundle", "sign", name, "--key", "signer.key", "--version", version], folder);
    assert_eq!(signed.0, 0, "{}", signed.2);
    send(gateway, name, "admin.token")
}

fn send(gateway: &Gateway, name: &str, token: &str) -> (i32, String) {
    let to = format!("http://{}", gateway.admin);
    let (code, out, err) = run(&["bundle", "push", name, "--to", &to, "--token", token], gateway.folder.path());
    (code, out + &err)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_is_in_force_at_once_and_after_a_restart_and_what_is_not_good_changes_nothing() {
    let (mut gateway, _) = trusting().await;
    let token = gateway.token("acme", "bob", &["viewer"]);
    let may_write = async |gateway: &Gateway| {
        let request = gateway.request("POST", "acme", "/orders/1").bearer_auth(&token);
        gateway.send(request).await.status == 200
    };
    assert!(!may_write(&gateway).await && gateway.metric("cloister_policy_bundle_version") == 1.0);
    let wider = POLICIES.replace(r#"viewer: { allow: ["order:read"] }"#, r#"viewer: { allow: ["order:*"] }"#);

    let (code, said) = push(&gateway, "two", &wider, "2");
    assert!(code == 0 && said.contains(r#""outcome":"replaced""#) && said.contains(r#""version":2"#), "{said}");
    assert!(may_write(&gateway).await, "when the answer is there, it is in force");
    assert_eq!(gateway.metric("cloister_policy_bundle_version"), 2.0);
    let records = gateway.records(&["--kind", "policy.changed"]);
    let last = records.all().last().unwrap();
    assert_eq!((&last["by"], &last["version"]), (&"admin".into(), &2.into()), "{last}");
    let (code, said) = send(&gateway, "two", "admin.token");
    assert!(code == 0 && said.contains("unchanged"), "{said}");

    // Files that were changed behind the signature, an older version, files with a mistake, tests that fail, no token.
    std::fs::write(gateway.folder.path().join("two/policy.yaml"), POLICIES).unwrap();
    let (code, said) = send(&gateway, "two", "admin.token");
    assert!(code == 1 && said.contains("`policy.yaml` is not the file that was signed for"), "{said}");
    let (code, said) = push(&gateway, "one", POLICIES, "1");
    assert!(code == 1 && said.contains("version 1 is older than version 2"), "{said}");
    let (code, said) = push(&gateway, "three", &wider.replace("upstream: backend", "upstream: bakcend"), "3");
    assert!(code == 1 && said.contains("policy.yaml:") && said.contains("did you mean `backend`?"), "{said}");
    let failing = "tests:\n  - { as: { tenant: acme }, do: GET https://acme.example.test/orders/1, expect: allow }\n";
    let (code, said) = push(&gateway, "four", &format!("{wider}{failing}"), "4");
    assert!(code == 1 && said.contains("policy test failed"), "{said}");
    let other = gateway.folder.path().join("other.token");
    std::fs::copy(gateway.folder.path().join("signer.key"), &other).unwrap();
    let (code, said) = send(&gateway, "four", "other.token");
    assert!(code == 1 && said.contains("Unauthorized"), "{said}");
    assert!(may_write(&gateway).await && gateway.metric("cloister_policy_bundle_version") == 2.0);

    gateway.process().signal("KILL");
    gateway.process().wait();
    gateway.start_again();
    assert!(may_write(&gateway).await, "what was pushed is what a start takes");
    assert_eq!(gateway.metric("cloister_policy_bundle_version"), 2.0);

    // What lies in the folder counts again as soon as it is newer.
    assert_eq!(sign(&gateway, &["--version", "5"]).0, 0);
    gateway.eventually("the folder counts", || gateway.metric("cloister_policy_bundle_version") == 5.0);
    assert!(!may_write(&gateway).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_pushed_to_a_gateway_that_knows_nobody_who_may_sign() {
    let gateway = Gateway::test().start().await;
    let make = ["bundle", "key", "--name", "policies.example.test", "--out", "signer.key"];
    assert_eq!(run(&make, gateway.folder.path()).0, 0);
    let (code, said) = push(&gateway, "two", POLICIES, "2");
    assert!(code == 1 && said.contains("policies.signed_by"), "{said}");
}
