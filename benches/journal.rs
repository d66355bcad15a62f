//! Budget: no lock and no system call per record on a worker's way. What the committer and the verifier can do is what
//! `cargo run --profile bench -p audit --example measure` shows.

use std::time::Duration;

use audit::{Decision, Digest, Entry, Outcome, Protocol};
use criterion::Criterion;
use terms::{Clock as _, Reason, RequestId, SystemClock};

use crate::{allocations, world};

pub(crate) fn bench(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, committer) = world::journal(&folder);
    let (tenant, issuer) = ("acme".parse().expect("a tenant"), "main".parse().expect("an issuer"));
    let (route, upstream) = ("orders".parse().expect("a route"), "orders".parse().expect("an upstream"));
    let subject = journal.pseudonym(&issuer, &"user-1".parse().expect("a subject"));
    let at = SystemClock.now();
    let write = || {
        let entry = Entry {
            tenant: Some(&tenant),
            subject: Some(subject),
            issuer: Some(&issuer),
            client: Some([203, 0, 113, 7].into()),
            method: Some("GET"),
            host: Some("acme.app.example.com"),
            protocol: Some(Protocol::Http11),
            route: Some(&route),
            rule: Some("roles.yaml:12 viewer"),
            policy: Some(Digest::from([7; 32])),
            upstream: Some(&upstream),
            deciding: Some(Duration::from_micros(4)),
            trace: Some(1 << 100),
            ..Entry::new(RequestId::new(1, fastrand::u128(..)), at, Decision::Allow, Reason::Allowed)
        };
        journal.begin(&entry).expect("room for a record").finish(&outcome());
    };
    write(); // makes this thread's lane
    assert_eq!(allocations::during(write).0, 0, "a record allocates nothing");
    criterion.bench_function("journal", |bencher| bencher.iter_custom(|rounds| world::time(&journal, rounds, write)));
    world::close(&journal, Some(committer));
}

/// A request that went well.
pub(crate) fn outcome() -> Outcome {
    Outcome { status: Some(200), attempts: 1, bytes_out: 512, took: Duration::from_millis(3), ..Outcome::default() }
}
