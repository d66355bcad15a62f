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
async fn what_is_done_with_keys_is_on_record_with_who_did_it_also_while_no_gateway_runs() {
    let mut gateway = Gateway::test().policies(POLICY).start().await;
    let (first, one) = make(&gateway, "acme", &["--expires", "90d"]);
    until(&gateway, &first, 200).await;
    let log = |gateway: &Gateway| -> Vec<Value> {
        let records = gateway.records(&["--all"]);
        let kind = |record: &Value| record["kind"].as_str().is_some_and(|kind| kind.starts_with("api_key."));
        records.all().iter().filter(|record| kind(record)).cloned().collect()
    };
    gateway.eventually("it is on record", || log(&gateway).len() == 1);
    // Nobody runs, and things are done all the same.
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let (_, out, _) = command(&gateway, &["rotate", &one, "--format", "json"]);
    let (second, two) = told(&out);
    assert_eq!(command(&gateway, &["revoke", &one]).0, 0);
    assert_ne!(command(&gateway, &["revoke", &one]).0, 0, "what is not done is not on record");
    gateway.start_again();
    gateway.eventually("all is on record", || log(&gateway).len() == 3);
    let all = log(&gateway);
    let kinds = ["api_key.created", "api_key.rotated", "api_key.revoked"];
    for ((record, kind), key) in all.iter().zip(kinds).zip([&one, &two, &one]) {
        assert_eq!((record["kind"].as_str(), record["key"].as_str()), (Some(kind), Some(key.as_str())), "{record}");
        assert_eq!((record["tenant"].as_str(), record["roles"].as_str()), (Some("acme"), Some("viewer")));
        assert_eq!(record["by"], "command", "{record}");
        assert!(record["uid"].is_number(), "{record}");
        assert!(record["done"].as_u64().unwrap() > 1_700_000_000 && record["expires"].is_number());
        let text = record.to_string();
        assert!(!text.contains(&first) && !text.contains(&second), "never the key itself");
    }
    assert_eq!(all[1]["replaces"].as_str(), Some(one.as_str()));
    assert_eq!(ask(&gateway, "GET", "acme", "/orders/1", &first).await, (401, "auth.key.revoked".into()));
    assert_eq!(ask(&gateway, "GET", "acme", "/orders/1", &second).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_may_do_and_how_it_stands_is_explained_as_it_is_decided() {
    let gateway = Gateway::test().policies(POLICY).start().await;
    let (first, one) = make(&gateway, "acme", &["--expires", "90d"]);
    let (_, out, _) = command(&gateway, &["rotate", &one, "--overlap", "1h", "--format", "json"]);
    let (second, two) = told(&out);
    until(&gateway, &first, 200).await;
    until(&gateway, &second, 200).await;
    assert_eq!(command(&gateway, &["revoke", &one]).0, 0);
    until(&gateway, &first, 401).await;
    let folder = gateway.folder.path();
    let (config, policies) = (folder.join("cloister.yaml"), folder.join("policies"));
    let files = ["--config", config.to_str().unwrap(), "--policies", policies.to_str().unwrap(), "--api-key"];
    for (key, id, method, tenant, path, said) in [
        (&second, &two, "GET", "acme", "/orders/1", "good until "),
        (&second, &two, "POST", "acme", "/orders/1", "= deny policy.denied"),
        (&second, &two, "GET", "globex", "/orders/1", "= deny tenant.mismatch"),
        (&second, &two, "GET", "acme", "/limited", "the route does not look for API keys"),
        (&first, &one, "GET", "acme", "/orders/1", "taken back at "),
    ] {
        let (status, reason) = ask(&gateway, method, tenant, path, key).await;
        let url = format!("http://{tenant}.example.test{path}");
        let arguments: Vec<&str> = [&["explain", method, &url][..], &files, &[id]].concat();
        let (code, out, err) = run(&arguments, folder);
        assert_eq!(code, i32::from(status != 200), "{out}{err}");
        assert!(out.contains(said), "{said}: {out}");
        let last = if status == 200 { "= allow".to_owned() } else { format!("= deny {reason}") };
        assert!(out.trim_end().ends_with(&last), "{last}: {out}");
        assert!(!out.contains(&first) && !out.contains(&second), "{out}");
        if *id == one {
            assert!(out.contains(&format!("the latest of this name is `{two}`")), "{out}");
        }
    }
    let (code, _, err) =
        run(&[&["explain", "GET", "http://acme.example.test/orders/1"][..], &files, &["nobody"]].concat(), folder);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("no key is called `nobody`"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_keys_end_soon_is_counted_and_a_key_that_is_over_is_told_from_one_that_was_taken_back() {
    let gateway = Gateway::test().policies(POLICY).start().await;
    let (_, soon) = make(&gateway, "acme", &["--expires", "3d"]);
    gateway.eventually("it is counted", || gateway.metric("cloister_api_key_users_ending") == 1.0);
    let (_, out, _) = command(&gateway, &["rotate", &soon, "--expires", "90d", "--format", "json"]);
    gateway.eventually("there is another", || gateway.metric("cloister_api_key_users_ending") == 0.0);
    assert_eq!(gateway.metric("cloister_api_keys"), 2.0);
    let (key, id) = told(&out);
    until(&gateway, &key, 200).await;
    assert_eq!(command(&gateway, &["revoke", &id]).0, 0);
    assert_eq!(until(&gateway, &key, 401).await, "auth.key.revoked");
    let (short, _) = make(&gateway, "acme", &["--expires", "1s"]);
    let deadline = Instant::now() + Duration::from_secs(10);
    while ask(&gateway, "GET", "acme", "/orders/1", &short).await.1 != "auth.key.expired" {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_, metrics) = gateway.admin("/metrics");
    for reason in ["auth.key.revoked", "auth.key.expired"] {
        assert!(
            metrics.lines().any(|line| line.contains("cloister_requests_total") && line.contains(reason)),
            "{reason}"
        );
    }
    assert!(!metrics.contains(&id), "no key names a series");
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
