//! What a client saw is on record, whatever happens to the process.

mod slow;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Gateway, verify};

/// As [`ask_as`], for the tenant `acme`.
pub fn ask(address: SocketAddr, token: &str, path: &str, seen: &AtomicU64, stop: &AtomicBool) -> Vec<String> {
    ask_as("acme", address, token, path, seen, stop)
}

/// Asks again and again on one connection until it breaks, and gives the ids of all answers whose head was seen.
pub fn ask_as(
    tenant: &str,
    address: SocketAddr,
    token: &str,
    path: &str,
    seen: &AtomicU64,
    stop: &AtomicBool,
) -> Vec<String> {
    let Ok(stream) = TcpStream::connect(address) else { return Vec::new() };
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {tenant}.example.test\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut ids = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if writer.write_all(request.as_bytes()).is_err() {
            return ids;
        }
        let (mut id, mut length, mut chunked) = (None, 0, false);
        loop {
            let mut line = String::new();
            if !matches!(reader.read_line(&mut line), Ok(1..)) {
                return ids;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("x-request-id: ") {
                id = Some(value.to_string());
                ids.push(value.to_string()); // its first bytes were seen: from here on it must be on record
                seen.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            chunked |= line == "transfer-encoding: chunked";
            if line.is_empty() {
                break;
            }
        }
        assert!(id.is_some(), "every answer names its request");
        if chunked {
            loop {
                let mut line = String::new();
                if !matches!(reader.read_line(&mut line), Ok(1..)) {
                    return ids;
                }
                if line == "\r\n" {
                    break;
                }
            }
        } else if reader.read_exact(&mut vec![0; length]).is_err() {
            return ids;
        }
    }
    ids
}

/// Loads the gateway from several connections, kills it with `kill -9` in the middle, starts it again, and compares.
async fn killed_in_the_middle(path: &'static str, connections: usize, requests: u64) {
    let mut gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let (seen, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..connections)
        .map(|_| {
            let (seen, stop, token, address) = (Arc::clone(&seen), Arc::clone(&stop), token.clone(), gateway.address);
            std::thread::spawn(move || ask(address, &token, path, &seen, &stop))
        })
        .collect();
    gateway.eventually_within(Duration::from_secs(120), "half of the load is done", || {
        seen.load(Ordering::Relaxed) >= requests
    });
    gateway.process().signal("KILL");
    gateway.process().wait();
    stop.store(true, Ordering::Relaxed);
    let ids: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert!(ids.len() as u64 >= requests);

    gateway.start_again();

    let records = gateway.records(&[]);
    let recorded: std::collections::HashMap<&str, usize> =
        records.finals().iter().fold(Default::default(), |mut map, record| {
            *map.entry(record["id"].as_str().unwrap()).or_default() += 1;
            map
        });
    for id in &ids {
        assert_eq!(recorded.get(id.as_str()), Some(&1), "a client saw an answer to {id}");
    }
    let (code, report) = verify(gateway.log());
    assert_eq!(code, 0, "{report}");
    assert_eq!(accounted_for(&report), 1, "{report}");
}

/// How many runs were cut off, each of which says by now that what came in is on record, or was being judged by a worker.
pub fn accounted_for(report: &Value) -> usize {
    let runs = report["runs"].as_array().unwrap();
    let cut: Vec<_> = runs.iter().filter(|run| run["ended"] == "cut off").collect();
    for run in &cut {
        let [requests, finals, unrecorded] = ["requests", "finals", "unrecorded"].map(|count| run[count].as_u64());
        assert_eq!(requests, finals.zip(unrecorded).map(|(finals, unrecorded)| finals + unrecorded), "{run}");
        assert!(unrecorded <= Some(64), "{run}");
    }
    cut.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_that_a_client_saw_before_kill_9_has_its_record() {
    killed_in_the_middle("/orders/1", 16, 20_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_a_strict_route_that_a_client_saw_before_kill_9_has_its_record() {
    killed_in_the_middle("/strict/1", 16, 500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_were_in_flight_when_it_died_are_on_record_as_interrupted() {
    let mut gateway = Gateway::test().start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let request = gateway.request("GET", "acme", "/orders/slow").bearer_auth(token);
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    let asking = tokio::spawn(request.send());
    gateway.eventually("the request is in flight", || gateway.metric("cloister_journal_open") == 1.0);
    gateway.process().signal("KILL");
    gateway.process().wait();
    assert!(asking.await.unwrap().is_err());
    gateway.start_again();
    let records = gateway.records(&[]);
    let interrupted: Vec<_> = records.finals().into_iter().filter(|record| record["end"] == "interrupted").collect();
    assert_eq!(interrupted.len(), 1);
    assert_eq!(interrupted[0]["route"], "orders");
}
