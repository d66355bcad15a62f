//! Policies change under load, as a whole or not at all.

use std::os::unix::fs::MetadataExt as _;
use std::time::Instant;

use crate::harness::{Gateway, PATIENCE, POLICIES};

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

#[tokio::test(flavor = "multi_thread")]
async fn who_caused_a_change_is_on_record_as_far_as_it_can_be_known() {
    let mut gateway = Gateway::test().start().await;
    let ours = gateway.folder.path().metadata().unwrap().uid();
    let file = gateway.folder.path().join("policies/policy.yaml");
    std::fs::write(&file, POLICIES.replace("order:read", "order:list")).unwrap();
    let replaced = |outcome: &str| {
        gateway.admin("/metrics").1.contains(&format!("cloister_reload_total{{outcome=\"{outcome}\"}} 1"))
    };
    gateway.eventually("the file is taken over", || replaced("replaced"));
    std::fs::write(&file, "roles: [").unwrap();
    gateway.eventually("the file is refused", || replaced("refused"));
    gateway.process().signal("HUP");
    gateway.eventually("the file is refused again", || gateway.metric("cloister_reload_total") >= 3.0);
    let records = gateway.records(&["--all"]);
    let of_policy = |kind: &str| records.all().iter().filter(|it| it["kind"] == kind).cloned().collect::<Vec<_>>();
    let by = |records: &[serde_json::Value]| -> Vec<_> {
        records.iter().map(|it| (it["by"].as_str().unwrap().to_owned(), it["uid"].as_u64())).collect()
    };
    let known = Some(u64::from(ours));
    let changed = by(&of_policy("policy.changed"));
    assert!(
        changed[0].0 == "start" && changed[0].1.is_some() && changed[1] == ("file".to_owned(), known),
        "{changed:?}"
    );
    let refused = of_policy("policy.refused");
    assert_eq!(by(&refused).first(), Some(&("file".to_owned(), known)));
    let by_signal = refused.iter().find(|it| it["by"] == "signal").unwrap();
    assert!(by_signal["uid"].as_u64() == known && by_signal["pid"].as_u64() > Some(0), "{by_signal}");
    assert_eq!(of_policy("log.opened")[0]["by"], "start");
}

/// Two policies that differ in what the route asks for, in what the role grants, in what it counts on, in the line of the
/// role, and in what the route writes into responses. By half of each nobody would get in, or one would contradict the other.
fn either(version: &str) -> String {
    let (lines, permission, id) = if version == "a" { ("", "order:read", "1") } else { ("\n\n", "order:list", "2") };
    format!(
        r#"{lines}tenants: {{ acme: {{ status: active }} }}
roles: {{ viewer: {{ allow: [{{ permission: "{permission}", when: 'request.params.{version} in ["1", "2"]' }}] }} }}
routes:
  - id: orders
    match: {{ host: "{{tenant}}.example.test", path: "/orders/{{{version}}}" }}
    upstream: backend
    auth: {{ issuers: [main], tenant_from: [token, host] }}
    allow: {{ GET: "{permission}" }}
    when: 'request.params.{version} != "{id}0"'
    response_headers: {{ set: {{ X-Version: {version} }} }}
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_judged_by_half_a_policy() {
    let gateway = Gateway::test().policies(&either("a")).start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let file = gateway.folder.path().join("policies/policy.yaml");
    let mut seen = Vec::new();
    for turn in 0..8 {
        let written = if turn % 2 == 0 { "b" } else { "a" };
        std::fs::write(&file, either(written)).unwrap();
        // Requests go on until the new file is what they are judged by, and are never judged by anything between.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ask = || gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(&token));
            let answers = futures::future::join_all((0..8).map(|_| ask())).await;
            let last = answers.last().and_then(|answer| answer.field("x-version")).map(str::to_owned);
            for answer in answers {
                assert_eq!(answer.status, 200, "{}", answer.text());
                seen.push((answer.request_id(), answer.field("x-version").unwrap().to_owned()));
            }
            if last.as_deref() == Some(written) {
                break;
            }
            assert!(Instant::now() < deadline, "`{written}` does not come into force");
        }
    }
    let records = gateway.records(&[]);
    let mut digests = [("a", None), ("b", None)];
    for (id, version) in &seen {
        let record = records.of(id);
        let line = if version == "a" { "policy.yaml:2 viewer" } else { "policy.yaml:4 viewer" };
        assert_eq!(record["rule"], line, "{record}");
        let (_, known) = digests.iter_mut().find(|(name, _)| name == version).unwrap();
        assert_eq!(*known.get_or_insert(record["policy"].clone()), record["policy"], "{record}");
    }
    assert!(digests.iter().all(|(_, digest)| digest.is_some()) && digests[0].1 != digests[1].1, "{digests:?}");
}
