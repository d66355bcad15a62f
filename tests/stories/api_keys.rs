//! Programs that can get no token bring a key, which somebody makes, replaces and takes back.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::Value;

use crate::harness::{Gateway, run};

const POLICY: &str = r#"
tenants:
  acme: { status: active }
  globex: { status: active }
  hooli: { status: active, issuers: [main] }
roles: { viewer: { allow: ["order:read"] }, clerk: { allow: ["order:*"] } }
routes:
  - id: both
    match: { host: "{tenant}.example.test", path: "/orders/**" }
    upstream: backend
    auth: { issuers: [main], api_keys: true, tenant_from: [token, host] }
    allow: { GET: "order:read", POST: "order:write" }
  - id: keys
    match: { host: "*", path: "/long/events" }
    upstream: backend
    auth: { api_keys: true, tenant_from: [token] }
    allow: { GET: "order:read" }
  - id: tokens
    match: { host: "{tenant}.example.test", path: "/limited" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
"#;

/// Runs `cloister api-key …` beside the gateway, as an operator does.
fn command(gateway: &Gateway, arguments: &[&str]) -> (i32, String, String) {
    let folder = gateway.folder.path();
    let (config, policies) = (folder.join("cloister.yaml"), folder.join("policies"));
    let mut all = vec!["api-key"];
    all.extend(arguments);
    all.extend(["--config", config.to_str().unwrap()]);
    if arguments[0] == "create" {
        all.extend(["--policies", policies.to_str().unwrap()]);
    }
    run(&all, folder)
}

/// A new key for acme: its text, and what it is called.
fn make(gateway: &Gateway, tenant: &str, more: &[&str]) -> (String, String) {
    let arguments = ["create", "--tenant", tenant, "--name", "ci", "--roles", "viewer", "--format", "json"];
    let (code, out, err) = command(gateway, &[&arguments[..], more].concat());
    assert_eq!(code, 0, "{err}");
    told(&out)
}

fn told(out: &str) -> (String, String) {
    let told: Value = serde_json::from_str(out).unwrap();
    (told["key"].as_str().unwrap().to_owned(), told["id"].as_str().unwrap().to_owned())
}

async fn ask(gateway: &Gateway, method: &str, tenant: &str, path: &str, key: &str) -> (u16, String) {
    let answer = gateway.send(gateway.request(method, tenant, path).header("x-api-key", key)).await;
    (answer.status, gateway.reason(&answer))
}

async fn until(gateway: &Gateway, key: &str, status: u16) -> String {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let (got, reason) = ask(gateway, "GET", "acme", "/orders/1", key).await;
        if got == status {
            return reason;
        }
        assert!(Instant::now() < deadline, "still {got} {reason}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_what_it_was_made_for_and_its_name_is_on_record() {
    let gateway = Gateway::test().policies(POLICY).start().await;
    let (key, id) = make(&gateway, "acme", &[]);
    until(&gateway, &key, 200).await;
    let seen = gateway.backend.last();
    assert_eq!((seen.field("x-tenant-id"), seen.field("x-user-id")), (Some("acme"), Some("acme/ci")));
    assert_eq!((seen.field("x-roles"), seen.field("x-api-key")), (Some("viewer"), None));
    let (other, _) = make(&gateway, "hooli", &[]);
    let wrong = format!("{}x", key.strip_suffix(|_: char| true).unwrap());
    for (method, tenant, path, key, status, reason) in [
        ("POST", "acme", "/orders/1", &key, 403, "policy.denied"),
        ("GET", "globex", "/orders/1", &key, 403, "tenant.mismatch"),
        ("GET", "acme", "/limited", &key, 401, "auth.missing"), // a route that does not look for keys
        ("GET", "acme", "/orders/1", &wrong, 401, "auth.key.malformed"),
        ("GET", "acme", "/orders/1", &"secret".to_owned(), 401, "auth.key.malformed"),
        ("GET", "acme", "/orders/1", &String::new(), 401, "auth.key.malformed"),
        ("GET", "hooli", "/orders/1", &other, 403, "tenant.issuer"), // which lets no keys speak for it
    ] {
        let got = ask(&gateway, method, tenant, path, key).await;
        assert_eq!((got.0, got.1.as_str()), (status, reason), "{method} {tenant} {path}");
    }
    let request = gateway.request("GET", "acme", "/orders/1").header("x-api-key", &key);
    let answer = gateway.send(request.bearer_auth(gateway.token("acme", "ada", &["viewer"]))).await;
    assert_eq!((answer.status, gateway.reason(&answer).as_str()), (401, "auth.key.malformed"), "one proof, not two");
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200, "tokens are good there, too");
    let as_token = gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(&key)).await;
    assert_eq!(gateway.reason(&as_token), "auth.invalid.malformed");
    let records = gateway.records(&["--reason", "allowed", "--route", "both"]);
    let with_key: Vec<_> = records.finals().into_iter().filter(|record| record["key"] == *id).collect();
    assert!(!with_key.is_empty() && with_key.iter().all(|record| record["iss"] == "api-keys"));
    assert!(gateway.records(&["--reason", "policy.denied"]).finals().iter().all(|record| record["key"] == *id));
    for file in
        std::fs::read_dir(gateway.log()).unwrap().chain(std::fs::read_dir(gateway.folder.path().join("state")).unwrap())
    {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()), "nothing keeps the key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_without_a_refusal_and_taken_back_within_a_second_also_on_streams() {
    let gateway = Gateway::test().policies(POLICY).start().await;
    let (old, old_id) = make(&gateway, "acme", &["--expires", "90d"]);
    until(&gateway, &old, 200).await;
    let (code, out, err) = command(&gateway, &["rotate", &old_id, "--overlap", "1h", "--format", "json"]);
    assert_eq!(code, 0, "{err}");
    let (new, new_id) = told(&out);
    until(&gateway, &new, 200).await;
    assert_eq!(ask(&gateway, "GET", "acme", "/orders/1", &old).await.0, 200, "the old one is good for a while");
    assert_eq!(gateway.backend.last().field("x-user-id"), Some("acme/ci"), "and both are the same user");

    let request = gateway.request("GET", "acme", "/long/events").header("x-api-key", &new);
    let mut stream = request.send().await.unwrap().bytes_stream();
    assert!(stream.next().await.unwrap().is_ok());
    let (code, out, _) = command(&gateway, &["revoke", &new_id]);
    assert_eq!((code, out.starts_with(&format!("Taken back: the key `{new_id}`."))), (0, true), "{out}");
    let rest = tokio::time::timeout(Duration::from_secs(1), async {
        while stream.next().await.is_some_and(|it| it.is_ok()) {}
    });
    assert!(rest.await.is_ok(), "it still runs");
    assert_eq!(until(&gateway, &new, 401).await, "auth.key.revoked");
    gateway
        .eventually("the stream is on record", || gateway.records(&["--reason", "stream.revoked"]).finals().len() == 1);
    assert_eq!(command(&gateway, &["revoke", &new_id]).0, 2, "once is enough");

    let (short, short_id) = make(&gateway, "acme", &["--expires", "2s"]);
    until(&gateway, &short, 200).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while ask(&gateway, "GET", "acme", "/orders/1", &short).await.0 == 200 {
        assert!(Instant::now() < deadline, "it never expires");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ask(&gateway, "GET", "acme", "/orders/1", &short).await.1, "auth.key.expired");
    let (_, text, _) = command(&gateway, &["list"]);
    for (id, status) in [(&old_id, "good"), (&new_id, "revoked"), (&short_id, "expired")] {
        let line = text.lines().find(|line| line.starts_with(id.as_str())).unwrap();
        assert!(line.contains(status) && line.contains("acme"), "{text}");
    }
    let (_, json, _) = command(&gateway, &["list", "--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap().as_array().unwrap().len(), 3);
    assert!(!json.contains("digest") && !json.contains(&old));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_could_open_nothing_is_not_made() {
    let gateway = Gateway::test().policies(POLICY).start().await;
    for (arguments, expected) in [
        (
            ["--tenant", "acm", "--name", "ci", "--roles", "viewer"],
            "the tenant `acm` is not known: did you mean `acme`?",
        ),
        (
            ["--tenant", "acme", "--name", "ci", "--roles", "viewr"],
            "the role `viewr` is not defined: did you mean `viewer`?",
        ),
        (["--tenant", "acme", "--name", "c i", "--roles", "viewer"], "--name: `c i`"),
    ] {
        let (code, _, err) = command(&gateway, &[&["create"][..], &arguments].concat());
        assert!(code == 2 && err.contains(expected), "{code} {err}");
    }
    assert_eq!(command(&gateway, &["list"]).1, "There is no API key.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_to_no_backend_also_where_tokens_do() {
    let gateway = Gateway::test().policies(POLICY).defence("assertion: { forward_token: true }").start().await;
    let (key, _) = make(&gateway, "acme", &[]);
    assert_eq!(until(&gateway, &key, 200).await, "allowed");
    assert_eq!(gateway.backend.last().field("x-api-key"), None);
    let token = gateway.token("acme", "ada", &["viewer"]);
    // Where keys are not taken, the field is between the client and the backend.
    let request = gateway.request("GET", "acme", "/limited").bearer_auth(&token).header("x-api-key", "theirs");
    assert_eq!(gateway.send(request).await.status, 200);
    let seen = gateway.backend.last();
    assert_eq!((seen.field("x-api-key"), seen.field("authorization").is_some()), (Some("theirs"), true));
}
