//! What takes its time: a store of objects, and faults again and again.

use super::*;
use crate::harness::ObjectStore;

async fn gateway(store: &ObjectStore) -> Gateway {
    let sink = format!(
        "{{ name: worm, batch: {{ records: 20, wait: 50ms }}, s3: {{ url: \"{}\", region: eu-central-1, bucket: audit, \
         prefix: gw/, access_key: AKIDEXAMPLE, secret_key: \"${{env:S3_KEY}}\", retain: 30d }} }}",
        store.url
    );
    Gateway::test().environment("S3_KEY", "a-key-of-s3-that-must-not-be-seen").sink(&sink).start().await
}

async fn contents(store: &ObjectStore) -> Vec<String> {
    let mut lines = Vec::new();
    for name in store.names().await {
        lines.extend(store.object(&name).await.1.lines().map(str::to_owned));
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_has_every_record_in_objects_that_nobody_can_change_before_their_time() {
    let store = ObjectStore::start().await;
    let mut gateway = gateway(&store).await;
    for round in 0..3 {
        for _ in 0..30 {
            gateway.get("acme", "/orders/1").await;
        }
        if round < 2 {
            gateway.process().signal("KILL");
            gateway.process().wait();
            gateway.start_again();
        }
    }
    let runtime = tokio::runtime::Handle::current();
    gateway.eventually("the store has every record", || once(runtime.block_on(contents(&store))) == records(&gateway));
    let name = store.names().await.remove(0);
    let (fields, _) = store.object(&name).await;
    assert_eq!(fields["x-amz-object-lock-mode"], "COMPLIANCE");
    assert!(fields.contains_key("x-amz-object-lock-retain-until-date"));
    let version = fields["x-amz-version-id"].to_str().unwrap();
    assert_eq!(store.destroy(&name, version).await, 403);
    assert_eq!(store.object(&name).await.1.lines().next(), records(&gateway).first().map(String::as_str));
    assert!(name.starts_with("gw/") && name.ends_with(".jsonl"), "{name}");
    assert!(!gateway.said().contains("must-not-be-seen"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_in_our_place_and_is_not_ours_is_told_of_and_not_taken_for_delivered() {
    let store = ObjectStore::start().await;
    let mut gateway = gateway(&store).await;
    gateway.get("acme", "/orders/1").await;
    gateway.eventually("everything is there", || gateway.metric("cloister_audit_sink_lag_records") == 0.0);
    let name = store.names().await.remove(0);
    let (folder, _) = name.rsplit_once('/').unwrap();
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let count = audit::Reader::open(gateway.log()).unwrap().count();
    // The next start begins at this record; whoever knows the names can be there first.
    for last in count..count + 25 {
        store.put(&format!("{folder}/{count:020}-{last:020}.jsonl"), "forged\n").await;
    }
    gateway.start_again();
    gateway.eventually("it is told", || gateway.said().contains("another object is in the place"));
    assert!(gateway.metric("cloister_audit_sink_lag_records") > 0.0);
}

/// A receiver that answers as it likes: late, with an error, or by closing the connection.
async fn moody(took: std::sync::Arc<std::sync::Mutex<Vec<String>>>) -> std::net::SocketAddr {
    use axum::http::StatusCode;
    let take = move |body: String| {
        let took = std::sync::Arc::clone(&took);
        async move {
            match fastrand::u8(..8) {
                0 => return StatusCode::INTERNAL_SERVER_ERROR,
                1 => tokio::time::sleep(std::time::Duration::from_millis(300)).await, // later than is waited for
                2 => {
                    // It has it, and cannot say so.
                    took.lock().unwrap().push(body);
                    return StatusCode::BAD_GATEWAY;
                }
                _ => {}
            }
            took.lock().unwrap().push(body);
            StatusCode::NO_CONTENT
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().route("/", axum::routing::post(take));
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_receiver_does_and_however_often_the_gateway_is_killed_nothing_is_lost_and_the_order_is_kept() {
    let took = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
    let address = moody(std::sync::Arc::clone(&took)).await;
    let sink = format!(
        "{{ name: siem, timeout: 150ms, batch: {{ records: 7, wait: 10ms }}, http: {{ url: \"http://{address}/\", \
         key: \"${{env:WEBHOOK_KEY}}\" }} }}"
    );
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let mut gateway = Gateway::test().environment("WEBHOOK_KEY", key).sink(&sink).start().await;
    for _ in 0..10 {
        for _ in 0..20 {
            assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
        }
        gateway.process().signal("KILL");
        gateway.process().wait();
        gateway.start_again();
    }
    let indexes = || -> Vec<u64> {
        let bodies = took.lock().unwrap().clone();
        let events = bodies.iter().flat_map(|body| json(body).as_array().unwrap().clone());
        events.map(|event| event["logindex"].as_str().unwrap().parse().unwrap()).collect()
    };
    gateway.eventually_within(std::time::Duration::from_secs(120), "everything has arrived", || {
        gateway.metric("cloister_audit_sink_lag_records") == 0.0
    });
    let mut next = 0;
    for index in indexes() {
        assert!(index <= next, "{index} comes before {next}");
        next = next.max(index + 1);
    }
    assert_eq!(next, records(&gateway).len() as u64);
}
