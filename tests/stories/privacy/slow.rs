//! What takes a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;

use super::name;
use crate::harness::Gateway;

/// How often it is killed.
const LIVES: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_9_leaves_a_name_in_the_log_that_the_vault_does_not_know() {
    let mut gateway = Gateway::test().start().await;
    let mut users = 0;
    for life in 0..LIVES {
        let ended = Arc::new(AtomicBool::new(false));
        let process = gateway.process().id().to_string();
        let killer = std::thread::spawn({
            let ended = Arc::clone(&ended);
            move || {
                std::thread::sleep(Duration::from_millis(40 + 17 * life as u64));
                assert!(std::process::Command::new("kill").args(["-9", &process]).status().unwrap().success());
                ended.store(true, Ordering::Relaxed);
            }
        });
        while !ended.load(Ordering::Relaxed) {
            let some = (users..users + 16).map(|number| {
                let token = gateway.token("acme", &format!("user-{number}"), &["viewer"]);
                gateway.request("GET", "acme", "/orders/1").bearer_auth(token).send()
            });
            drop(join_all(some).await); // those that are under way when it is killed have no answer
            users += 16;
        }
        killer.join().unwrap();
        gateway.process().wait();
        gateway.start_again();
    }
    let records = gateway.records(&["--tenant", "acme"]);
    let mut known = std::collections::HashSet::new();
    for number in 0..users {
        known.extend(name(&gateway, &format!("user-{number}")));
    }
    let mut seen = 0;
    for record in records.finals() {
        let sub = record["sub"].as_str().unwrap();
        assert!(known.contains(sub), "nobody knows who `{sub}` is: {record}");
        seen += 1;
    }
    assert!(seen > LIVES, "{seen} records of {users} users");
}
