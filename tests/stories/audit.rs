//! Every request has its one record, and nothing is in it that must not be.

use std::io::{BufRead as _, BufReader, Write as _};
use std::time::Duration;

use crate::harness::{Gateway, PATIENCE, raw, run};

#[tokio::test(flavor = "multi_thread")]
async fn every_request_has_one_final_record_also_those_that_never_parsed() {
    let gateway = Gateway::test().start().await;
    let served = gateway.get("acme", "/orders/1").await;
    let refused = gateway.send(gateway.request("GET", "acme", "/nowhere")).await;
    raw(gateway.address, b"\x16\x03\x01\x02garbage\r\n\r\n").await;
    gateway.eventually("the garbage is on record", || gateway.records(&[]).finals().len() == 3);
    let records = gateway.records(&[]);
    let record = records.of(&served.request_id());
    assert_eq!(record["tenant"], "acme");
    assert_eq!(record["decision"], "allow");
    assert_eq!(record["route"], "orders");
    assert_eq!(record["status"], 200);
    assert_eq!(record["upstream"], "backend");
    assert!(record["rule"].as_str().unwrap().contains("viewer"));
    let record = records.of(&refused.request_id());
    assert_eq!((&record["decision"], &record["reason"]), (&"deny".into(), &"route.unknown".into()));
    let unparsed = gateway.records(&["--reason", "request.malformed.unparsed"]);
    assert_eq!(unparsed.finals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_finds_by_tenant_subject_reason_and_route() {
    let gateway = Gateway::test().start().await;
    gateway.get("acme", "/orders/1").await;
    gateway.get("globex", "/orders/1").await;
    gateway.get("initech", "/orders/1").await;
    let count = |conditions: &[&str]| gateway.records(conditions).finals().len();
    assert_eq!(count(&["--tenant", "acme"]), 1);
    // As a member of two tenants, and when it was let into neither.
    let of = |user: &str, more: &[&str]| {
        let (code, out, said) = audit(&gateway, &[&["query", "--subject", user, "--format", "json"], more].concat());
        assert_eq!(code, 0, "{said}");
        out.lines().count()
    };
    assert_eq!((of("ada", &[]), of("ada", &["--tenant", "acme"]), of("bob", &[])), (3, 1, 0));
    assert_eq!(count(&["--reason", "tenant.suspended"]), 1);
    assert_eq!(count(&["--route", "orders"]), 3);
    assert_eq!(count(&["--from", "2020-01-01T00:00:00Z", "--to", "2020-01-02T00:00:00Z"]), 0);
}

/// Runs `cloister audit …` with the configuration of the gateway.
fn audit(gateway: &Gateway, arguments: &[&str]) -> (i32, String, String) {
    let config = gateway.folder.path().join("cloister.yaml").display().to_string();
    let (command, rest) = arguments.split_first().unwrap();
    run(&[&["audit", command, "--config", &config], rest].concat(), gateway.folder.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_narrows_by_every_condition_and_shows_the_newest_last() {
    let gateway = Gateway::test().start().await;
    let served: Vec<String> = {
        let mut ids = Vec::new();
        for path in ["/orders/1", "/orders/2", "/orders/3"] {
            ids.push(gateway.get("acme", path).await.request_id());
        }
        ids
    };
    gateway.get("acme", "/nowhere").await;
    gateway.eventually("all are on record", || gateway.records(&[]).finals().len() == 4);
    let ids = |conditions: &[&str]| {
        let records = gateway.records(conditions);
        records.finals().iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--status", "200"]), served);
    assert_eq!(ids(&["--decision", "allow"]), served);
    assert_eq!(ids(&["--decision", "deny"]).len(), 1);
    assert_eq!(ids(&["--id", &served[1]]), [served[1].clone()]);
    assert_eq!(ids(&["--from", "-1h"]).len(), 4);
    assert_eq!(ids(&["--from", "-1h", "--to", "-30m"]).len(), 0);
    let sub = gateway.records(&["--id", &served[0]]).finals()[0]["sub"].as_str().unwrap().to_owned();
    assert_eq!(ids(&["--sub", &sub, "--status", "200"]), served);
    let (code, out, _) = audit(&gateway, &["query", "--limit", "2", "--decision", "allow", "--format", "json"]);
    let latest: Vec<_> = out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect();
    assert_eq!((code, latest.len(), latest[1]["id"].as_str()), (0, 2, Some(served[2].as_str())));
    for bad in [["--limit", "0"], ["--from", "yesterday"], ["--reason", "no.such"], ["--tenant", "No Such"]] {
        assert_eq!(audit(&gateway, &[&["query"], &bad[..]].concat()).0, 2, "{bad:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_writes_is_no_formula_in_a_spreadsheet() {
    let gateway = Gateway::test().start().await;
    let hostile = b"=CMD|',\"x HTTP/1.1\r\nhost: acme.example.test\r\n\r\n";
    raw(gateway.address, hostile).await;
    let minus = gateway.request("-1+2", "acme", "/orders/1");
    let answer = gateway.send(minus).await;
    gateway.eventually("it is on record", || gateway.records(&["--id", &answer.request_id()]).finals().len() == 1);
    let (code, out, said) = audit(&gateway, &["query", "--format", "csv", "--limit", "all"]);
    assert_eq!(code, 0, "{said}");
    let mut lines = out.split("\r\n");
    assert!(lines.next().unwrap().starts_with("log,index,leaf_hash,time,kind,tenant,"), "{out}");
    let line = lines.find(|line| line.contains(&answer.request_id())).unwrap();
    assert!(line.contains(",'-1+2,"), "{line}");
    let hash = line.split(',').nth(2).unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
    for cell in out.lines().skip(1).flat_map(|line| line.split(',')) {
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_the_log_is_on_record() {
    let mut gateway = Gateway::test().start().await;
    gateway.get("acme", "/orders/1").await;
    gateway.eventually("it is on record", || gateway.records(&[]).finals().len() == 1);
    let reads = |gateway: &Gateway| {
        let records = gateway.records(&["--kind", "audit.read"]);
        records.all().to_vec()
    };
    let (code, _, said) = audit(&gateway, &["query", "--tenant", "acme", "--subject", "ada"]);
    assert!(code == 0 && !said.contains("not on record"), "{said}");
    gateway.eventually("the reading is on record", || reads(&gateway).len() == 1);
    let read = reads(&gateway).remove(0);
    assert_eq!((&read["tenant"], &read["filter"]), (&"acme".into(), &"tenant=acme subject=*".into()), "{read}");
    assert_eq!((&read["found"], &read["by"]), (&1.into(), &"command".into()));
    assert!(read["uid"].is_u64() && read["tseq"].is_u64(), "it stands in the chain of the tenant: {read}");
    assert!(!read.to_string().contains("ada"), "{read}");
    let id = gateway.records(&[]).finals()[0]["id"].as_str().unwrap().to_owned();
    let records = gateway.metric("cloister_audit_records");
    gateway.eventually("a checkpoint covers it", || gateway.metric("cloister_checkpoint_records") >= records);
    assert_eq!(audit(&gateway, &["proof", "--id", &id]).0, 0);
    gateway.eventually("the receipt is on record", || reads(&gateway).len() == 2);
    assert_eq!(reads(&gateway)[1]["filter"], format!("proof id={id}"));
    // While no gateway runs, too; and without the file of another log.
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let log = gateway.log().display().to_string();
    assert_eq!(audit(&gateway, &["query", "--dir", &log, "--reason", "tenant.mismatch"]).0, 0);
    gateway.start_again();
    gateway.eventually("the reading is on record", || reads(&gateway).len() == 3);
    assert_eq!(reads(&gateway)[2]["filter"], "reason=tenant.mismatch");
    // Of a copy nobody can put it on record; it can be read all the same.
    let copy = gateway.folder.path().join("copy");
    let copied = std::process::Command::new("cp").arg("-r").arg(gateway.log()).arg(&copy).status().unwrap();
    assert!(copied.success());
    let (code, out, said) = audit(&gateway, &["query", "--dir", &copy.display().to_string()]);
    assert!(code == 0 && out.contains("orders") && said.contains("this is not on record"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_query_body_path_or_person_is_ever_written_anywhere() {
    let gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada-canary-subject", &["clerk"]);
    let request = gateway
        .request("POST", "acme", "/orders/canary-path?secret=canary-query")
        .bearer_auth(&token)
        .header("x-api-key", "canary-field")
        .header("cookie", "session=canary-cookie")
        .header("user-agent", "canary-agent")
        .body("canary-body");
    assert_eq!(gateway.send(request).await.status, 200);
    gateway.get("acme", "/nowhere/canary-path").await;
    let log = gateway.log().to_path_buf();
    let folder = gateway.folder.path().to_path_buf();
    gateway.records(&[]);
    let mut written = Vec::new();
    read_all(&log, &mut written);
    read_all(&folder.join("state"), &mut written);
    let mut gateway = gateway;
    written.write_all(gateway.process().said().as_bytes()).unwrap();
    let text = String::from_utf8_lossy(&written);
    for canary in ["canary", token.rsplit('.').next().unwrap(), token.split('.').nth(1).unwrap()] {
        assert!(!text.contains(canary), "`{canary}` was written");
    }
}

fn read_all(folder: &std::path::Path, into: &mut Vec<u8>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, into);
        } else {
            into.extend(std::fs::read(&path).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_shows_each_record_as_it_comes() {
    let gateway = Gateway::test().start().await;
    let tail = Tail::start(gateway.log());
    // It shows what comes from when it is ready, which it says by showing something.
    let started = std::time::Instant::now();
    while tail.lines.recv_timeout(Duration::from_millis(250)).is_err() {
        assert!(started.elapsed() < PATIENCE, "the tail shows nothing");
        gateway.get("acme", "/orders/0").await;
    }
    for path in ["/orders/1", "/nowhere", "/orders/2"] {
        let answer = gateway.get("acme", path).await;
        let record = tail.await_record(|record| record["id"] == answer.request_id());
        assert_eq!((&record["stage"], &record["status"]), (&"final".into(), &answer.status.into()), "{record}");
    }
}

/// A running `cloister audit tail`.
struct Tail {
    child: std::process::Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Tail {
    fn start(log: &std::path::Path) -> Self {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_cloister"))
            .args(["audit", "tail", "--format", "json", "--dir"])
            .arg(log)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// Waits for a record. Every line is one.
    fn await_record(&self, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("the tail shows what was waited for");
            let record: serde_json::Value = serde_json::from_str(&line).expect("a record is JSON");
            if wanted(&record) {
                return record;
            }
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "a tail goes on until it is ended");
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
