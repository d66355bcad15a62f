//! Backends put events of their own on record, and never more than that.

use serde_json::{Value, json};

use crate::harness::{Gateway, run};

const BILLING: &str = "billing-token-billing-token-0001";
const STOCK: &str = "stock-token-stock-token-stock-02";

/// A gateway that takes events of two backends, the second of which may send few.
async fn gateway() -> Gateway {
    let events = r#"events: [{ backend: billing, token: "${env:BILLING_EVENTS}" },
        { backend: stock, token: "${env:STOCK_EVENTS}", rate: 2/m }]"#;
    let setup = Gateway::test().audit_settings(events);
    setup.environment("BILLING_EVENTS", BILLING).environment("STOCK_EVENTS", STOCK).start().await
}

/// What is answered: status, and the body as JSON.
async fn put(gateway: &Gateway, token: Option<&str>, kind: &str, body: String) -> (u16, String, Value) {
    let url = format!("http://{}/audit/events", gateway.admin);
    let mut request = reqwest::Client::new().post(url).header("content-type", kind).body(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    let status = answer.status().as_u16();
    (status, kind, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

fn event() -> Value {
    json!({ "tenant": "acme", "user": "ada-canary", "issuer": "main", "action": "invoice.export", "resource": "invoice/4711",
            "status": "success", "details": { "pages": 12, "paid": true, "format": "pdf" } })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_backend_is_on_record_before_it_is_acknowledged() {
    let gateway = gateway().await;
    let (status, _, said) = put(&gateway, Some(BILLING), "application/json", event().to_string()).await;
    assert_eq!(status, 201, "{said}");
    let id = said["id"].as_str().unwrap().to_owned();
    // No waiting: it is there, on disk.
    let log = gateway.log().display().to_string();
    let query = ["audit", "query", "--dir", &log, "--kind", "event", "--format", "json"];
    let (code, out, err) = run(&query, gateway.folder.path());
    assert_eq!(code, 0, "{err}");
    let record: Value = serde_json::from_str(out.trim()).unwrap();
    for (field, value) in [
        ("event", json!(id)),
        ("by", json!("backend")),
        ("backend", json!("billing")),
        ("tenant", json!("acme")),
        ("iss", json!("main")),
        ("action", json!("invoice.export")),
        ("resource", json!("invoice/4711")),
        ("outcome", json!("success")),
        ("details", json!({ "pages": 12, "paid": true, "format": "pdf" })),
        ("tseq", json!(1)),
    ] {
        assert_eq!(record[field], value, "{field}: {record}");
    }
    assert!(!out.contains("ada-canary"), "{out}");
    // It is the same subject as in requests.
    let token = gateway.token("acme", "ada-canary", &["viewer"]);
    let answer = gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(token)).await;
    let id = answer.request_id();
    assert_eq!(gateway.records(&["--id", &id]).of(&id)["sub"], record["sub"]);
    assert_eq!(gateway.metric("cloister_backend_events_total"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_imitates_nothing_and_breaks_no_chain() {
    let gateway = gateway().await;
    gateway.get("acme", "/orders/1").await;
    let hostile = [
        // What a record of the gateway has, as names and as texts.
        json!({ "tenant": "globex", "tseq": 900, "tprev": "x", "salt": "y", "kind": "log.closed", "stage": "final",
                "id": "0", "v": 2, "decision": "allow", "by": "admin" }),
        json!({ "text": "\",\"tenant\":\"globex\",\"tseq\":900,\"x\":\"" }),
        json!({ "text": "\r\n{\"v\":1,\"kind\":\"log.closed\"}\u{1b}[2J\u{0}\u{202e}" }),
    ];
    for details in hostile {
        let mut event = event();
        event["details"] = details;
        event["resource"] = json!("\",\"tenant\":\"globex\",\"tseq\":7,\"kind\":\"log.gap\",\"a\":\"\r\n");
        let (status, _, said) = put(&gateway, Some(BILLING), "application/json", event.to_string()).await;
        assert_eq!(status, 201, "{said}");
    }
    gateway.get("acme", "/orders/2").await;
    let events = gateway.records(&["--kind", "event"]);
    assert_eq!(events.all().len(), 3);
    for event in events.all() {
        assert_eq!(
            (&event["tenant"], &event["by"], &event["kind"]),
            (&"acme".into(), &"backend".into(), &"event".into())
        );
    }
    let chain = gateway.records(&["--tenant", "acme", "--all"]);
    let numbers: Vec<_> = chain.all().iter().map(|record| record["tseq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(gateway.records(&["--tenant", "globex", "--all"]).all().len(), 0);
    // The log verifies, and so it does after a start, when the chains are read off it: the end of this story sees to both.
    let mut gateway = gateway;
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    gateway.start_again();
    gateway.get("acme", "/orders/3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_refused_with_the_reason_and_leaves_nothing() {
    let gateway = gateway().await;
    let with = |field: &str, value: Value| {
        let mut event = event();
        event[field] = value;
        event.to_string()
    };
    let long = |length: usize| "x".repeat(length);
    let many: Value = (0..17).map(|n| (format!("d{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
    let json_kind = "application/json";
    for (what, token, kind, body, expected) in [
        ("no token", None, json_kind, event().to_string(), 401),
        ("another token", Some("0123456789abcdef0123456789abcdef"), json_kind, event().to_string(), 401),
        ("another type", Some(BILLING), "text/plain", event().to_string(), 415),
        ("no JSON", Some(BILLING), json_kind, "{".into(), 400),
        ("too long", Some(BILLING), json_kind, with("resource", long(9_000).into()), 413),
        ("a long resource", Some(BILLING), json_kind, with("resource", long(129).into()), 400),
        ("a long action", Some(BILLING), json_kind, with("action", long(65).into()), 400),
        ("an empty action", Some(BILLING), json_kind, with("action", "".into()), 400),
        ("an action of two lines", Some(BILLING), json_kind, with("action", "a\nb".into()), 400),
        ("an unknown tenant", Some(BILLING), json_kind, with("tenant", "nobody".into()), 400),
        ("no tenant at all", Some(BILLING), json_kind, with("tenant", "../etc".into()), 400),
        ("an unknown issuer", Some(BILLING), json_kind, with("issuer", "other".into()), 400),
        ("a user of none", Some(BILLING), json_kind, with("issuer", Value::Null), 400),
        ("another status", Some(BILLING), json_kind, with("status", "maybe".into()), 400),
        ("a field of its own", Some(BILLING), json_kind, with("kind", "log.closed".into()), 400),
        ("a map in details", Some(BILLING), json_kind, with("details", json!({ "a": { "b": 1 } })), 400),
        ("a list in details", Some(BILLING), json_kind, with("details", json!({ "a": [1] })), 400),
        ("a bad name", Some(BILLING), json_kind, with("details", json!({ "A b": 1 })), 400),
        ("a long text", Some(BILLING), json_kind, with("details", json!({ "a": long(129) })), 400),
        ("too many", Some(BILLING), json_kind, with("details", many), 400),
    ] {
        let (status, kind, said) = put(&gateway, token, kind, body).await;
        assert_eq!((status, kind.as_str()), (expected, "application/problem+json"), "{what}: {said}");
    }
    assert_eq!(gateway.records(&["--kind", "event"]).all().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_sends_too_many_is_told_to_wait_and_others_are_not() {
    let gateway = gateway().await;
    let mut refused = 0;
    for _ in 0..6 {
        let (status, _, said) = put(&gateway, Some(STOCK), "application/json", event().to_string()).await;
        refused += usize::from(status == 429);
        assert!(status == 201 || status == 429, "{said}");
    }
    assert!(refused >= 3, "{refused} of 6");
    assert_eq!(put(&gateway, Some(BILLING), "application/json", event().to_string()).await.0, 201);
}
