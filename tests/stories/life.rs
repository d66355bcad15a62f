//! How it ends, and what outages do.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Answer, Gateway, Kept, POLICIES, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_a_running_request_end_and_then_stops_at_once() {
    let mut gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let request = gateway.request("GET", "acme", "/orders/slow").bearer_auth(token);
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    let asking = tokio::spawn(request.send());
    gateway.eventually("the request is in flight", || gateway.metric("cloister_journal_open") == 1.0);
    let told = Instant::now();
    gateway.process().signal("TERM");
    let answer = Answer::read(asking.await.unwrap().unwrap()).await;
    assert_eq!(answer.text(), "slow");
    assert!(gateway.process().wait().success());
    assert!(told.elapsed() < Duration::from_secs(4), "it does not wait for its whole grace");
    let said = gateway.process().said();
    assert!(!said.contains("WARN"), "and nothing that runs beside requests had to be broken off: {said}");
    let records = crate::harness::Records::query(gateway.log(), &[]);
    assert_eq!(records.of(&answer.request_id())["end"], "complete");
    let records = crate::harness::Records::query(gateway.log(), &["--all"]);
    assert!(records.all().iter().any(|record| record["kind"] == "log.closed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stall_are_cut_and_on_record() {
    let gateway = Gateway::test().guard("{ head: 300ms, idle: 300ms }").start().await;
    let answer = crate::harness::raw(gateway.address, b"GET /orders/1 HTTP/1.1\r\nHost: acme.exam").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    gateway.eventually("it is on record", || {
        gateway.records(&["--reason", "request.malformed.timeout"]).finals().len() == 1
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_one_address_may_have_are_turned_away() {
    let gateway = Gateway::test().guard("{ connections_per_ip: 3 }").start().await;
    let held: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(gateway.address).unwrap()).collect();
    gateway.eventually("three connections are open", || gateway.metric("cloister_connections") >= 3.0);
    let refused = crate::harness::raw(gateway.address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(!refused.starts_with("HTTP/1.1 4"), "{refused}");
    assert!(gateway.metric("cloister_connections_refused_total") >= 1.0);
    drop(held);
    gateway.eventually("there is room again", || gateway.metric("cloister_connections") == 0.0);
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
}

/// A small file system of its own, which can be filled.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Nothing if this user may not mount.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(folder.path()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_service_with_503_and_room_brings_it_back_without_a_restart() {
    // To fill a disk one must have one of one's own; who may not mount sees this promise kept in the part `audit`.
    let Some(disk) = SmallDisk::mount() else { return };
    let gateway = Setup::default().audit(&disk.0.path().join("audit")).start().await;
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    let ballast = disk.0.path().join("ballast");
    drop(Command::new("dd").args(["if=/dev/zero", "bs=1M"]).arg(format!("of={}", ballast.display())).output());
    let token = gateway.token("acme", "ada", &["clerk"]);
    let deadline = Instant::now() + Duration::from_secs(60);
    let answer = loop {
        let answer = gateway.send(gateway.request("POST", "acme", "/strict/1").bearer_auth(&token).body("x")).await;
        if answer.status != 200 {
            break answer;
        }
        assert!(Instant::now() < deadline, "a full disk is never noticed");
    };
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"));
    gateway.eventually("it is not ready", || gateway.admin("/readyz").0 == 503);
    assert!(gateway.admin("/readyz").1.contains("journal"));

    std::fs::remove_file(ballast).unwrap();

    gateway.eventually("it is ready again", || gateway.admin("/readyz").0 == 200);
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    gateway.leave_with_gaps();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_is_full_a_route_that_may_spill_serves_on_and_the_log_gets_its_records_later() {
    let Some(disk) = SmallDisk::mount() else { return };
    let routes = ["spill", "insecure_allow"].map(|word| {
        format!(
            r#"
  - id: {word}
    match: {{ host: "{{tenant}}.example.test", path: "/{word}/**" }}
    upstream: backend
    auth: {{ issuers: [main], tenant_from: [token, host] }}
    allow: {{ GET: "order:read" }}
    on_audit_failure: {word}
"#
        )
    });
    let policies = format!("{POLICIES}{}", routes.concat());
    let gateway = Setup::default().policies(&policies).audit(&disk.0.path().join("audit")).start().await;
    // Each worker makes its place in the log at its first request: later there is no room for it.
    let first = (0..40).map(|_| crate::harness::raw(gateway.address, b"GET /public/1 HTTP/1.1\r\nHost: a\r\n\r\n"));
    futures::future::join_all(first).await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let ask = async |method: &str, path: &str| {
        gateway.send(gateway.request(method, "acme", path).bearer_auth(&token).body("")).await
    };
    assert_eq!(ask("GET", "/spill/1").await.status, 200);
    let ballast = disk.0.path().join("ballast");
    drop(Command::new("dd").args(["if=/dev/zero", "bs=1M"]).arg(format!("of={}", ballast.display())).output());
    let deadline = Instant::now() + Duration::from_secs(60);
    while ask("POST", "/strict/1").await.status != 503 {
        assert!(Instant::now() < deadline, "a full disk is never noticed");
    }
    let mut served = Vec::new();
    for _ in 0..20 {
        for path in ["/spill/1", "/insecure_allow/1"] {
            let answer = ask("GET", path).await;
            assert_eq!(answer.status, 200, "{path}");
            served.push(answer.request_id());
        }
        assert_eq!(ask("GET", "/orders/1").await.status, 503, "a route that says nothing is closed");
    }
    assert!(gateway.metric("cloister_journal_spilled_total") >= 40.0);
    assert_eq!(gateway.admin("/readyz").0, 503, "whoever balances load may still go elsewhere");

    std::fs::remove_file(ballast).unwrap();

    gateway.eventually("it is ready again", || gateway.admin("/readyz").0 == 200);
    let records = gateway.records(&["--all"]);
    for id in &served {
        assert_eq!(records.of(id)["status"], 200);
    }
    assert_eq!(gateway.metric("cloister_journal_unrecorded_total"), 0.0, "there was room for all of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_that_is_on_its_way_says_that_its_connection_ends() {
    let mut gateway = Gateway::test().shutdown("idle: 2s").start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let (mut busy, mut idle, mut silent) = (Kept::connect(&gateway), Kept::connect(&gateway), Kept::connect(&gateway));
    for kept in [&mut busy, &mut idle] {
        kept.ask(&token, "/orders/1");
        assert!(kept.answer().contains("connection: keep-alive"));
    }
    busy.ask(&token, "/orders/slow");
    gateway.eventually("the request is in flight", || gateway.metric("cloister_journal_open") == 1.0);
    gateway.process().signal("TERM");
    gateway.process().await_line(|line| line["message"] == "draining");
    let answer = busy.answer();
    assert!(answer.starts_with("http/1.1 200") && answer.contains("connection: close"), "{answer}");
    assert!(busy.has_ended());
    idle.ask(&token, "/orders/2");
    let answer = idle.answer();
    assert!(answer.starts_with("http/1.1 200") && answer.contains("connection: close"), "a last one: {answer}");
    assert!(idle.has_ended() && silent.has_ended());
    assert!(gateway.process().wait().success());
    assert_eq!(crate::harness::Records::query(gateway.log(), &[]).finals().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_it_leaves_before_it_stops_to_listen() {
    let mut gateway = Gateway::test().shutdown("delay: 2s").start().await;
    gateway.process().signal("TERM");
    gateway.eventually("it is not ready", || gateway.admin("/readyz").0 == 503);
    assert!(gateway.admin("/readyz").1.contains("told to end"));
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200, "it serves those who come all the same");
    gateway.process().signal("HUP"); // changes nothing
    gateway.process().await_line(|line| line["message"] == "draining");
    assert!(gateway.process().wait().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlasts_the_grace_is_cut_and_its_record_says_so() {
    for signals in [1, 2] {
        let grace = if signals == 1 { "grace: 300ms" } else { "grace: 60s" };
        let mut gateway = Gateway::test().shutdown(grace).start().await;
        let token = gateway.token("acme", "ada", &["viewer"]);
        let mut kept = Kept::connect(&gateway);
        kept.ask(&token, "/orders/hangs");
        gateway.eventually("the request is in flight", || gateway.metric("cloister_journal_open") == 1.0);
        gateway.process().signal("TERM");
        gateway.process().await_line(|line| line["message"] == "draining");
        if signals == 2 {
            gateway.process().signal("TERM");
        }
        assert_eq!(kept.answer(), "", "it was cut");
        assert_eq!(gateway.process().wait().code(), Some(3), "the grace did not suffice");
        let records = crate::harness::Records::query(gateway.log(), &[]);
        let finals = records.finals();
        let [record] = finals.as_slice() else { panic!("one request: {finals:?}") };
        assert_eq!((&record["end"], &record["reason"]), (&"shutdown".into(), &"allowed".into()));
        assert_eq!(record["attempts"], 1, "how far it came: {record}");
        assert_eq!(crate::harness::verify(gateway.log()).0, 0);
    }
}
