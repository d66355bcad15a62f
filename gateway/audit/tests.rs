//! What the part promises, shown on real files.

mod accounts;
mod chains;
mod classes;
mod crash;
mod damage;
mod fault;
mod handover;
mod index;
mod process;
mod promise;
mod strict;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;
use terms::{IssuerId, ManualClock, Reason, RequestId, RouteId, TenantId, UpstreamId};

use crate::*;

static TENANT: LazyLock<TenantId> = LazyLock::new(|| "acme".parse().unwrap());
static ISSUER: LazyLock<IssuerId> = LazyLock::new(|| "main".parse().unwrap());
static ROUTE: LazyLock<RouteId> = LazyLock::new(|| "invoices".parse().unwrap());
static UPSTREAM: LazyLock<UpstreamId> = LazyLock::new(|| "billing".parse().unwrap());

/// Small, so that rings wrap, slots run out and segments roll within a test.
fn settings(directory: &Path) -> Settings {
    Settings {
        segment_bytes: 65_536,
        ring_bytes: 65_536,
        in_flight: 16,
        threads: 32,
        commit_interval: Duration::from_millis(2),
        retry: Duration::from_millis(20),
        ..Settings::new(directory.join("audit"), "edge-1".into())
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(1_790_000_000))
}

fn open(folder: &TempDir) -> (Arc<Journal>, Committer) {
    Journal::open(settings(folder.path()), clock()).unwrap()
}

fn start(committer: Committer) -> JoinHandle<Result<(), NotClosed>> {
    thread::spawn(|| committer.run())
}

fn at() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_790_000_000_123)
}

fn id(n: u64) -> RequestId {
    RequestId::new(1_790_000_000_123, u128::from(n))
}

fn entry(n: u64) -> Entry<'static> {
    Entry {
        tenant: Some(&TENANT),
        issuer: Some(&ISSUER),
        client: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 77))),
        method: Some("GET"),
        host: Some("acme.app.example.com"),
        protocol: Some(Protocol::Http11),
        route: Some(&ROUTE),
        rule: Some("billing_reader"),
        policy: Some(Digest::from([0xab; 32])),
        upstream: Some(&UPSTREAM),
        deciding: Some(Duration::from_micros(4)),
        trace: Some(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
        ..Entry::new(id(n), at(), Decision::Allow, Reason::Allowed)
    }
}

fn refusal(n: u64) -> Entry<'static> {
    Entry { method: Some("GET"), ..Entry::new(id(n), at(), Decision::Deny, Reason::AuthMissing) }
}

fn outcome() -> Outcome {
    Outcome { status: Some(200), attempts: 1, bytes_out: 512, took: Duration::from_millis(7), ..Outcome::default() }
}

fn records(folder: &TempDir) -> Vec<Value> {
    Reader::open(&folder.path().join("audit"))
        .unwrap()
        .map(|stored| serde_json::from_slice(&stored.unwrap().json).unwrap())
        .collect()
}

/// The numbers of the requests with a final record, and how each ended.
fn finals(folder: &TempDir) -> Vec<(u64, String)> {
    let finals = records(folder).into_iter().filter(|record| record["stage"] == "final");
    let mut finals: Vec<_> = finals
        .map(|record| {
            let id: RequestId = record["id"].as_str().unwrap().parse().unwrap();
            let n = u64::try_from(id.as_u128() & u128::from(u64::MAX)).unwrap();
            (n, record["end"].as_str().unwrap().to_owned())
        })
        .collect();
    finals.sort();
    finals
}

fn verified(folder: &TempDir) -> Report {
    let report = verify(&folder.path().join("audit")).unwrap();
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    report
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..5_000 {
        if is() {
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
    panic!("never came: {what}");
}
