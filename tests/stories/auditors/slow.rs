//! Tools that share no code with the gateway: one with Go's `sumdb`, one in Python from the specifications alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{await_checkpoint, receipt, trust};
use crate::harness::Gateway;

fn auditor(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/auditors").join(file)
}

pub fn go() -> Command {
    let mut command = Command::new("go");
    command
        .args(["run", "main.go"])
        .current_dir(auditor(""))
        .envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode")]);
    command
}

pub fn python() -> Command {
    let mut command = Command::new("python3");
    command.arg(auditor("auditor.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// What an auditor says, or why it does not believe the log.
pub fn ask(
    mut command: Command,
    folder: &Path,
    policy: &Path,
    receipts: &[(PathBuf, PathBuf)],
) -> Result<String, String> {
    command.arg(folder).arg(policy);
    command.args(receipts.iter().flat_map(|(proof, record)| [proof, record]));
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_of_others_check_the_proofs_of_a_report() {
    let gateway = Gateway::test().start().await;
    for number in 0..20 {
        gateway.get("acme", &format!("/orders/{number}")).await;
        gateway.get("globex", &format!("/orders/{number}")).await;
    }
    gateway.eventually("all are on record", || gateway.records(&[]).finals().len() == 40);
    let (policy, out) = (trust(&gateway), gateway.folder.path().join("report"));
    let text = out.display().to_string();
    let config = super::config(&gateway);
    let (code, said) =
        super::audit(&gateway, &["report", "--config", &config, "--tenant", "acme", "--from", "-1h", "--out", &text]);
    assert_eq!(code, 0, "{said}");
    let bundle = |mut command: Command| {
        command.arg("--bundle");
        ask(command, &out, &policy, &[])
    };
    let (said, also) = (bundle(go()).unwrap(), bundle(python()).unwrap());
    assert!(said == also && said.starts_with("20 records of acme"), "{said}{also}");
    let records = out.join("records.jsonl");
    let good = fs::read_to_string(&records).unwrap();
    let mut lines: Vec<_> = good.lines().collect();
    lines.remove(7);
    let without = lines.join("\n") + "\n";
    let changed = good.replacen("\"status\":200", "\"status\":201", 1);
    let cut = good.trim_end().rsplit_once('\n').unwrap().0.to_owned() + "\n";
    for content in [without, changed, cut] {
        fs::write(&records, content).unwrap();
        bundle(go()).unwrap_err();
        bundle(python()).unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_of_others_verify_the_log_unmodified_and_find_every_change() {
    let mut gateway = Gateway::test().start().await;
    let mut answers = Vec::new();
    for number in 0..600 {
        answers.push(gateway.get("acme", &format!("/orders/{number}")).await.request_id());
    }
    gateway.eventually("all are on record", || gateway.metric("cloister_journal_records_total") >= 600.0);
    await_checkpoint(&gateway);
    let policy = trust(&gateway);
    let receipts: Vec<_> = answers.iter().step_by(97).map(|request| receipt(&gateway, request)).collect();
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let folder = gateway.log().join("tlog");

    let (said, also) =
        (ask(go(), &folder, &policy, &receipts).unwrap(), ask(python(), &folder, &policy, &receipts).unwrap());
    assert_eq!(said, also);
    assert!(said.contains(" entries, 4 tiles, root "), "{said}");

    let swapped = [(receipts[0].0.clone(), receipts[1].1.clone())];
    for auditor in [go, python] {
        ask(auditor(), &folder, &policy, &swapped).unwrap_err();
    }
    let last = fs::read_dir(folder.join("tile/0/002.p")).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    for file in ["checkpoint", "tile/0/000", "tile/0/001", "tile/entries/000", "tile/entries/001"]
        .map(|file| folder.join(file))
        .into_iter()
        .chain([last])
    {
        let good = fs::read(&file).unwrap();
        let mut changed = good.clone();
        changed[good.len() / 2] ^= 1;
        fs::write(&file, &changed).unwrap();
        for auditor in [go, python] {
            let judged = ask(auditor(), &folder, &policy, &[]);
            assert!(judged.is_err(), "{} was changed and nobody minds", file.display());
        }
        fs::write(&file, &good).unwrap();
    }
    ask(python(), &folder, &policy, &receipts).unwrap();
}
