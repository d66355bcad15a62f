//! What operators see.

use crate::harness::{Gateway, run};

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_counted_by_route_status_and_reason() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    for path in ["/orders/1", "/orders/1?status=404"] {
        gateway.send(gateway.request("GET", "acme", path).bearer_auth(&token)).await;
    }
    gateway.get("globex", "/nowhere").await;
    gateway.send(gateway.request("GET", "acme", "/orders/1")).await;
    gateway.eventually("all four are counted", || gateway.metric("cloister_requests_total") == 4.0);
    let (_, metrics) = gateway.admin("/metrics");
    for line in [
        r#"cloister_requests_total{reason="allowed",route="orders",status_class="2xx"} 1"#,
        r#"cloister_requests_total{reason="allowed",route="orders",status_class="4xx"} 1"#,
        r#"cloister_requests_total{reason="route.unknown",route="none",status_class="4xx"} 1"#,
        r#"cloister_requests_total{reason="auth.missing",route="orders",status_class="4xx"} 1"#,
        "cloister_decision_seconds_count 4",
        "cloister_upstream_seconds_count 2",
        "cloister_request_seconds_count 4",
        "cloister_token_cache_misses_total 1",
        "cloister_token_cache_hits_total 1",
        r#"cloister_journal_up{class="default"} 1"#,
        r#"cloister_journal_records_total{class="default"} 4"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    assert!(metrics.contains("cloister_build_info{version=") && metrics.contains("cloister_policy_info{digest="));
    assert!(!metrics.contains("acme"), "no label holds a tenant");
    let mut families: Vec<&str> = metrics.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let count = families.len();
    families.sort_unstable();
    families.dedup_by_key(|line| line.split(' ').nth(2));
    assert_eq!(families.len(), count, "no two parts count under one name");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_it_lives_and_whether_it_is_ready() {
    let gateway = Gateway::test().start().await;
    assert_eq!(gateway.admin("/livez").0, 200);
    let (status, body) = gateway.admin("/readyz");
    assert_eq!(status, 200);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["ready"], true);
    let names: Vec<_> =
        body["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["journal", "issuers", "upstreams", "store", "secrets", "staying", "subjects"]);
    assert_eq!(gateway.admin("/nowhere").0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_kept_and_the_span_is_ours() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = gateway
        .send(gateway.request("GET", "acme", "/orders/1").bearer_auth(token).header("traceparent", parent))
        .await;
    let seen = gateway.backend.last();
    let forwarded = seen.field("traceparent").unwrap();
    assert!(forwarded.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    assert!(!forwarded.contains("00f067aa0ba902b7"));
    assert_eq!(seen.field("x-request-id"), Some(answer.request_id().as_str()));
    assert_eq!(gateway.records(&[]).of(&answer.request_id())["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_tells_ready_from_not_ready_from_gone() {
    let probe = |address: std::net::SocketAddr, path: &str| {
        run(&["probe", &format!("http://{address}{path}")], std::path::Path::new("/"))
    };
    let gateway = Gateway::test().start().await;
    assert_eq!(probe(gateway.admin, "/readyz"), (0, String::new(), String::new()));
    let (code, _, err) = probe(gateway.admin, "/nowhere");
    assert!(code == 1 && err.contains("answered 404"), "{err}");

    let unready = Gateway::test().jwks("{ url: \"http://127.0.0.1:9/jwks.json\" }").unready().start().await;
    let (code, _, err) = probe(unready.admin, "/readyz");
    assert!(code == 1 && err.contains("answered 503"), "{err}");
    assert_eq!(probe(unready.admin, "/livez").0, 0);

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _, err) = probe(nobody, "/readyz");
    assert!(code == 3 && err.contains("refused"), "{err}");
    let (code, _, err) = run(&["probe", "https://127.0.0.1/readyz"], std::path::Path::new("/"));
    assert!(code == 2 && err.contains("is not an http:// URL"), "{err}");
}
