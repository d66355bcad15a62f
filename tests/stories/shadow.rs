//! A rule can be tried before it keeps anybody out, and a route can keep to itself that it is there.

use crate::harness::{Gateway, POLICIES, raw};

/// A route in shadow that asks for what nobody has, one with a condition, and one whose limit is small.
const SHADOWED: &str = r#"  - id: tried
    match: { host: "{tenant}.example.test", path: "/tried/{id}" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:approve", PUT: "order:read" }
    when: 'request.params.id == "1" || tenant.plan == "gold"'
    mode: shadow
  - id: tried-often
    match: { host: "{tenant}.example.test", path: "/often" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:approve" }
    limits: [strict]
    mode: shadow
"#;

#[tokio::test(flavor = "multi_thread")]
async fn in_shadow_authorisation_keeps_nobody_out_and_the_record_says_what_it_said() {
    let gateway = Gateway::test().policies(&format!("{POLICIES}{SHADOWED}")).start().await;
    let viewer = gateway.token("acme", "ada", &["viewer"]);
    for (method, path, would, rule) in [
        ("GET", "/tried/1", Some("policy.denied"), None),
        ("POST", "/tried/1", Some("policy.denied"), None), // no permission for this method
        ("PUT", "/tried/1", None, Some("policy.yaml:7 viewer")),
        ("PUT", "/tried/2", Some("policy.error"), Some("tried")), // no plan
    ] {
        let answer = gateway.send(gateway.request(method, "acme", path).bearer_auth(&viewer)).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        let id = answer.request_id();
        let records = gateway.records(&["--id", &id]);
        let record = records.of(&id);
        assert_eq!((&record["decision"], &record["reason"]), (&"allow".into(), &"allowed".into()), "{record}");
        assert_eq!((record["mode"].as_str(), record["would"].as_str()), (Some("shadow"), would), "{record}");
        let said = record["rule"].as_str();
        assert!(rule.is_none_or(|rule| said.is_some_and(|said| said.ends_with(rule))), "{record}");
    }
    let (_, metrics) = gateway.admin("/metrics");
    for (reason, count) in [("policy.denied", 2), ("policy.error", 1)] {
        let line = format!("cloister_shadow_denied_total{{reason=\"{reason}\",route=\"tried\"}} {count}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    assert_eq!(gateway.backend.seen().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_shadow_everything_else_keeps_out_as_ever() {
    let gateway = Gateway::test().policies(&format!("{POLICIES}{SHADOWED}")).start().await;
    let viewer = gateway.token("acme", "ada", &["viewer"]);
    let none = gateway.send(gateway.request("GET", "acme", "/tried/1")).await;
    assert_eq!((none.status, gateway.reason(&none).as_str()), (401, "auth.missing"));
    let other = gateway.send(gateway.request("GET", "globex", "/tried/1").bearer_auth(&viewer)).await;
    assert_eq!((other.status, gateway.reason(&other).as_str()), (403, "tenant.mismatch"));
    let suspended = gateway.token("initech", "ada", &["viewer"]);
    let suspended = gateway.send(gateway.request("GET", "initech", "/tried/1").bearer_auth(suspended)).await;
    assert_eq!((suspended.status, gateway.reason(&suspended).as_str()), (403, "tenant.suspended"));
    for left in (0..4).rev() {
        let answer = gateway.send(gateway.request("GET", "acme", "/often").bearer_auth(&viewer)).await;
        assert_eq!(answer.status, if left == 0 { 429 } else { 200 });
    }
    let enforced = gateway.send(gateway.request("PUT", "acme", "/orders/1").bearer_auth(&viewer)).await;
    assert_eq!(enforced.status, 403, "other routes are not in shadow");
    let record = gateway.records(&["--reason", "policy.denied"]);
    assert!(record.finals().iter().all(|record| record.get("mode").is_none()));
}

/// A route of which nobody is to learn that it is there, which pages of other origins may ask, and with headers of its own.
const HIDDEN: &str = r#"  - id: hidden
    match: { host: "{tenant}.example.test", path: "/hidden/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:approve", HEAD: "order:approve", POST: "order:approve" }
    limits: [generous]
    deny_as: 404
    cors: { origins: ["https://app.example.test"] }
    response_headers: { set: { X-Here: "yes" } }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_route_denies_byte_for_byte_as_if_it_were_not_there() {
    let gateway = Gateway::test().policies(&format!("{POLICIES}{HIDDEN}")).start().await;
    let (viewer, other) = (gateway.token("acme", "ada", &["viewer"]), gateway.token("globex", "ada", &["viewer"]));
    let suspended = gateway.token("initech", "ada", &["viewer"]);
    let cases = [
        ("GET", "acme", &viewer, "", "policy.denied"),
        ("HEAD", "acme", &viewer, "", "policy.denied"),
        ("DELETE", "acme", &viewer, "", "policy.denied"),
        ("POST", "acme", &viewer, "Content-Length: 5\r\n\r\nhello", "policy.denied"),
        ("POST", "acme", &viewer, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "policy.denied"),
        ("GET", "acme", &viewer, "Origin: https://app.example.test\r\n", "policy.denied"),
        ("GET", "acme", &viewer, "Origin: https://evil.example\r\n", "policy.denied"),
        (
            "POST",
            "acme",
            &viewer,
            "Content-Type: application/grpc\r\nTE: trailers\r\nContent-Length: 0\r\n",
            "policy.denied",
        ),
        ("GET", "acme", &other, "", "tenant.mismatch"),
        ("GET", "initech", &suspended, "", "tenant.suspended"),
    ];
    for (method, tenant, token, more, reason) in cases {
        let ask = |path: &str| {
            let (fields, body) = more.split_once("\r\n\r\n").map_or((more, ""), |(fields, body)| (fields, body));
            let fields =
                if fields.is_empty() || fields.ends_with("\r\n") { fields.to_owned() } else { format!("{fields}\r\n") };
            format!(
                "{method} {path} HTTP/1.1\r\nHost: {tenant}.example.test\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
                 {fields}\r\n{body}"
            )
        };
        let hidden = raw(gateway.address, ask("/hidden/1").as_bytes()).await;
        let absent = raw(gateway.address, ask("/absent/1").as_bytes()).await;
        assert!(absent.starts_with("HTTP/1.1 404 ") || more.contains("grpc"), "{absent}");
        assert_eq!(without_id(&hidden), without_id(&absent), "{method} {more}");
        let id = hidden.split("x-request-id: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let id = id.unwrap_or_else(|| panic!("{hidden}"));
        let records = gateway.records(&["--id", id]);
        assert_eq!((&records.of(id)["reason"], &records.of(id)["route"]), (&reason.into(), &"hidden".into()));
    }
    let nobody =
        raw(gateway.address, b"GET /hidden/1 HTTP/1.1\r\nHost: acme.example.test\r\nConnection: close\r\n\r\n").await;
    assert!(nobody.starts_with("HTTP/1.1 401 "), "who has not said who they are is asked: {nobody}");
    assert!(gateway.backend.seen().is_empty());
}

/// The same answer, with nothing in it that is new with each: the request's id and the date.
fn without_id(answer: &str) -> String {
    let id = answer.split("x-request-id: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap_or("none");
    let lines = answer.replace(id, "ID");
    lines.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("date:")).collect::<Vec<_>>().join("\r\n")
}
