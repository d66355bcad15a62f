//! Measures the log against its budgets: `cargo run --profile bench -p audit --example measure -- [folder]`.
#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use audit::{Decision, Digest, Entry, Journal, Outcome, Protocol, Query, Settings, verify};
use terms::{Clock, Reason, RequestId, SystemClock};

const RECORDS: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = parent.join(format!("cloister-audit-{}", std::process::id()));
    let measured = measure(&folder);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path) -> Result<(), Box<dyn Error>> {
    let settings = Settings { ring_bytes: 1 << 30, ..Settings::new(folder.to_owned(), "edge-1".into()) };
    let (journal, committer) = Journal::open(settings.clone(), Arc::new(SystemClock))?;
    let (tenant, issuer) = ("acme".parse()?, "main".parse()?);
    let (route, upstream, subject) = ("invoices".parse()?, "billing".parse()?, "user-1".parse()?);
    let at = SystemClock.now();

    let started = Instant::now();
    for _ in 0..100_000 {
        std::hint::black_box(journal.pseudonym(&issuer, std::hint::black_box(&subject)));
    }
    println!("pseudonym                  {:>9.0} ns", started.elapsed().as_secs_f64() * 1e4);

    let entry = |n: u64| Entry {
        tenant: Some(&tenant),
        subject: None,
        issuer: Some(&issuer),
        client: Some([203, 0, 113, 7].into()),
        method: Some("GET"),
        host: Some("acme.app.example.com"),
        protocol: Some(Protocol::Http11),
        route: Some(&route),
        rule: Some("billing_reader"),
        policy: Some(Digest::from([7; 32])),
        upstream: Some(&upstream),
        deciding: Some(Duration::from_micros(4)),
        trace: Some(1 << 100),
        ..Entry::new(RequestId::new(1, u128::from(n)), at, Decision::Allow, Reason::Allowed)
    };
    let outcome = Outcome {
        status: Some(200),
        attempts: 1,
        bytes_out: 512,
        took: Duration::from_millis(3),
        ..Outcome::default()
    };
    let (mut all, mut best) = (Duration::ZERO, Duration::MAX);
    for batch in 0..RECORDS / 500 {
        let started = Instant::now();
        for n in batch * 500..(batch + 1) * 500 {
            journal.begin(&entry(n))?.finish(&outcome);
        }
        all += started.elapsed();
        best = best.min(started.elapsed());
    }
    println!("begin + finish, new pages  {:>9.0} ns", all.as_secs_f64() * 1e9 / RECORDS as f64);
    println!("begin + finish, quiet      {:>9.0} ns", best.as_secs_f64() * 1e9 / 500.0);
    journal.close();
    let started = Instant::now();
    committer.run()?;
    let took = started.elapsed().as_secs_f64();
    println!("committer, synced          {:>9.0} records/s", RECORDS as f64 / took);
    drop(journal);

    let started = Instant::now();
    let report = verify(folder)?;
    println!("verify {} records     {:>9.2} s", report.records, started.elapsed().as_secs_f64());
    let started = Instant::now();
    let query = Query { status: Some(404), ..Query::default() };
    println!("query, {} found             {:>9.2} s", query.run(folder)?.count(), started.elapsed().as_secs_f64());

    // As it runs: the usual ring, which wraps, and the committer beside it.
    let settings = Settings::new(folder.to_owned(), "edge-1".into());
    let started = Instant::now();
    let (journal, committer) = Journal::open(settings, Arc::new(SystemClock))?;
    println!("open                       {:>9.2} s", started.elapsed().as_secs_f64());
    let committing = thread::spawn(|| committer.run());
    let (mut busy, mut refused) = (Duration::ZERO, 0_u64);
    for round in 0..500 {
        let started = Instant::now();
        for n in 0..400 {
            match journal.begin(&entry(RECORDS * 2 + round * 400 + n)) {
                Ok(open) => open.finish(&outcome),
                Err(_) => refused += 1,
            }
        }
        busy += started.elapsed();
        thread::sleep(Duration::from_millis(4)); // 100,000 a second
    }
    println!("begin + finish, 100,000/s  {:>9.0} ns, {refused} refused", busy.as_secs_f64() * 1e9 / 200_000.0);
    journal.flush_and_close(Duration::from_secs(60))?;
    committing.join().map_err(|_| "the committer panicked")??;
    println!("{:#?}", journal.stats());
    let bytes: u64 = std::fs::read_dir(folder.join("segments"))?
        .map(|file| file.and_then(|file| file.metadata()).map_or(0, |file| file.len()))
        .sum();
    println!("bytes per record           {:>9.0}", bytes as f64 / journal.stats().records as f64);
    Ok(())
}
