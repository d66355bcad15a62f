//! The key that signs the audit log is replaced, and nobody who verifies it has to be told in time.

mod slow;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::crash::ask;
use crate::harness::{Gateway, run};

fn cloister(gateway: &Gateway, arguments: &[&str]) -> (i32, String) {
    let config = gateway.folder.path().join("cloister.yaml").display().to_string();
    let (code, out, err) = run(&[arguments, &["--config", &config]].concat(), gateway.folder.path());
    (code, out + &err)
}

/// Whom an auditor is told to trust today.
fn trust(gateway: &Gateway, name: &str) -> PathBuf {
    let (code, policy) = cloister(gateway, &["audit", "trust"]);
    assert_eq!(code, 0, "{policy}");
    let path = gateway.folder.path().join(name);
    fs::write(&path, policy).unwrap();
    path
}

fn rotate(gateway: &Gateway, more: &[&str]) -> String {
    let (code, said) = cloister(gateway, &[&["keys", "rotate", "--set", "log"], more].concat());
    assert_eq!(code, 0, "{said}");
    said.lines().next().unwrap().to_owned()
}

/// The keys of the log and their states.
fn states(gateway: &Gateway) -> Vec<(String, String)> {
    let (code, said) = cloister(gateway, &["keys", "list", "--format", "json"]);
    assert_eq!(code, 0, "{said}");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let text = |key: &serde_json::Value, field: &str| key[field].as_str().unwrap().to_owned();
    let keys = said["keys"].as_array().unwrap().iter().filter(|key| key["set"] == "log");
    keys.map(|key| (text(key, "kid"), text(key, "state"))).collect()
}

fn await_alone(gateway: &Gateway, key: &str) {
    gateway.eventually("the new key signs alone", || states(gateway) == [(key.to_owned(), "signs".to_owned())]);
    let records = gateway.metric("cloister_audit_records");
    gateway.eventually("it has signed", || gateway.metric("cloister_checkpoint_records") >= records);
}

fn verify(log: &Path, policy: &Path) -> (i32, String) {
    let (log, policy) = (log.display().to_string(), policy.display().to_string());
    let (code, out, err) = run(&["audit", "verify", "--dir", &log, "--policy", &policy], Path::new("/"));
    (code, out + &err)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_with_the_first_key_alone_verifies_a_log_that_has_another_now() {
    let gateway = Gateway::test().audit_settings("key: { overlap: 1s }").start().await;
    gateway.get("acme", "/orders/1").await;
    let first = trust(&gateway, "first");
    let key = rotate(&gateway, &[]);
    await_alone(&gateway, &key);
    let newest = trust(&gateway, "newest");
    assert!(fs::read_to_string(&newest).unwrap().contains(&key));
    let log = gateway.log();
    let (code, said) = verify(log, &first);
    assert!(code == 0 && said.contains("1 key vouched for, each by the one before it"), "{said}");
    let (code, said) = verify(log, &newest);
    assert!(code == 0 && !said.contains("vouched for"), "{said}");
    let records = gateway.records(&["--all"]);
    let rotated = records.all().iter().find(|record| record["kind"] == "key.rotated").unwrap();
    assert_eq!(
        (&rotated["of"], &rotated["new_key"], &rotated["by"]),
        (&"log".into(), &key.clone().into(), &"command".into())
    );
    assert!(
        rotated["uid"].is_number()
            && fs::read_to_string(&first).unwrap().contains(rotated["old_key"].as_str().unwrap())
    );
    assert!(records.all().iter().any(|record| record["kind"] == "key.retired"));
    // A report, and a receipt, for whoever has not heard of it.
    let out = gateway.folder.path().join("report").display().to_string();
    let (code, said) = cloister(&gateway, &["audit", "report", "--tenant", "acme", "--from", "-1h", "--out", &out]);
    assert_eq!(code, 0, "{said}");
    let receipts = gateway.folder.path().join("receipts").display().to_string();
    let (code, said) = cloister(&gateway, &["audit", "proof", "--index", "1", "--out", &receipts]);
    assert_eq!(code, 0, "{said}");
    let (proof, record) = (format!("{receipts}/1.tlog-proof"), format!("{receipts}/1.json"));
    for policy in [&first, &newest] {
        let policy = policy.display().to_string();
        for what in [&["--bundle", &out][..], &["--proof", &proof, "--record", &record]] {
            let (code, out, err) = run(&[&["audit", "verify", "--policy", &policy], what].concat(), Path::new("/"));
            assert_eq!(code, 0, "{out}{err}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_replaced_while_nothing_runs_signs_from_the_next_start_on() {
    let mut gateway = Gateway::test().audit_settings("key: { overlap: 1s }").start().await;
    gateway.get("acme", "/orders/1").await;
    let first = trust(&gateway, "first");
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let key = rotate(&gateway, &["--withdraw"]);
    let (code, said) = cloister(&gateway, &["keys", "rotate", "--set", "log"]);
    assert!(code == 1 && said.contains("just taking over"), "{said}");
    gateway.start_again();
    await_alone(&gateway, &key);
    let (code, said) = verify(gateway.log(), &first);
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_under_load_whatever_moment_kill_9_comes_at() {
    let mut gateway = Gateway::test().audit_settings("checkpoint: 100ms, key: { overlap: 1s }").start().await;
    gateway.get("acme", "/orders/1").await;
    let first = trust(&gateway, "first");
    let token = gateway.token("acme", "ada", &["clerk"]);
    let key = rotate(&gateway, &[]);
    let mut ids = Vec::new();
    for round in 0..12 {
        let (seen, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let (seen, stop, token, address) =
                    (Arc::clone(&seen), Arc::clone(&stop), token.clone(), gateway.address);
                std::thread::spawn(move || ask(address, &token, "/orders/1", &seen, &stop))
            })
            .collect();
        // Each life is a little longer than the one before, so that the end falls on other steps.
        gateway.eventually_within(Duration::from_secs(60), "some load is done", || {
            seen.load(Ordering::Relaxed) >= 20 * (round + 1)
        });
        gateway.process().signal("KILL");
        gateway.process().wait();
        stop.store(true, Ordering::Relaxed);
        ids.extend(clients.into_iter().flat_map(|client| client.join().unwrap()));
        let (code, said) = verify(gateway.log(), &first);
        assert_eq!(code, 0, "round {round}: {said}");
        gateway.start_again();
    }
    await_alone(&gateway, &key);
    let (code, said) = verify(gateway.log(), &first);
    assert!(code == 0 && said.contains("1 key vouched for"), "{said}");
    let records = gateway.records(&["--all"]);
    for id in &ids {
        records.of(id);
    }
}
