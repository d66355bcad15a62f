//! Measures the index and the queries that it serves: `cargo run --profile bench -p audit --example measure_index -- <folder>
//! <records>`. A log of 10 million records takes 6 GB.
#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use audit::{Decision, Digest, Entry, Indexer, Journal, Order, Outcome, Protocol, Query, Settings};
use terms::{Clock, IssuerId, Reason, RequestId, RouteId, SystemClock, TenantId, UpstreamId};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let records = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let folder = parent.join(format!("cloister-index-{}", std::process::id()));
    let measured = generate(&folder, records).and_then(|()| measure(&folder, records));
    fs::remove_dir_all(&folder)?;
    measured
}

/// One of three requests is of one tenant, the others of a thousand; 100,000 subjects; one tenant in a million.
fn generate(folder: &Path, records: u64) -> Result<(), Box<dyn Error>> {
    let settings = Settings { ring_bytes: 64 << 20, ..Settings::new(folder.to_owned(), "edge-1".into()) };
    let (journal, committer) = Journal::open(settings, Arc::new(SystemClock))?;
    let committing = thread::spawn(|| committer.run());
    let tenants = (0..1_000).map(|n| format!("tenant-{n}").parse()).collect::<Result<Vec<TenantId>, _>>()?;
    let (frequent, rare): (TenantId, TenantId) = ("frequent".parse()?, "rare".parse()?);
    let routes = (0..50).map(|n| format!("route-{n}").parse()).collect::<Result<Vec<RouteId>, _>>()?;
    let (issuer, upstream): (IssuerId, UpstreamId) = ("main".parse()?, "billing".parse()?);
    let subjects = (0..100_000).map(|n| Ok(journal.pseudonym(&issuer, &format!("user-{n}").parse()?)));
    let subjects = subjects.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let lone = journal.pseudonym(&issuer, &"lone".parse()?);
    let start = SystemClock.now() - Duration::from_secs(86_400 * 30);
    for n in 0..records {
        let chance = usize::try_from(fastrand::u32(..))?;
        let tenant = match n % 1_000_000 {
            500_000 => &rare,
            _ if n % 3 == 0 => &frequent,
            _ => tenants.get(chance % 1_000).ok_or("no tenant")?,
        };
        let subject =
            if n % 1_000_000 == 250_000 { lone } else { *subjects.get(chance % 100_000).ok_or("no subject")? };
        let denied = chance.is_multiple_of(97);
        let at = start + Duration::from_millis(n);
        let entry = Entry {
            tenant: Some(tenant),
            subject: Some(subject),
            issuer: Some(&issuer),
            client: Some([203, 0, 113, 7].into()),
            method: Some("GET"),
            host: Some("acme.app.example.com"),
            protocol: Some(Protocol::Http11),
            route: routes.get(chance % 50),
            rule: Some("billing_reader"),
            policy: Some(Digest::from([7; 32])),
            upstream: Some(&upstream),
            deciding: Some(Duration::from_micros(4)),
            trace: Some(1 << 100),
            ..Entry::new(
                RequestId::new(u64::try_from(at.duration_since(std::time::UNIX_EPOCH)?.as_millis())?, u128::from(n)),
                at,
                if denied { Decision::Deny } else { Decision::Allow },
                if denied { Reason::PolicyDenied } else { Reason::Allowed },
            )
        };
        let outcome = Outcome {
            status: Some(if denied { 403 } else { 200 }),
            attempts: 1,
            bytes_out: 512,
            took: Duration::from_millis(3),
            ..Outcome::default()
        };
        loop {
            if let Ok(open) = journal.begin(&entry) {
                open.finish(&outcome);
                break;
            }
            thread::sleep(Duration::from_millis(1)); // the committer is behind
        }
    }
    journal.flush_and_close(Duration::from_secs(60))?;
    committing.join().map_err(|_| "the committer panicked")??;
    Ok(())
}

fn measure(folder: &Path, records: u64) -> Result<(), Box<dyn Error>> {
    let size = |of: &str| -> std::io::Result<u64> {
        fs::read_dir(folder.join(of))?.map(|file| Ok(file?.metadata()?.len())).sum()
    };
    let ask = |what: &str, query: Query| -> Result<(), Box<dyn Error>> {
        let started = Instant::now();
        let mut matches = query.run(folder)?;
        let mut found = 0;
        for stored in matches.by_ref() {
            stored?;
            found += 1;
        }
        println!("{what:<40} {found:>9} found {:>9.3} s  {:?}", started.elapsed().as_secs_f64(), matches.reach());
        Ok(())
    };
    println!("{records} records, {} MB", size("segments")? / 1_000_000);
    ask("rare tenant, without an index", Query { tenant: Some("rare".parse()?), ..Query::default() })?;
    let started = Instant::now();
    let mut indexer = Indexer::open(folder)?;
    for first in indexer.wanted()? {
        indexer.make(first)?;
    }
    let took = started.elapsed().as_secs_f64();
    let bytes = size("index")?;
    println!("index: {took:.1} s, {} MB, {:.1} bytes per record", bytes / 1_000_000, bytes as f64 / records as f64);
    let latest = || Query { order: Order::Latest, limit: Some(100), ..Query::default() };
    let middle = SystemClock.now() - Duration::from_secs(86_400 * 30) + Duration::from_millis(records / 2);
    for round in ["once", "again"] {
        println!("{round}:");
        ask("rare tenant", Query { tenant: Some("rare".parse()?), ..Query::default() })?;
        ask("rare subject", Query { subject: Some("lone".parse()?), ..Query::default() })?;
        ask("a subject of 100,000", Query { subject: Some("user-7".parse()?), ..Query::default() })?;
        ask("frequent tenant, the latest 100", Query { tenant: Some("frequent".parse()?), ..latest() })?;
        ask("a tenant of 1,000, the latest 100", Query { tenant: Some("tenant-7".parse()?), ..latest() })?;
        let few = Query { tenant: Some("tenant-7".parse()?), reason: Some(Reason::PolicyDenied), ..Query::default() };
        ask("a tenant and a reason", few)?;
        ask("nothing like it", Query { status: Some(418), ..Query::default() })?;
        let minute = Query { from: Some(middle), to: Some(middle + Duration::from_secs(10)), ..Query::default() };
        ask("ten seconds in the middle", minute)?;
        ask("the latest 100", latest())?;
    }
    Ok(())
}
