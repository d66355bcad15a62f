//! What is not to be seen anywhere: values that would be found wherever they went.

mod memory;

use std::path::{Path, PathBuf};

use crate::harness::{ADMIN_TOKEN, Gateway, POLICIES, claims, now, plain, run};

/// A key of a signature and a password, as they stand in the environment.
const KEY: &str = "canary-key-5b1f7a52c0de4a7e9d3c8f60";
const PASSWORD: &str = "canary-password-91d04c";

/// A gateway that knows all of them, and nobody who would answer at the address of Redis.
async fn knowing() -> Gateway {
    let redis = "redis: { url: \"redis://127.0.0.1:9\", user: cloister, password: \"${env:CANARY_PASSWORD}\" }\n";
    Gateway::test()
        .tls()
        .environment("CANARY_KEY", KEY)
        .environment("CANARY_PASSWORD", PASSWORD)
        .defence("assertion: { binding: reuse, key: \"${env:CANARY_KEY}\" }")
        .settings(redis)
        .start()
        .await
}

/// Every file below, with what is in it.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            all.push((path, bytes)); // sockets cannot be read
        }
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    plain(bytes).contains(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_token_is_in_any_log_metric_record_or_answer() {
    let mut gateway = knowing().await;
    let good = gateway.token("acme", "canary-subject-77", &["viewer"]);
    let expired = {
        let mut claims = claims("acme", "canary-subject-77", &["viewer"]);
        claims["exp"] = (now() - 3_600).into();
        gateway.issuer.sign(&claims)
    };
    let mut answers = String::new();
    for token in [good.as_str(), expired.as_str(), "canary.bearer.token"] {
        for path in ["/orders/1", "/orders/1?canary_query=canary-in-query", "/nowhere/canary-in-path"] {
            let request = gateway.request("GET", "acme", path).bearer_auth(token);
            let request = request.header("cookie", "canary=canary-cookie").header("x-canary", "canary-header");
            let answer = gateway.send(request).await;
            answers.push_str(&format!("{:?} {}", answer.fields, answer.text()));
        }
    }
    for token in [ADMIN_TOKEN, "canary-admin-guess"] {
        let asked = reqwest::Client::new().post(format!("http://{}/revocations", gateway.admin)).bearer_auth(token);
        answers.push_str(&asked.body("{}").send().await.unwrap().text().await.unwrap());
    }
    answers.push_str(&gateway.admin("/metrics").1);
    answers.push_str(&gateway.admin("/readyz").1);
    gateway.reload(&POLICIES.replace("viewer", "canary_role_that_is_none:"));
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let mut seen =
        vec![("answers".into(), answers.into_bytes()), ("logs".into(), gateway.process().said().into_bytes())];
    let folder = gateway.folder.path();
    // Where a secret was written down, and keys that are made there, it is known that they are.
    let kept = ["admin.token", "tls.key", "assertion.jwks"];
    let is_kept = |path: &Path| kept.iter().any(|name| path.ends_with(name));
    seen.extend(files(folder).into_iter().filter(|(path, _)| !is_kept(path)));
    assert!(
        seen.iter().any(|(path, bytes)| path.starts_with(folder.join("audit")) && holds(bytes, "auth.invalid.expired"))
    );
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    let private = private_parts(folder);
    let secrets = [
        KEY.to_owned(),
        PASSWORD.into(),
        ADMIN_TOKEN.into(),
        "canary-admin-guess".into(),
        signature(&good),
        signature(&expired),
        "canary.bearer.token".into(),
        "canary-subject-77".into(),
        "canary-in-query".into(),
        "canary-in-path".into(),
        "canary-cookie".into(),
        "canary-header".into(),
    ];
    for secret in secrets.iter().chain(&private) {
        for (place, bytes) in &seen {
            assert!(!holds(bytes, secret), "`{secret}` is in {}", place.display());
        }
    }
}

/// Private keys in the files that hold them, as they stand there.
fn private_parts(folder: &Path) -> Vec<String> {
    let keys: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("state/assertion.jwks")).unwrap()).unwrap();
    let mut private: Vec<String> = Vec::new();
    for key in keys["keys"].as_array().unwrap() {
        private.push(key["d"].as_str().unwrap().into());
    }
    let pem = std::fs::read_to_string(folder.join("tls.key")).unwrap();
    private.push(pem.lines().nth(1).unwrap().into());
    private
}

#[test]
fn what_stands_in_the_place_of_a_reference_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let text = crate::harness::config_text(folder.path());
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    std::fs::write(folder.path().join("policies/policy.yaml"), POLICIES).unwrap();
    let url = |url: &str| format!("\nredis: {{ url: \"{url}\" }}\n");
    let redis = |key: &str, value: &str| format!("\nredis: {{ url: \"redis://127.0.0.1:9\", {key}: \"{value}\" }}\n");
    for (what, text) in [
        (
            "a key",
            text.replace("    addresses:", "    assertion: { binding: reuse, key: canary-secret }\n    addresses:"),
        ),
        ("a token", text.replace("token: \"${file:", "token: \"canary-secret")),
        ("a password", text.clone() + &redis("password", "canary-secret")),
        ("an address of Redis", text.clone() + &url("rediss://cloister:canary-secret@redis.internal:6379")),
        ("an address of keys", text.replace("jwks: { file:", "jwks: { url: \"https://a:canary-secret@b/\", file:")),
    ] {
        let config = folder.path().join("cloister.yaml");
        std::fs::write(&config, &text).unwrap();
        let (code, out, err) = run(&["check", "--config", "cloister.yaml", "--policies", "policies"], folder.path());
        assert_eq!(code, 2, "{what}: {out}{err}");
        assert!(!format!("{out}{err}").contains("canary-secret"), "{what}: {out}{err}");
    }
}
