//! Somebody who does not trust the gateway can show what is in its log, and that nothing of it was changed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Gateway, Process, run};

pub mod slow;

/// What `cloister audit …` says, and how it ends.
fn audit(gateway: &Gateway, arguments: &[&str]) -> (i32, String) {
    let (code, out, err) = run(&[&["audit"], arguments].concat(), gateway.folder.path());
    (code, out + &err)
}

fn config(gateway: &Gateway) -> String {
    gateway.folder.path().join("cloister.yaml").display().to_string()
}

/// Writes down whom to trust, as an auditor would be given it.
fn trust(gateway: &Gateway) -> PathBuf {
    let (code, policy) = audit(gateway, &["trust", "--config", &config(gateway)]);
    assert_eq!(code, 0, "{policy}");
    let path = gateway.folder.path().join("trust");
    fs::write(&path, policy).unwrap();
    path
}

/// Everything that is on record now has a checkpoint.
fn await_checkpoint(gateway: &Gateway) {
    let records = gateway.metric("cloister_audit_records");
    gateway.eventually("there is a checkpoint of what is on record", || {
        gateway.metric("cloister_checkpoint_records") >= records
    });
}

/// The receipt and the record of a request, as files.
fn receipt(gateway: &Gateway, request: &str) -> (PathBuf, PathBuf) {
    let out = gateway.folder.path().join("receipts");
    let (config, text) = (config(gateway), out.display().to_string());
    let (code, said) = audit(gateway, &["proof", "--config", &config, "--id", request, "--out", &text]);
    assert_eq!(code, 0, "{said}");
    let mut lines = said.lines().map(PathBuf::from);
    let record = lines.next().unwrap();
    (lines.next().unwrap(), record)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_shows_a_record_to_whoever_has_the_public_key() {
    let gateway = Gateway::test().start().await;
    let answer = gateway.get("acme", "/orders/1").await;
    let other = gateway.get("acme", "/nowhere").await;
    gateway.eventually("both are on record", || gateway.records(&[]).finals().len() == 2);
    await_checkpoint(&gateway);
    let policy = trust(&gateway).display().to_string();
    let ((proof, record), (_, other)) =
        (receipt(&gateway, &answer.request_id()), receipt(&gateway, &other.request_id()));
    let verify = |record: &Path, policy: &str| {
        let (proof, record) = (proof.display().to_string(), record.display().to_string());
        audit(&gateway, &["verify", "--proof", &proof, "--record", &record, "--policy", policy])
    };
    let (code, said) = verify(&record, &policy);
    assert!(code == 0 && said.contains("is in the log cloister/gateway/"), "{said}");
    let (code, said) = verify(&other, &policy);
    assert!(code == 1 && said.contains("not shown to be in the log"), "{said}");
    let changed = gateway.folder.path().join("changed.json");
    fs::write(&changed, fs::read_to_string(&record).unwrap().replace("\"status\":200", "\"status\":201")).unwrap();
    assert_eq!(verify(&changed, &policy).0, 1);
    let stranger = "log cloister/other+a7e5f1c9+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx\nquorum none\n";
    let path = gateway.folder.path().join("stranger");
    fs::write(&path, stranger).unwrap();
    let (code, said) = verify(&record, &path.display().to_string());
    assert!(code == 2 && said.contains("line 1"), "a key whose id is not its own: {said}");
    fs::write(
        &path,
        "log example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx\nquorum none\n",
    )
    .unwrap();
    let (code, said) = verify(&record, &path.display().to_string());
    assert!(code == 1 && said.contains("not signed by a log of the policy"), "{said}");
    let (code, checkpoint) = audit(&gateway, &["checkpoint", "--config", &config(&gateway)]);
    assert!(code == 0 && checkpoint.lines().nth(4).is_some_and(|line| line.starts_with('\u{2014}')), "{checkpoint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_that_writes_is_the_one_that_signs() {
    let mut gateway = Gateway::test().start().await;
    gateway.get("acme", "/orders/1").await;
    let mut before = gateway.upgrade();
    let answer = gateway.get("acme", "/orders/2").await;
    gateway.eventually("it is on record", || gateway.records(&[]).finals().len() == 2);
    await_checkpoint(&gateway);
    receipt(&gateway, &answer.request_id());
    assert!(before.wait().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_set_back_to_an_earlier_day_is_not_gone_on_with() {
    let mut gateway = Gateway::test().start().await;
    gateway.get("acme", "/orders/1").await;
    let stop = |gateway: &mut Gateway| {
        gateway.process().signal("TERM");
        assert!(gateway.process().wait().success());
    };
    stop(&mut gateway);
    let (log, earlier) = (gateway.log().to_path_buf(), gateway.folder.path().join("earlier"));
    copy(&log, &earlier);
    gateway.start_again();
    gateway.get("acme", "/orders/2").await;
    stop(&mut gateway);
    let later = gateway.folder.path().join("later");
    fs::rename(&log, &later).unwrap();
    copy(&earlier, &log);
    let folder = gateway.folder.path();
    let policies = folder.join("policies").display().to_string();
    let arguments = ["run", "--config", &config(&gateway), "--policies", &policies];
    let mut process = Process::start(&arguments, &[]);
    let status = process.wait();
    let said = process.said();
    assert_eq!(status.code(), Some(21), "{said}");
    assert!(said.contains("cut off, or set back to an earlier day"), "{said}");
    // With the right one it goes on.
    fs::remove_dir_all(&log).unwrap();
    fs::rename(&later, &log).unwrap();
    gateway.start_again();
    assert_eq!(gateway.get("acme", "/orders/3").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_says_what_was_changed_after_it_was_signed_for() {
    let mut gateway = Gateway::test().start().await;
    gateway.get("acme", "/orders/1").await;
    let policy = trust(&gateway).display().to_string();
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let log = gateway.log().display().to_string();
    let verify = || audit(&gateway, &["verify", "--dir", &log, "--policy", &policy]);
    let (code, said) = verify();
    assert!(code == 0 && said.contains("the records are those that were signed for"), "{said}");
    let checkpoint = gateway.log().join("tlog/checkpoint");
    let good = fs::read_to_string(&checkpoint).unwrap();
    fs::write(&checkpoint, good.replacen("cloister/gateway", "cloister/gateweg", 1)).unwrap();
    let (code, said) = verify();
    assert!(code == 26 && said.contains("not to be trusted"), "{said}");
    fs::write(&checkpoint, &good).unwrap();
    let size = good.lines().nth(1).unwrap();
    let tile = gateway.log().join(format!("tlog/tile/0/000.p/{size}"));
    let mut bytes = fs::read(&tile).unwrap();
    bytes[40] ^= 1;
    fs::write(&tile, &bytes).unwrap();
    let (code, said) = verify();
    assert!(code == 25 && said.contains(&format!("tile/0/000.p/{size}")), "{said}");
    bytes[40] ^= 1;
    fs::write(&tile, &bytes).unwrap();
    assert_eq!(verify().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_from_a_checkpoint_that_was_kept_reads_what_came_since_and_says_so() {
    let gateway = Gateway::test().start().await;
    for number in 0..300 {
        gateway.get("acme", &format!("/orders/{number}")).await;
    }
    gateway.eventually("all are on record", || gateway.records(&[]).finals().len() == 300);
    await_checkpoint(&gateway);
    let (code, kept) = audit(&gateway, &["checkpoint", "--config", &config(&gateway)]);
    assert_eq!(code, 0, "{kept}");
    let path = gateway.folder.path().join("kept");
    fs::write(&path, &kept).unwrap();
    gateway.get("acme", "/orders/1").await;
    gateway.eventually("it is on record", || gateway.records(&[]).finals().len() == 301);
    await_checkpoint(&gateway);
    let text = path.display().to_string();
    let config = config(&gateway);
    let (code, said) = audit(&gateway, &["verify", "--config", &config, "--from", &text]);
    assert!(code == 0 && said.contains("from record 256 on, each was compared"), "{said}");
    assert!(said.contains("it goes on from the one in the state folder"), "{said}");
    // What was read before is not looked at now, and is said not to be; a look at all of it finds it.
    let bundle = gateway.log().join("tlog/tile/entries/000");
    let good = fs::read(&bundle).unwrap();
    let mut bad = good.clone();
    bad[100] ^= 1;
    fs::write(&bundle, &bad).unwrap();
    assert_eq!(audit(&gateway, &["verify", "--config", &config, "--from", &text]).0, 0);
    assert_eq!(audit(&gateway, &["verify", "--config", &config]).0, 25);
    fs::write(&bundle, &good).unwrap();
    // A checkpoint of another log, and one of this log that nobody has signed.
    let root = kept.lines().nth(2).unwrap();
    for (from, to) in [("cloister/gateway", "cloister/gateweg"), (root, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
    {
        fs::write(&path, kept.replacen(from, to, 1)).unwrap();
        let (code, said) = audit(&gateway, &["verify", "--config", &config, "--from", &text]);
        assert!(code == 26 && said.contains("is not one of this log"), "{said}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
