use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::super::crash::{accounted_for, ask};
use crate::harness::{Gateway, verify};

/// Every round it is loaded on both kinds of routes and killed in the middle. In the end everything that any client ever saw is
/// on record, once.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_times_killed_it_has_lost_no_answer_that_a_client_saw() {
    let mut gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let mut all: HashSet<String> = HashSet::new();
    for round in 0..50_u64 {
        let (seen, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let clients: Vec<_> = ["/orders/1", "/orders/2", "/strict/1", "/nowhere"]
            .into_iter()
            .map(|path| {
                let (seen, stop, token, address) =
                    (Arc::clone(&seen), Arc::clone(&stop), token.clone(), gateway.address);
                std::thread::spawn(move || ask(address, &token, path, &seen, &stop))
            })
            .collect();
        let wanted = 40 + round * 37 % 400; // each time at another moment
        gateway.eventually("it is loaded", || seen.load(Ordering::Relaxed) >= wanted);
        gateway.process().signal("KILL");
        gateway.process().wait();
        stop.store(true, Ordering::Relaxed);
        all.extend(clients.into_iter().flat_map(|client| client.join().unwrap()));
        gateway.start_again();
    }
    assert!(all.len() > 5_000, "{}", all.len());
    let records = gateway.records(&["--all"]);
    let mut finals: HashMap<&str, u64> = HashMap::new();
    records.finals().iter().for_each(|record| *finals.entry(record["id"].as_str().unwrap()).or_default() += 1);
    let lost: Vec<_> = all.iter().filter(|id| finals.get(id.as_str()) != Some(&1)).collect();
    assert_eq!(lost, Vec::<&String>::new());
    assert!(finals.values().all(|count| *count == 1));
    let recovered = records.all().iter().filter(|record| record["kind"] == "log.recovered").count();
    assert_eq!(recovered, 50);
    let (code, report) = verify(gateway.log());
    assert_eq!(code, 0, "{report}");
    assert_eq!(accounted_for(&report), 50, "{report}");
}

/// The disk fails under it: `fdatasync` says so, some times and then never again. After a failed sync nobody knows what the disk
/// holds, so that segment is not gone on with; nobody is served meanwhile, and nothing that was answered is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_to_sync_stops_service_and_loses_nothing() {
    let mut gateway = Gateway::test().start().await;
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    let mut command = Command::new("strace");
    command.args([
        "-D",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync",
        "-e",
        "inject=fdatasync:error=EIO:when=12..16",
    ]);
    gateway.start_again_by(command);
    gateway.has_started_again();
    let mut answers: HashMap<u16, u64> = HashMap::new();
    let token = gateway.token("acme", "ada", &["clerk"]);
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    // Until it was refused, and serves again.
    while !answers.contains_key(&503) || answers.get(&200).is_none_or(|count| *count < 40) {
        assert!(std::time::Instant::now() < deadline, "{answers:?}");
        let answer = gateway.send(gateway.request("GET", "acme", "/strict/1").bearer_auth(&token)).await;
        *answers.entry(answer.status).or_default() += 1;
    }
    assert!(gateway.said().contains("Input/output error"), "{}", gateway.said());
    // What could not be brought to disk was written anew: who has read it meanwhile does not take the log for a changed one.
    let served = gateway.metric("cloister_journal_records_total");
    gateway.eventually("a checkpoint is signed for what came after", || {
        gateway.metric("cloister_checkpoint_records") >= served
    });
    let answer = gateway.send(gateway.request("GET", "acme", "/strict/1").bearer_auth(&token)).await;
    assert_eq!(answer.status, 200);
    let records = gateway.records(&["--all"]);
    let gaps: Vec<_> = records.all().iter().filter(|record| record["kind"] == "log.gap").collect();
    assert!(gaps.iter().any(|gap| gap["why"].to_string().contains("Input/output error")), "{gaps:?}");
    assert!(records.all().iter().any(|record| record["reason"] == "audit.unavailable"));
    let segments = std::fs::read_dir(gateway.log().join("segments")).unwrap().count();
    assert!(segments >= 2, "the segment that failed was gone on with");
    // Its end counts: an answer for each request, and a record for each answer.
}
