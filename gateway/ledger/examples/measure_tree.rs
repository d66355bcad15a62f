//! Measures what it takes to make the tree of a log and to verify all of it: `cargo run --profile bench -p ledger --example
//! measure_tree -- <log>`. It wants a log that has no `tlog` yet, and leaves it with one: give it a copy.
#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use audit::Reader;
use ledger::{KeyFile, Publisher, Settings};

fn main() -> Result<(), Box<dyn Error>> {
    let log = PathBuf::from(std::env::args().nth(1).ok_or("which log?")?);
    let state = tempfile::tempdir()?;
    let id = Reader::log_id(&log)?.ok_or("there is no log")?;
    let keys = KeyFile::of(state.path(), id).read_or_make(&"measured.example/log".parse()?, 0)?;

    let started = Instant::now();
    let report = audit::verify(&log)?;
    let records = report.records;
    println!("verify {records} records without a tree: {:.2} s", started.elapsed().as_secs_f64());
    assert!(report.problems.is_empty(), "{:?}", report.problems);

    let started = Instant::now();
    let mut publisher = Publisher::open(Settings { log: log.clone(), id, state: state.path().to_owned(), keys })?;
    let published = publisher.publish(records)?;
    let took = started.elapsed();
    println!(
        "tree of {}: {:.2} s, {:.0} records/s",
        published.size,
        took.as_secs_f64(),
        records as f64 / took.as_secs_f64()
    );

    let started = Instant::now();
    let report = audit::verify(&log)?;
    let checked = ledger::check(&log, None)?;
    println!("verify {records} records with the tree: {:.2} s", started.elapsed().as_secs_f64());
    assert!(report.problems.is_empty() && checked.differences.is_empty());
    Ok(())
}
