use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;

use super::*;

/// One that takes log records, and rejects some.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Inbox>>);

#[derive(Default)]
struct Inbox {
    took: Vec<Value>,
    rejects: BTreeSet<u64>,
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: String) -> Response {
    if headers["authorization"] != "Bearer of-the-collector" {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let body = json(&body);
    let records = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap().clone();
    let index = |record: &Value| record["attributes"][1]["value"]["intValue"].as_str().unwrap().parse::<u64>().unwrap();
    let mut inbox = collector.0.lock().unwrap();
    let rejected = records.iter().filter(|record| inbox.rejects.contains(&index(record))).count();
    if rejected > 0 {
        let said =
            format!("{{\"partialSuccess\":{{\"rejectedLogRecords\":\"{rejected}\",\"errorMessage\":\"not that\"}}}}");
        return said.into_response();
    }
    inbox.took.extend(records);
    "{}".into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_log_records_and_what_it_rejects_in_part_is_found_and_set_aside() {
    let collector = Collector::default();
    collector.0.lock().unwrap().rejects.insert(4);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/v1/logs", post(take)).with_state(collector.clone());
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let sink = format!(
        "{{ name: otel, refused: set_aside, batch: {{ wait: 10ms }}, otlp: {{ url: \"http://{address}/v1/logs\", \
         authorization: \"${{env:COLLECTOR}}\" }} }}"
    );
    let gateway = Gateway::test().environment("COLLECTOR", "Bearer of-the-collector").sink(&sink).start().await;
    for _ in 0..10 {
        gateway.get("acme", "/orders/1").await;
    }
    gateway
        .eventually("all but one are there", || collector.0.lock().unwrap().took.len() == records(&gateway).len() - 1);
    let took = collector.0.lock().unwrap().took.clone();
    let bodies: Vec<_> = took.iter().map(|record| record["body"]["stringValue"].as_str().unwrap().to_owned()).collect();
    let mut wanted = records(&gateway);
    wanted.remove(4);
    assert_eq!(bodies, wanted);
    let request = took.iter().find(|record| record["eventName"] == "allowed").unwrap();
    assert_eq!((request["severityNumber"].as_u64(), request["traceId"].as_str().map(str::len)), (Some(9), Some(32)));
    assert_eq!(gateway.metric("cloister_audit_sink_set_aside_total"), 1.0);
}
