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
