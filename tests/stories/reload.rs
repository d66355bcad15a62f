//! Policies change under load, as a whole or not at all.

use crate::harness::{Gateway, POLICIES};

#[tokio::test(flavor = "multi_thread")]
async fn new_policies_come_into_force_and_the_log_says_so() {
    let gateway = Gateway::test().start().await;
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    gateway.reload(&POLICIES.replace(r#"viewer: { allow: ["order:read"] }"#, r#"viewer: { allow: ["order:list"] }"#));
    let answer = gateway.get("acme", "/orders/1").await;
    assert_eq!(answer.status, 403);
    assert_eq!(gateway.reason(&answer), "policy.denied");
    let records = gateway.records(&["--all"]);
    let changes =
        records.all().iter().filter(|record| record["kind"].as_str().is_some_and(|kind| kind.contains("policy")));
    assert_eq!(changes.count(), 2, "one at the start, one for the change");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_policies_change_nothing() {
    let gateway = Gateway::test().start().await;
    let broken = [
        POLICIES.replace("upstream: backend", "upstream: backnd"),
        POLICIES.replace("inherits: [viewer]", "inherits: [clerk]"),
        format!("{POLICIES}\ntests:\n  - {{ do: GET https://acme.example.test/orders/1, expect: allow }}\n"),
        "roles: [".to_string(),
    ];
    for policies in broken {
        gateway.reload(&policies);
        assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    }
    let (_, metrics) = gateway.admin("/metrics");
    assert!(metrics.contains("cloister_reload_total{outcome=\"refused\"}"), "{metrics}");
    assert!(metrics.contains("cloister_reload_total{outcome=\"replaced\"} 0"), "{metrics}");
    assert!(!metrics.contains("cloister_reload_total{outcome=\"refused\"} 0"), "{metrics}");
}
