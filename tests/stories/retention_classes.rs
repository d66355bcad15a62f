//! Tenants whose records are kept for different times: each class has a log of its own, and none loses a record.

mod disk;
mod reading;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;

use super::crash::{accounted_for, ask_as};
use super::retention::written_days_ago;
use crate::harness::{Gateway, POLICIES, Records, Setup, run, verify};

const CLASSES: &str = "retention: { keep: 5d, classes: { r6y: { keep: 2190d, disk: 1GiB, plans: [gold] } } }";

/// A gateway with two classes, in the second of which `globex` is.
fn in_two_classes() -> Setup {
    Gateway::test().audit_settings(CLASSES).policies(&of_globex("retention: r6y"))
}

/// The policies, with something more about `globex`.
fn of_globex(more: &str) -> String {
    POLICIES.replace("globex: { status: active }", &format!("globex: {{ status: active, {more} }}"))
}

fn of_class(gateway: &Gateway) -> PathBuf {
    gateway.log().join("classes/r6y")
}

/// What one log alone has: the ids of final records, by their tenant.
fn finals(log: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let log_text = log.display().to_string();
    let class = if log.ends_with("r6y") { "r6y" } else { "default" };
    let log_text = if class == "default" { log_text } else { log.ancestors().nth(2).unwrap().display().to_string() };
    let (code, out, err) =
        run(&["audit", "query", "--dir", &log_text, "--class", class, "--format", "json", "--limit", "all"], log);
    assert_eq!(code, 0, "{err}");
    let mut finals = BTreeMap::<String, BTreeSet<String>>::new();
    for line in out.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let (tenant, id) = (record["tenant"].as_str().unwrap_or("-"), record["id"].as_str().unwrap());
        assert!(finals.entry(tenant.into()).or_default().insert(id.into()), "{id} twice");
    }
    finals
}

/// Clients of both tenants, who ask until they are told to stop or nobody answers.
struct Load {
    clients: Vec<(&'static str, JoinHandle<Vec<String>>)>,
    seen: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Load {
    fn start(gateway: &Gateway) -> Self {
        let (seen, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let client = |tenant: &'static str, path: &'static str| {
            let (seen, stop, address) = (Arc::clone(&seen), Arc::clone(&stop), gateway.address);
            let token = gateway.token(tenant, "ada", &["clerk"]);
            let ask = move || ask_until(tenant, address, &token, path, &seen, &stop);
            (tenant, std::thread::spawn(ask))
        };
        let clients = vec![
            client("acme", "/orders/1"),
            client("acme", "/strict/1"),
            client("globex", "/orders/1"),
            client("globex", "/strict/1"),
        ];
        Self { clients, seen, stop }
    }

    fn goes_on(&self, gateway: &Gateway, requests: u64) {
        let wanted = self.seen.load(Ordering::Relaxed) + requests;
        gateway.eventually("the load goes on", || self.seen.load(Ordering::Relaxed) >= wanted);
    }

    /// The answers that each tenant has seen.
    fn end(self) -> BTreeMap<&'static str, BTreeSet<String>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = BTreeMap::<_, BTreeSet<String>>::new();
        for (tenant, client) in self.clients {
            seen.entry(tenant).or_default().extend(client.join().unwrap());
        }
        seen
    }
}

/// On one connection after the other.
fn ask_until(
    tenant: &str,
    address: SocketAddr,
    token: &str,
    path: &str,
    seen: &AtomicU64,
    stop: &AtomicBool,
) -> Vec<String> {
    let mut all = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let ids = ask_as(tenant, address, token, path, seen, stop);
        if ids.is_empty() {
            std::thread::yield_now();
        }
        all.extend(ids);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn each_class_has_its_own_log_which_loses_nothing_when_the_gateway_is_killed() {
    let mut gateway = in_two_classes().start().await;
    let mut seen = BTreeMap::<&str, BTreeSet<String>>::new();
    for _ in 0..3 {
        let load = Load::start(&gateway);
        load.goes_on(&gateway, 400);
        gateway.process().signal("KILL");
        gateway.process().wait();
        for (tenant, ids) in load.end() {
            seen.entry(tenant).or_default().extend(ids);
        }
        gateway.start_again();
    }
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let (first, second) = (finals(gateway.log()), finals(&of_class(&gateway)));
    assert!(seen["acme"].is_subset(&first["acme"]) && seen["globex"].is_subset(&second["globex"]));
    assert!(!first.contains_key("globex") && second.keys().eq(["globex"]), "{:?} {:?}", first.keys(), second.keys());
    let (_, report) = verify(gateway.log());
    for log in report["logs"].as_array().unwrap() {
        assert_eq!(accounted_for(log), 3, "{log}");
    }
    // What others have to believe is the same for both: name, key, checkpoint, and a chain without a gap.
    let config = gateway.folder.path().join("cloister.yaml").display().to_string();
    let (code, said, err) = run(&["audit", "verify", "--config", &config, "--complete"], gateway.folder.path());
    assert_eq!(code, 0, "{said}{err}");
    for words in ["retention class default", "retention class r6y", "records in all"] {
        assert!(said.contains(words), "{said}");
    }
    let (_, trust, _) = run(&["audit", "trust", "--config", &config], gateway.folder.path());
    let logs: Vec<_> = trust.lines().filter(|line| line.starts_with("log ")).collect();
    assert!(logs.len() == 2 && logs[1].contains("/r6y+"), "{trust}");
    // A change in one of them is found, wherever it is, and the other is looked at all the same.
    let segment = std::fs::read_dir(of_class(&gateway).join("segments")).unwrap().next().unwrap().unwrap().path();
    let good = std::fs::read(&segment).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(&segment, &bad).unwrap();
    let (code, report) = verify(gateway.log());
    assert!(code == 20 && report["logs"][0]["ok"] == true && report["logs"][1]["ok"] == false, "{code} {report}");
    std::fs::write(&segment, &good).unwrap();
    gateway.start_again();
    gateway.leave_with_gaps();
}

#[tokio::test(flavor = "multi_thread")]
async fn records_go_when_the_time_of_their_class_is_over_and_not_before() {
    let mut gateway = in_two_classes().start().await;
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    std::fs::remove_dir_all(gateway.log()).unwrap();
    for days in [10, 8, 2] {
        written_days_ago(gateway.log(), days, "acme");
        written_days_ago(&of_class(&gateway), days, "globex");
    }
    gateway.start_again();
    gateway.eventually("old records go", || gateway.metric("cloister_audit_pruned_records_total") > 1_000.0);
    gateway.eventually("both were read again", || {
        let (_, metrics) = gateway.admin("/metrics");
        ["default", "r6y"].iter().all(|log| {
            let line = format!("cloister_audit_reread_records{{class=\"{log}\"}} ");
            metrics.lines().any(|it| it.strip_prefix(&line).is_some_and(|records| records.parse() != Ok(0.0)))
        })
    });
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    assert_eq!(gateway.get("globex", "/orders/1").await.status, 200);
    gateway.eventually("all is on disk", || gateway.metric("cloister_journal_pending_bytes") == 0.0);
    let (first, second) = (finals(gateway.log()), finals(&of_class(&gateway)));
    assert!((600..1_100).contains(&first["acme"].len()), "{}", first["acme"].len());
    assert_eq!(second["globex"].len(), 1_801);
    gateway.leave_with_gaps();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_changes_its_class_under_load_loses_no_record() {
    let gateway = in_two_classes().start().await;
    let load = Load::start(&gateway);
    for more in ["retention: default", "plan: gold", "plan: silver", "retention: r6y"] {
        load.goes_on(&gateway, 200);
        gateway.reload(&of_globex(more));
    }
    load.goes_on(&gateway, 200);
    let seen = load.end();
    gateway.eventually("nothing is under way", || {
        gateway.metric("cloister_journal_open") == 0.0
            && gateway.metric("cloister_journal_pending_bytes") == 0.0
            && gateway.metric("cloister_requests_total") == gateway.metric("cloister_journal_records_total")
    });
    let (first, second) = (finals(gateway.log()), finals(&of_class(&gateway)));
    assert!(first["globex"].is_disjoint(&second["globex"]));
    assert!(!first["globex"].is_empty() && !second["globex"].is_empty());
    let both: BTreeSet<_> = first["globex"].union(&second["globex"]).cloned().collect();
    assert!(seen["globex"].is_subset(&both) && seen["acme"].is_subset(&first["acme"]));
    // A report has what either has, each with its own proof.
    let config = gateway.folder.path().join("cloister.yaml").display().to_string();
    let out = gateway.folder.path().join("report");
    let folder = out.display().to_string();
    let arguments = ["audit", "report", "--config", &config, "--tenant", "globex", "--from", "-1h", "--out", &folder];
    let (code, said, err) = run(&arguments, gateway.folder.path());
    assert_eq!(code, 0, "{said}{err}");
    let (_, trust, _) = run(&["audit", "trust", "--config", &config], gateway.folder.path());
    let policy = gateway.folder.path().join("policy").display().to_string();
    std::fs::write(&policy, trust).unwrap();
    for class in ["default", "r6y"] {
        let bundle = out.join(class).display().to_string();
        let (code, said, err) =
            run(&["audit", "verify", "--bundle", &bundle, "--policy", &policy], gateway.folder.path());
        assert_eq!(code, 0, "{said}{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_logs_go_from_one_process_to_the_next_while_both_serve() {
    let mut gateway = in_two_classes().start().await;
    let load = Load::start(&gateway);
    for _ in 0..2 {
        load.goes_on(&gateway, 200);
        let mut before = gateway.upgrade();
        assert!(before.wait().success(), "{}", before.said());
    }
    load.goes_on(&gateway, 200);
    let seen = load.end();
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let (first, second) = (finals(gateway.log()), finals(&of_class(&gateway)));
    assert!(seen["acme"].is_subset(&first["acme"]) && seen["globex"].is_subset(&second["globex"]));
    let (code, report) = verify(gateway.log());
    assert_eq!(code, 0, "{report}");
    for log in report["logs"].as_array().unwrap() {
        let runs = log["runs"].as_array().unwrap();
        assert!(runs.len() == 3 && runs[2]["ended"] == "closed", "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_nobody_names_any_more_leaves_no_log_behind_in_silence() {
    let mut gateway = in_two_classes().start().await;
    assert_eq!(gateway.get("globex", "/orders/1").await.status, 200);
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let config = gateway.folder.path().join("cloister.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace(CLASSES, "retention: { keep: 5d }")).unwrap();
    std::fs::write(gateway.folder.path().join("policies/policy.yaml"), POLICIES).unwrap();
    let policies = gateway.folder.path().join("policies").display().to_string();
    let start = ["run", "--config", &config.display().to_string(), "--policies", &policies];
    let (code, _, err) = run(&start, gateway.folder.path());
    assert!(code == 2 && err.contains("retention class `r6y`"), "{code} {err}");
    // What it has can be read and shown all the same.
    assert_eq!(finals(&of_class(&gateway))["globex"].len(), 1);
    assert_eq!(verify(gateway.log()).0, 0);
    std::fs::write(&config, text).unwrap();
    gateway.start_again();
    gateway.leave_with_gaps();
}

/// An installation that has one log goes on with it: as the default one, beside that of the class.
#[tokio::test(flavor = "multi_thread")]
async fn a_class_is_added_to_a_gateway_that_had_none_while_it_serves() {
    let mut gateway = Gateway::test().audit_settings("retention: { keep: 5d }").start().await;
    let load = Load::start(&gateway);
    load.goes_on(&gateway, 200);
    let config = gateway.folder.path().join("cloister.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("retention: { keep: 5d }", CLASSES)).unwrap();
    // Its policies are those of the process that comes: the one that runs knows no such class, and keeps the last good ones.
    gateway.reload(&of_globex("retention: r6y"));
    let mut before = gateway.upgrade();
    assert!(before.wait().success(), "{}", before.said());
    load.goes_on(&gateway, 200);
    let seen = load.end();
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let (first, second) = (finals(gateway.log()), finals(&of_class(&gateway)));
    assert!(!first["globex"].is_empty() && !second["globex"].is_empty() && !second.contains_key("acme"));
    assert!(first["globex"].is_disjoint(&second["globex"]));
    let both: BTreeSet<_> = first["globex"].union(&second["globex"]).cloned().collect();
    assert!(seen["globex"].is_subset(&both) && seen["acme"].is_subset(&first["acme"]));
    let (code, report) = verify(gateway.log());
    assert_eq!(code, 0, "{report}");
    for log in report["logs"].as_array().unwrap() {
        let last = log["runs"].as_array().unwrap().last().unwrap();
        assert_eq!(last["requests"], last["finals"], "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_backends_say_of_a_tenant_is_in_the_log_of_its_class() {
    let events = r#"events: [{ backend: billing, token: "${env:BILLING_EVENTS}" }]"#;
    let setup = in_two_classes().audit_settings(&format!("{CLASSES}, {events}"));
    let gateway = setup.environment("BILLING_EVENTS", "billing-token-billing-token-0001").start().await;
    for (tenant, class, other) in [("acme", "default", "r6y"), ("globex", "r6y", "default")] {
        let event = serde_json::json!({ "tenant": tenant, "user": "ada", "issuer": "main", "action": "invoice.export",
                                        "status": "success" });
        let asked = reqwest::Client::new().post(format!("http://{}/audit/events", gateway.admin));
        let asked = asked.bearer_auth("billing-token-billing-token-0001").json(&event);
        assert_eq!(asked.send().await.unwrap().status(), 201);
        // No waiting: it is there, on disk.
        let of =
            |class: &str| Records::query(gateway.log(), &["--kind", "event", "--tenant", tenant, "--class", class]);
        assert_eq!((of(class).all().len(), of(other).all().len()), (1, 0), "{tenant}");
    }
}
