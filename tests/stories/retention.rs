//! Records whose time is over go, by themselves, and what remains is proven as before.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use audit::{Decision, Entry, Journal, Outcome, Settings};
use terms::{ManualClock, Reason, RequestId};

use crate::harness::{Gateway, PATIENCE, now, run};

pub(super) const DAY: u64 = 24 * 3_600;

/// A log as it was written some days ago, in small segments, for this tenant.
pub(super) fn written_days_ago(log: &Path, days: u64, tenant: &str) {
    let settings = Settings { segment_bytes: 65_536, ..Settings::new(log.to_owned(), "gateway".into()) };
    let then = now() - days * DAY;
    let (journal, committer) = Journal::open(settings, Arc::new(ManualClock::at(then))).unwrap();
    let committer = std::thread::spawn(|| committer.run());
    let tenant = tenant.parse().unwrap();
    for n in 0..600 {
        let (id, at) = (RequestId::new(n, fastrand::u128(..)), SystemTime::UNIX_EPOCH + Duration::from_secs(then));
        let entry = Entry { tenant: Some(&tenant), ..Entry::new(id, at, Decision::Deny, Reason::PolicyDenied) };
        journal.arrived();
        journal.whole(&entry, &Outcome { status: Some(403), ..Outcome::default() }).unwrap();
        if n.is_multiple_of(50) {
            let before = journal.stats().records;
            while journal.stats().records == before {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    journal.flush_and_close(PATIENCE).unwrap();
    committer.join().unwrap().unwrap();
}

/// A gateway that keeps records for five days, whose log is of the last ten.
async fn with_old_records() -> Gateway {
    let mut gateway = Gateway::test().start().await;
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    fs::remove_dir_all(gateway.log()).unwrap();
    for days in [10, 8, 2] {
        written_days_ago(gateway.log(), days, "globex");
    }
    let config = gateway.folder.path().join("cloister.yaml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("\naudit: { "), "{text}");
    fs::write(&config, text.replace("\naudit: { ", "\naudit: { retention: { keep: 5d, disk: 1GiB }, ")).unwrap();
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn records_go_when_their_time_is_over_and_those_that_remain_are_proven() {
    let mut gateway = with_old_records().await;
    gateway.start_again();
    gateway.eventually("old records go", || gateway.metric("cloister_audit_pruned_records_total") > 1_000.0);
    let answer = gateway.get("acme", "/orders/1").await;
    assert_eq!(answer.status, 200);
    let records = gateway.records(&["--all"]);
    let pruned: Vec<_> = records.all().iter().filter(|record| record["kind"] == "log.pruned").collect();
    assert_eq!((pruned.len(), &pruned[0]["keep"]), (1, &(5 * DAY).into()));
    let first = pruned[0]["first"].as_u64().unwrap();
    assert_eq!(pruned[0]["records"].as_u64(), Some(first));
    let of_globex = records.finals().iter().filter(|record| record["tenant"] == "globex").count();
    assert!(
        (600..1_100).contains(&of_globex),
        "what is two days old stays, and what shares a segment with it: {of_globex}"
    );
    assert!(gateway.metric("cloister_audit_bytes") > 100_000.0);

    let config = gateway.folder.path().join("cloister.yaml").display().to_string();
    let verify = |arguments: &[&str]| {
        let all = [&["audit", "verify", "--config", &config], arguments].concat();
        let (code, out, err) = run(&all, gateway.folder.path());
        (code, out + &err)
    };
    gateway.eventually("the answer is signed for", || {
        gateway.metric("cloister_checkpoint_records") >= gateway.metric("cloister_audit_records")
    });
    let (code, said) = verify(&["--complete"]);
    assert!(code == 0 && said.contains(&format!("records {first} to")) && said.contains("signed for"), "{said}");
    assert!(!gateway.log().join("tlog/tile/entries/000").exists() && gateway.log().join("tlog/tile/0/000").exists());
    let out = gateway.folder.path().join("receipt").display().to_string();
    let id = answer.request_id();
    let (code, _, err) =
        run(&["audit", "proof", "--config", &config, "--id", &id, "--out", &out], gateway.folder.path());
    assert_eq!(code, 0, "{err}");
    // A start finds nothing wrong with it, and nothing more to remove.
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    gateway.start_again();
    gateway.eventually("all of it was read again", || gateway.metric("cloister_audit_reread_records") > 0.0);
    assert_eq!(gateway.metric("cloister_audit_reread_differences"), 0.0);
    assert_eq!(gateway.metric("cloister_audit_pruned_records_total"), 0.0);
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    gateway.leave_with_gaps();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legal_hold_keeps_what_is_past_its_time_until_it_is_lifted() {
    let mut gateway = with_old_records().await;
    let config = gateway.folder.path().join("cloister.yaml").display().to_string();
    let folder = gateway.folder.path().to_owned();
    let hold = |arguments: &[&str]| {
        let (code, out, err) = run(&[&["privacy", "hold"], arguments, &["--config", &config]].concat(), &folder);
        assert_eq!(code, 0, "{out}{err}");
    };
    hold(&["add", "--tenant", "globex", "--reason", "case 7"]);
    gateway.start_again();
    gateway.eventually("all was looked at", || gateway.metric("cloister_audit_reread_records") > 1_800.0);
    let globex = |gateway: &Gateway| {
        gateway.records(&["--all"]).finals().iter().filter(|record| record["tenant"] == "globex").count()
    };
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    assert_eq!(globex(&gateway), 1_800, "nothing goes");
    hold(&["remove", "1", "--reason", "closed"]);
    gateway.start_again();
    gateway.eventually("old records go", || gateway.metric("cloister_audit_pruned_records_total") > 1_000.0);
    assert!(globex(&gateway) < 1_100);
    gateway.leave_with_gaps();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ahead_removes_nothing_until_somebody_says_that_it_is_right() {
    let mut gateway = with_old_records().await;
    let folder = gateway.folder.path().to_owned();
    let config = folder.join("cloister.yaml").display().to_string();
    // The machine was off for three weeks, or somebody has its clock: nobody here can tell.
    let ago = now() - 20 * DAY;
    let remembered = format!(r#"{{"time":{ago},"uptime":{{"boot":"before","seconds":1}}}}"#);
    fs::write(folder.join("state/ledger/time.json"), remembered).unwrap();
    gateway.start_again();
    gateway.eventually("all was looked at", || gateway.metric("cloister_audit_reread_records") > 1_800.0);
    let ahead = |gateway: &Gateway| gateway.metric("cloister_audit_clock_ahead_seconds");
    assert!(ahead(&gateway) >= (20 * DAY) as f64);
    let clock = |more: &[&str]| run(&[&["audit", "clock", "--config", &config], more].concat(), &folder);
    let (code, said, _) = clock(&[]);
    assert!(code == 0 && said.contains("s less"), "{said}");
    assert_eq!(clock(&["--accept"]).0, 2, "it wants to know why");
    assert_eq!(gateway.metric("cloister_audit_pruned_records_total"), 0.0);
    let (code, said, err) = clock(&["--accept", "--reason", "moved to another hall"]);
    assert_eq!(code, 0, "{said}{err}");
    gateway.eventually("it is taken for right", || ahead(&gateway) == 0.0);
    let records = gateway.records(&["--kind", "clock.accepted"]);
    let [accepted] = records.all() else { panic!("{records:?}") };
    assert_eq!((&accepted["why"], &accepted["by"]), (&"moved to another hall".into(), &"command".into()));
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    gateway.start_again();
    gateway.eventually("old records go", || gateway.metric("cloister_audit_pruned_records_total") > 1_000.0);
    gateway.leave_with_gaps();
}

/// What is in the files of a folder.
fn files(folder: &Path) -> Vec<(Vec<u8>, PathBuf)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).map(|path| (fs::read(&path).unwrap(), path)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_to_go_goes_at_the_next_start_and_is_not_said_again() {
    let mut gateway = with_old_records().await;
    let mut all = files(&gateway.log().join("segments"));
    // Bundles are made of all of it by a gateway that lets nothing go.
    let config = gateway.folder.path().join("cloister.yaml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("keep: 5d", "keep: 50d")).unwrap();
    gateway.start_again();
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    all.extend(files(&gateway.log().join("tlog/tile/entries")));
    fs::write(&config, text).unwrap();
    gateway.start_again();
    gateway.eventually("old records go", || gateway.metric("cloister_audit_pruned_records_total") > 1_000.0);
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    // As a process leaves it that is killed in between.
    let gone: Vec<_> = all.into_iter().filter(|(_, path)| !path.exists()).collect();
    assert!(gone.len() > 2);
    for (bytes, path) in &gone {
        fs::write(path, bytes).unwrap();
    }
    gateway.start_again();
    gateway.eventually("the rest goes", || gone.iter().all(|(_, path)| !path.exists()));
    assert!(gateway.metric("cloister_audit_pruned_records_total") > 1_000.0);
    assert_eq!(gateway.records(&["--kind", "log.pruned"]).all().len(), 1);
    gateway.leave_with_gaps();
}
