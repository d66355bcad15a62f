//! A report says what the log says of one tenant, and everybody can check it without the log, and without the others' records.

mod slow;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Gateway, run};

fn audit(gateway: &Gateway, arguments: &[&str]) -> (i32, String) {
    let (code, out, err) = run(&[&["audit"], arguments].concat(), gateway.folder.path());
    (code, out + &err)
}

fn config(gateway: &Gateway) -> String {
    gateway.folder.path().join("cloister.yaml").display().to_string()
}

/// Makes a report of a tenant's last hour.
fn report(gateway: &Gateway, tenant: &str, name: &str) -> (PathBuf, Value) {
    let out = gateway.folder.path().join(name);
    let (config, text) = (config(gateway), out.display().to_string());
    let arguments = ["report", "--config", &config, "--tenant", tenant, "--from", "-1h", "--out", &text];
    let (code, said) = audit(gateway, &arguments);
    assert_eq!(code, 0, "{said}");
    let report = serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    (out, report)
}

fn policy(gateway: &Gateway) -> String {
    let (code, policy) = audit(gateway, &["trust", "--config", &config(gateway)]);
    assert_eq!(code, 0, "{policy}");
    let path = gateway.folder.path().join("trust");
    fs::write(&path, policy).unwrap();
    path.display().to_string()
}

fn verify(gateway: &Gateway, bundle: &Path, policy: &str) -> (i32, String) {
    audit(gateway, &["verify", "--bundle", &bundle.display().to_string(), "--policy", policy])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_counts_what_is_on_record_and_holds_nothing_of_another_tenant() {
    let gateway = Gateway::test().start().await;
    for path in ["/orders/1", "/orders/2", "/nowhere"] {
        gateway.get("acme", path).await;
    }
    let canary = gateway.token("globex", "canary-of-globex", &["viewer"]);
    let theirs = gateway.send(gateway.request("GET", "globex", "/orders/9").bearer_auth(&canary)).await;
    let foreign = gateway.get("globex", "/orders/1").await;
    gateway.eventually("all are on record", || gateway.records(&[]).finals().len() == 5);
    let hidden = gateway.records(&["--id", &theirs.request_id()]).finals()[0]["sub"].as_str().unwrap().to_owned();

    let (out, said) = report(&gateway, "acme", "report");
    let summary = &said["summary"];
    assert_eq!(said["version"], 1);
    let served = gateway.records(&["--tenant", "acme"]).finals().len() as u64;
    assert_eq!(summary["requests"], served);
    assert_eq!((&summary["by_route"]["orders"]["allowed"], &summary["by_status"]["200"]), (&2.into(), &2.into()));
    assert_eq!(summary["actors"][0]["requests"], served);
    assert_eq!((&said["integrity"]["shown"], &said["integrity"]["chain"]), (&true.into(), &true.into()));
    assert!(said["integrity"]["signed_by"][0].as_str().unwrap().starts_with("cloister/gateway/"), "{said}");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Content-Security-Policy") && !page.contains("<script") && page.contains("orders"));
    let sheet = fs::read_to_string(out.join("report.csv")).unwrap();
    assert!(sheet.split("\r\n").count() >= 4 && sheet.starts_with("log,index,leaf_hash,"), "{sheet}");

    for file in fs::read_dir(&out).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for canary in ["globex", &hidden, &foreign.request_id()] {
            assert!(!text.contains(canary), "`{canary}` in {}", path.display());
        }
    }
    // It is on record, in the chain of the tenant; and the next one shows it.
    gateway.eventually("it is on record", || gateway.records(&["--kind", "report.generated"]).all().len() == 1);
    let (_, next) = report(&gateway, "acme", "next");
    let events = next["summary"]["events"].as_array().unwrap();
    assert!(events.iter().any(|event| event["kind"] == "report.generated"), "{events:?}");
    let empty = report(&gateway, "globex", "of-globex").1;
    assert_eq!(empty["summary"]["chain"]["first"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_checked_offline_and_every_change_of_it_is_found() {
    let mut gateway = Gateway::test().start().await;
    for number in 0..5 {
        gateway.get("acme", &format!("/orders/{number}")).await;
        gateway.get("globex", "/orders/1").await;
    }
    gateway.eventually("all are on record", || gateway.records(&[]).finals().len() == 10);
    let policy = policy(&gateway);
    let (out, _) = report(&gateway, "acme", "report");
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let moved = gateway.folder.path().join("at-the-auditors");
    fs::rename(&out, &moved).unwrap();
    let (code, said) = verify(&gateway, &moved, &policy);
    assert!(code == 0 && said.contains("are whole, and the report is theirs"), "{said}");

    let file = |name: &str| moved.join(name);
    let records = fs::read_to_string(file("records.jsonl")).unwrap();
    let lines: Vec<_> = records.lines().collect();
    let joined = |lines: &[&str]| lines.join("\n") + "\n";
    let without = |at: usize| joined(&[&lines[..at], &lines[at + 1..]].concat());
    let last = lines.len() - 1;
    for (what, name, content) in [
        ("a record is missing", "records.jsonl", without(2)),
        ("the first is missing", "records.jsonl", without(0)),
        ("the last is missing", "records.jsonl", without(last)),
        ("one is there twice", "records.jsonl", joined(&[&lines[..], &lines[last..]].concat())),
        ("two have changed places", "records.jsonl", joined(&[lines[1], lines[0], lines[2], lines[3], lines[4]])),
        ("one was changed", "records.jsonl", records.replacen("\"status\":200", "\"status\":201", 1)),
        ("none is left", "records.jsonl", String::new()),
        ("another number", "report.json", changed(&file("report.json"), "\"requests\": 5", "\"requests\": 4")),
        (
            "another tenant",
            "report.json",
            changed(&file("report.json"), "\"tenant\": \"acme\"", "\"tenant\": \"globex\""),
        ),
        ("another place", "head.tlog-proof", changed(&file("head.tlog-proof"), "index ", "index 1")),
    ] {
        let good = fs::read(file(name)).unwrap();
        fs::write(file(name), content).unwrap();
        let (code, said) = verify(&gateway, &moved, &policy);
        assert_eq!(code, 1, "{what}: {said}");
        fs::write(file(name), good).unwrap();
    }
    let stranger = gateway.folder.path().join("stranger");
    let key = "log example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx\nquorum none\n";
    fs::write(&stranger, key).unwrap();
    assert_eq!(verify(&gateway, &moved, &stranger.display().to_string()).0, 1);
    assert_eq!(verify(&gateway, &moved, &policy).0, 0);
}

fn changed(path: &Path, from: &str, to: &str) -> String {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    text.replacen(from, to, 1)
}
