//! Whoever reads finds all logs, or the one that was asked for; and tools of others verify each of them.

use std::path::PathBuf;

use serde_json::Value;

use super::{finals, in_two_classes, of_class, of_globex};
use crate::harness::{Gateway, run};
use crate::stories::auditors::slow::{ask, go, python};

fn cloister(gateway: &Gateway, arguments: &[&str]) -> (i32, String) {
    let config = gateway.folder.path().join("cloister.yaml").display().to_string();
    let ran = || run(&[arguments, &["--config", &config]].concat(), gateway.folder.path());
    let (code, out, err) = tokio::task::block_in_place(ran);
    (code, out + &err)
}

#[track_caller]
fn good(gateway: &Gateway, arguments: &[&str]) -> String {
    let (code, said) = cloister(gateway, arguments);
    assert_eq!(code, 0, "{arguments:?}: {said}");
    said
}

/// Everything that is on record in either log has a checkpoint.
fn await_checkpoints(gateway: &Gateway) {
    gateway.eventually("all is on disk", || {
        gateway.metric("cloister_journal_open") == 0.0 && gateway.metric("cloister_journal_pending_bytes") == 0.0
    });
    let records = gateway.metric("cloister_audit_records");
    gateway.eventually("both are signed for", || gateway.metric("cloister_checkpoint_records") >= records);
}

fn file(gateway: &Gateway, name: &str, text: &str) -> String {
    let path = gateway.folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_look_at_all_logs_or_at_the_one_that_is_named() {
    let gateway = in_two_classes().start().await;
    let mut ids = Vec::new();
    for number in 0..6 {
        let tenant = if number % 2 == 0 { "acme" } else { "globex" };
        ids.push(gateway.get(tenant, "/orders/1").await.request_id());
    }
    await_checkpoints(&gateway);
    // A query has what all logs have, in the order of time.
    let of_query = |more: &[&str]| -> Vec<String> {
        let said = good(&gateway, &[&["audit", "query", "--format", "json"], more].concat());
        let records = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        records.map(|record| record["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of_query(&[]), ids);
    assert_eq!(of_query(&["--limit", "3"]), ids[3..]);
    assert_eq!(of_query(&["--class", "r6y"]), [&*ids[1], &ids[3], &ids[5]]);
    let (code, said) = cloister(&gateway, &["audit", "query", "--class", "r7y"]);
    assert!(code == 2 && said.contains("there are `default`, `r6y`"), "{said}");
    // A receipt is found by its request; a place is one in a log that has to be named.
    let trust = file(&gateway, "trust", &good(&gateway, &["audit", "trust"]));
    let out = gateway.folder.path().join("receipts").display().to_string();
    let said = good(&gateway, &["audit", "proof", "--id", &ids[1], "--out", &out]);
    let files: Vec<_> = said.lines().filter(|line| line.starts_with('/')).collect();
    good(&gateway, &["audit", "verify", "--record", files[0], "--proof", files[1], "--policy", &trust]);
    let (code, said) = cloister(&gateway, &["audit", "proof", "--index", "1"]);
    assert!(code == 2 && said.contains("say --class"), "{said}");
    good(&gateway, &["audit", "proof", "--index", "1", "--class", "r6y"]);
    // Checkpoints that were kept are each for its own log; a log of which none was kept is read whole.
    let of_both = good(&gateway, &["audit", "checkpoint"]);
    assert!(of_both.contains("retention class default") && of_both.contains("retention class r6y"), "{of_both}");
    let kept = |class: &str| good(&gateway, &["audit", "checkpoint", "--class", class]);
    let (first, second) = (file(&gateway, "first", &kept("default")), file(&gateway, "second", &kept("r6y")));
    let stranger = file(&gateway, "stranger", &kept("r6y").replace("/r6y", "/r7y"));
    for tenant in ["acme", "globex"] {
        gateway.get(tenant, "/orders/2").await;
    }
    await_checkpoints(&gateway);
    let said = good(&gateway, &["audit", "verify", "--from", &second, "--from", &first]);
    assert_eq!(said.matches("what the checkpoint of").count(), 2, "{said}");
    let said = good(&gateway, &["audit", "verify", "--from", &second]);
    assert_eq!(said.matches("what the checkpoint of").count(), 1, "{said}");
    let (code, said) = cloister(&gateway, &["audit", "verify", "--from", &stranger]);
    assert!(code == 2 && said.contains("none of these logs"), "{said}");
    good(&gateway, &["audit", "index", "--check"]);
    good(&gateway, &["audit", "clock"]);
    // Both are read again by the gateway that runs, or one.
    let said = good(&gateway, &["audit", "recheck", "--reason", "a look"]);
    assert_eq!(said.matches("are what was signed for").count(), 2, "{said}");
    let said = good(&gateway, &["audit", "recheck", "--reason", "a look", "--class", "r6y"]);
    assert_eq!(said.matches("are what was signed for").count(), 1, "{said}");
    // Each metric is there once, for each class.
    let (_, metrics) = gateway.admin("/metrics");
    let mut names: Vec<_> = metrics.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for name in ["cloister_journal_records_total", "cloister_audit_bytes", "cloister_audit_disk_left_seconds"] {
        let classes = metrics.lines().filter(|line| line.starts_with(&format!("{name}{{class=")));
        assert_eq!(classes.count(), 2, "{name}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_each_log_takes_its_turn_and_an_auditor_follows() {
    let setup = in_two_classes().audit_settings(&format!("{}, key: {{ overlap: 1s }}", super::CLASSES));
    let gateway = setup.start().await;
    for tenant in ["acme", "globex"] {
        gateway.get(tenant, "/orders/1").await;
    }
    await_checkpoints(&gateway);
    let first = file(&gateway, "first", &good(&gateway, &["audit", "trust"]));
    let said = good(&gateway, &["keys", "rotate", "--set", "log"]);
    let keys: Vec<_> = said.lines().filter(|line| line.contains('+')).map(str::to_owned).collect();
    assert!(keys.len() == 2 && !keys[0].contains("/r6y+") && keys[1].contains("/r6y+"), "{said}");
    let signing = || -> Vec<(String, String)> {
        let said: Value = serde_json::from_str(&good(&gateway, &["keys", "list", "--format", "json"])).unwrap();
        let of_log = said["keys"].as_array().unwrap().iter().filter(|key| key["set"] == "log");
        of_log.map(|key| (key["kid"].as_str().unwrap().to_owned(), key["class"].as_str().unwrap().to_owned())).collect()
    };
    let expected = [(keys[0].clone(), "default".to_owned()), (keys[1].clone(), "r6y".to_owned())];
    gateway.eventually("the new keys sign alone", || signing() == expected);
    let said = good(&gateway, &["keys", "rotate", "--set", "log", "--class", "r6y"]);
    assert_eq!(said.lines().filter(|line| line.contains('+')).count(), 1, "{said}");
    gateway.eventually("another one signs the class", || signing()[0] == expected[0] && signing()[1] != expected[1]);
    gateway.eventually("it signs alone", || signing().len() == 2);
    await_checkpoints(&gateway);
    let said = good(&gateway, &["audit", "verify", "--policy", &first]);
    assert!(said.contains("1 key vouched for") && said.contains("2 keys vouched for"), "{said}");
    let (code, said) = cloister(&gateway, &["keys", "rotate", "--class", "r6y"]);
    assert!(code == 2 && said.contains("--set log"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_of_others_verify_both_logs_and_what_was_pruned_in_one_of_them() {
    let mut gateway = in_two_classes().start().await;
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    std::fs::remove_dir_all(gateway.log()).unwrap();
    for days in [10, 2] {
        super::written_days_ago(gateway.log(), days, "acme");
        super::written_days_ago(&of_class(&gateway), days, "globex");
    }
    gateway.start_again();
    gateway.eventually("old records go", || gateway.metric("cloister_audit_pruned_records_total") > 300.0);
    let answers = [gateway.get("acme", "/orders/1").await, gateway.get("globex", "/orders/1").await];
    await_checkpoints(&gateway);
    let trust = PathBuf::from(file(&gateway, "trust", &good(&gateway, &["audit", "trust"])));
    let out = gateway.folder.path().join("receipts").display().to_string();
    let receipts = answers.map(|answer| {
        let said = good(&gateway, &["audit", "proof", "--id", &answer.request_id(), "--out", &out]);
        let files: Vec<_> = said.lines().filter(|line| line.starts_with('/')).map(PathBuf::from).collect();
        (files[1].clone(), files[0].clone())
    });
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    assert_eq!(crate::harness::verify(gateway.log()).0, 0);
    let logs = [gateway.log().to_path_buf(), of_class(&gateway)];
    assert!(!logs[0].join("tlog/tile/entries/000").exists() && logs[1].join("tlog/tile/entries/000").exists());
    for auditor in [go, python] {
        for ((log, own), other) in logs.iter().zip(&receipts).zip(receipts.iter().rev()) {
            let folder = log.join("tlog");
            let pruned = || {
                let mut command = auditor();
                command.arg("--pruned");
                command
            };
            ask(pruned(), &folder, &trust, std::slice::from_ref(own)).unwrap();
            ask(pruned(), &folder, &trust, &[(own.0.clone(), other.1.clone())]).unwrap_err();
            assert_eq!(ask(auditor(), &folder, &trust, &[]).is_ok(), !log.ends_with("audit"), "what is gone is missed");
        }
    }
    gateway.start_again();
    gateway.leave_with_gaps();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_has_changed_its_class_is_on_record_in_both_logs_and_exported_and_reported_from_both() {
    let gateway = in_two_classes().start().await;
    let held = gateway.request("GET", "globex", "/orders/slow").bearer_auth(gateway.token("globex", "ada", &["clerk"]));
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    let held = tokio::spawn(held.send());
    gateway.eventually("it is under way", || gateway.metric("cloister_journal_open") == 1.0);
    gateway.get("globex", "/orders/1").await;
    gateway.reload(&of_globex("retention: default"));
    let after = gateway.get("globex", "/orders/2").await.request_id();
    let held = held.await.unwrap().unwrap().headers()["x-request-id"].to_str().unwrap().to_owned();
    await_checkpoints(&gateway);
    let (first, second) = (finals(gateway.log()), finals(&of_class(&gateway)));
    assert!(second["globex"].contains(&held), "what was begun in one log ends there");
    assert!(second["globex"].len() == 2 && first["globex"].len() == 1 && first["globex"].contains(&after));
    for class in ["default", "r6y"] {
        let query = ["audit", "query", "--kind", "retention.changed", "--format", "json", "--class", class];
        let said = good(&gateway, &query);
        let record: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
        let fields = ["tenant", "old_class", "new_class"].map(|field| record[field].as_str().unwrap());
        assert_eq!(fields, ["globex", "r6y", "default"], "{record}");
        assert!(record["by"] == "file" || record["by"] == "signal", "{record}");
    }
    // All that is there of a person, from both; each with its proof.
    let archive = gateway.folder.path().join("ada.tar");
    let whom = ["--tenant", "globex", "--issuer", "main", "--subject", "ada", "--reason", "article 15"];
    let export = [&["privacy", "export"], &whom[..], &["--out", archive.to_str().unwrap()]].concat();
    let said = good(&gateway, &export);
    let unpacked = gateway.folder.path().join("ada");
    std::fs::create_dir(&unpacked).unwrap();
    let tar = std::process::Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&unpacked).status();
    assert!(tar.unwrap().success(), "{said}");
    let manifest: Value = serde_json::from_slice(&std::fs::read(unpacked.join("manifest.json")).unwrap()).unwrap();
    assert_eq!((&manifest["records"], &manifest["other_logs"][0]["records"]), (&1.into(), &2.into()), "{manifest}");
    assert_eq!(manifest["other_logs"][0]["class"], "r6y");
    let trust = unpacked.join("trust.policy").display().to_string();
    let below = |folder: &str| -> Vec<PathBuf> {
        let files = std::fs::read_dir(unpacked.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.is_file()).collect()
    };
    for class in ["", "/r6y"] {
        for record in below(&format!("records{class}")) {
            let proof =
                unpacked.join(format!("proofs{class}")).join(record.file_name().unwrap()).with_extension("tlog-proof");
            let (proof, record) = (proof.display().to_string(), record.display().to_string());
            good(&gateway, &["audit", "verify", "--proof", &proof, "--record", &record, "--policy", &trust]);
        }
    }
    // A report of each log names them all.
    let out = gateway.folder.path().join("report");
    let folder = out.display().to_string();
    good(&gateway, &["audit", "report", "--tenant", "globex", "--from", "-1h", "--out", &folder]);
    for (class, other) in [("default", "r6y"), ("r6y", "default")] {
        let report = std::fs::read(out.join(class).join("report.json")).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        let logs = report["logs"].as_array().unwrap();
        assert!(logs.len() == 2 && logs.iter().any(|log| log["class"] == other), "{report}");
        let statement = report["integrity"]["statement"].to_string();
        assert!(statement.contains(&format!("in the log of the class {other}")), "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_gets_the_records_of_both_logs_each_once_and_goes_on_after_a_kill() {
    let sink = "{ name: file, file: { path: FOLDER/audit.jsonl }, batch: { wait: 10ms } }";
    let mut gateway = in_two_classes().sink(sink).start().await;
    let mut ids = Vec::new();
    for round in 0..3 {
        for tenant in ["acme", "globex", "acme", "globex"] {
            ids.push(gateway.get(tenant, "/orders/1").await.request_id());
        }
        if round < 2 {
            gateway.process().signal("KILL");
            gateway.process().wait();
            gateway.start_again();
        }
    }
    let path = gateway.folder.path().join("audit.jsonl");
    let mut expected = ids.clone();
    expected.sort();
    gateway.eventually("all of them are there", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let finals = records.filter(|record| record["stage"] == "final");
        let mut found: Vec<_> = finals.map(|record| record["id"].as_str().unwrap().to_owned()).collect();
        found.sort();
        found.dedup(); // at least once
        found == expected
    });
    let (_, metrics) = gateway.admin("/metrics");
    for class in ["default", "r6y"] {
        let line = format!("cloister_audit_sink_lag_records{{sink=\"file\",class=\"{class}\"}} ");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}
