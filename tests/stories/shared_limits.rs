//! What several gateways have spent together, and what becomes of requests when they cannot count together.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Gateway, POLICIES, Redis, run};

mod losses;
mod nodes;
mod places;

/// Three limits for three routes, each of which does something else without the store.
const LIMITS: &str = "
  share: { rate: 1/h, burst: 12, key: [tenant, user] }
  deny: { rate: 1/h, burst: 12, key: [tenant], on_store_loss: deny }
  allow: { rate: 1/h, burst: 12, key: [tenant], on_store_loss: allow }
";

fn policies() -> String {
    let text = POLICIES.replacen("limits:\n", &format!("limits:{LIMITS}"), 1);
    let route = |id: &str| {
        format!(
            "  - id: {id}
    match: {{ host: \"{{tenant}}.example.test\", path: \"/{id}\" }}
    upstream: backend
    auth: {{ issuers: [main], tenant_from: [token, host] }}
    allow: {{ GET: \"order:read\" }}
    limits: [{id}]
"
        )
    };
    format!("{text}{}", ["share", "deny", "allow"].map(route).concat())
}

/// Of so many gateways in front of the same world.
async fn gateways(count: usize, settings: &str, policies: &str) -> Vec<Gateway> {
    let mut all: Vec<Gateway> = Vec::new();
    for _ in 0..count {
        let gateway = Gateway::test().settings(settings).policies(policies).start().await;
        if let Some(first) = all.first() {
            std::fs::write(gateway.folder.path().join("jwks.json"), first.issuer.jwks()).unwrap();
        }
        all.push(gateway);
    }
    let token = all[0].token("globex", "zoe", &["viewer"]);
    for gateway in &all {
        let deadline = Instant::now() + Duration::from_secs(10);
        while status(gateway, "globex", "/orders/1", &token).await != 200 {
            assert!(Instant::now() < deadline, "it does not take the first one's tokens");
        }
        counts(gateway);
    }
    all
}

fn counts(gateway: &Gateway) {
    gateway.eventually("limits are counted together", || gateway.metric("cloister_limit_store_up") == 1.0);
}

/// How many requests were judged without the store in this way.
fn did(gateway: &Gateway, what: &str) -> f64 {
    let (_, metrics) = gateway.admin("/metrics");
    let begin = format!("cloister_limit_store_degraded_total{{did=\"{what}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&begin)).and_then(|count| count.parse().ok()).unwrap()
}

async fn status(gateway: &Gateway, tenant: &str, path: &str, token: &str) -> u16 {
    gateway.send(gateway.request("GET", tenant, path).bearer_auth(token)).await.status
}

/// Patient, so that a busy machine is not taken for a store that is late.
fn shared(redis: &Redis, gateways: u16) -> String {
    redis.settings_with(&format!(", limits: {{ gateways: {gateways}, timeout: 20ms }}"))
}

/// A machine that is busy may be later than a request waits for the store; then somebody else begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn three_gateways_together_let_through_what_one_would() {
    let redis = Redis::start();
    let all = gateways(3, &shared(&redis, 3), &policies()).await;
    let late = || all.iter().map(|gateway| did(gateway, "local_share")).sum::<f64>();
    for round in 0..10 {
        let (before, token) = (late(), all[0].token("acme", &format!("user-{round}"), &["viewer"]));
        let mut answers = Vec::new();
        for _ in 0..10 {
            for gateway in &all {
                answers.push(gateway.send(gateway.request("GET", "acme", "/share").bearer_auth(&token)).await);
            }
        }
        if late() > before {
            continue;
        }
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 12);
        assert_eq!(answers[0].field("ratelimit"), Some(r#""share";r=11;t=3600"#));
        let second = answers[1].field("ratelimit").unwrap();
        assert!(second.starts_with(r#""share";r=10;"#), "it knows what another gateway let through: {second}");
        let over = &answers[12];
        assert_eq!((over.status, over.code().as_str()), (429, "quota_exceeded"));
        let record = all[0].records(&["--id", &over.request_id()]).of(&over.request_id()).clone();
        assert_eq!((&record["limit"], &record["limit_store"]), (&json!("share"), &json!(null)));
        return;
    }
    panic!("the store was too late in each of ten rounds");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_a_limit_gives_a_share_or_refuses_or_lets_through_and_says_so() {
    let mut redis = Redis::start();
    let all = gateways(3, &shared(&redis, 3), &policies()).await;
    let (gateway, token) = (&all[0], all[0].token("acme", "ada", &["viewer"]));
    let ready = gateway.admin("/readyz");
    assert!(ready.0 == 200 && !ready.1.contains("counted together"), "{ready:?}");
    redis.end();
    gateway.eventually("it is seen to be gone", || gateway.metric("cloister_limit_store_up") == 0.0);

    let get = async |path: &str| gateway.send(gateway.request("GET", "acme", path).bearer_auth(&token)).await;
    let record = |id: &str| gateway.records(&["--id", id]).of(id).clone();
    let shares = did(gateway, "local_share");
    for _ in 0..4 {
        let answer = get("/share").await;
        assert_eq!((answer.status, answer.field("ratelimit")), (200, None), "a share is not what the limit promises");
        assert_eq!(record(&answer.request_id())["limit_store"], "local_share");
    }
    let over = get("/share").await;
    let of_over = record(&over.request_id());
    assert_eq!(
        (over.status, &of_over["reason"], &of_over["limit_store"]),
        (429, &json!("limit.rate"), &json!("local_share"))
    );

    let denied = get("/deny").await;
    let of_denied = record(&denied.request_id());
    assert_eq!((denied.status, denied.code().as_str(), denied.field("retry-after")), (503, "unavailable", Some("1")));
    let said = (&of_denied["reason"], &of_denied["limit"], &of_denied["limit_store"]);
    assert_eq!(said, (&json!("limit.unavailable"), &json!("deny"), &json!("deny")));

    for _ in 0..20 {
        let answer = get("/allow").await;
        assert_eq!((answer.status, record(&answer.request_id())["limit_store"].as_str()), (200, Some("allow")));
    }
    let (status, ready) = gateway.admin("/readyz");
    assert!(status == 200 && ready.contains("limits are not counted together"), "{ready}");
    assert_eq!((did(gateway, "local_share") - shares, did(gateway, "deny"), did(gateway, "allow")), (5.0, 1.0, 20.0));

    redis.start_again();
    for gateway in &all {
        counts(gateway);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while get("/deny").await.status != 200 {
        assert!(Instant::now() < deadline, "it does not go on without a restart");
    }
    assert!(!gateway.admin("/readyz").1.contains("counted together"));
}

#[test]
fn a_store_that_would_not_be_what_it_says_does_not_load() {
    let deny = POLICIES.replacen("key: [tenant] }", "key: [tenant], on_store_loss: deny }", 1);
    let one = |more: &str| format!("redis: {{ url: \"redis://127.0.0.1:6379\"{more} }}\n");
    let limits = |more: &str| one(&format!(", limits: {{ {more} }}"));
    let sentinels = |urls: &str| format!("redis: {{ sentinels: {{ master: limits, urls: [{urls}] }} }}\n");
    for (settings, policy, told) in [
        (limits("gateways: 3"), &*deny, "ok"),
        (one(""), &*deny, "no store is named in which gateways share limits"),
        (String::new(), POLICIES, "ok"),
        (limits("gateways: 0"), POLICIES, "from 1 to 1000 gateways"),
        (limits("timeout: 10ms"), POLICIES, "gateways"),
        (limits("gateways: 3, timeout: 2ms"), POLICIES, "from 5ms to 20ms"),
        (limits("gateways: 3, timeout: 1s"), POLICIES, "from 5ms to 20ms"),
        ("redis: { prefix: ours }\n".to_owned(), POLICIES, "does not say where it is"),
        (one(", cluster: [\"redis://127.0.0.1:7000\"]"), POLICIES, "it is found in two ways"),
        (one(", certificate: a.pem"), POLICIES, "a certificate and its key belong together"),
        (one(", password: hunter2"), POLICIES, "a secret is not written into a file"),
        (sentinels("\"redis://127.0.0.1:26379\""), POLICIES, "ok"),
        (sentinels("\"redis://sentinel.internal:26379\""), POLICIES, "for this machine only"),
        (sentinels("\"rediss://a.internal:26379\", \"redis://127.0.0.1:26379\""), POLICIES, "all of them are"),
        (sentinels(""), POLICIES, "nothing says where it is"),
        (
            "redis: { cluster: [\"rediss://a.internal:6379\", \"rediss://b.internal:6379\"] }\n".to_owned(),
            POLICIES,
            "ok",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = crate::harness::config_text(folder.path())
            .replace("file: jwks.json", &format!("file: {}/jwks.json", folder.path().display()));
        std::fs::write(folder.path().join("cloister.yaml"), config + &settings).unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        std::fs::write(folder.path().join("policies/policy.yaml"), policy).unwrap();
        let (code, out, error) = run(&["check", "--config", "cloister.yaml", "--policies", "policies"], folder.path());
        assert_eq!(code == 0, told == "ok", "{settings}: {out}{error}");
        assert!(format!("{out}{error}").contains(told), "{settings} {told}: {out}{error}");
        assert!(!format!("{out}{error}").contains("hunter2"), "{out}{error}");
    }
}
