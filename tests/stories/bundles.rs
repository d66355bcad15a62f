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
