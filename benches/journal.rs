//! Budget: no lock and no system call per record on a worker's way. What the committer and the verifier can do is what
//! `cargo run --profile bench -p audit --example measure` shows.

use std::time::Duration;

use audit::{Decision, Digest, Entry, Journal, Logs, Outcome, Protocol};
use criterion::Criterion;
use terms::{Clock as _, Reason, RequestId, RetentionClass, SystemClock};

use crate::{allocations, world};

pub(crate) fn bench(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, committer) = world::journal(&folder);
    let (tenant, issuer) = ("acme".parse().expect("a tenant"), "main".parse().expect("an issuer"));
    let (route, upstream) = ("orders".parse().expect("a route"), "orders".parse().expect("an upstream"));
    let subject = journal.pseudonym(&issuer, &"user-1".parse().expect("a subject"));
    let at = SystemClock.now();
    let write = |journal: &Journal| {
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
    write(&journal); // makes this thread's lane
    assert_eq!(allocations::during(|| write(&journal)).0, 0, "a record allocates nothing");
    criterion.bench_function("journal", |bencher| {
        bencher.iter_custom(|rounds| world::time(&journal, rounds, || write(&journal)))
    });
    world::close(&journal, Some(committer));
    of_classes(criterion, write);
}

/// As a request comes in, and is found to be that of a tenant in another retention class: two lanes count it.
fn of_classes(criterion: &mut Criterion, write: impl Fn(&Journal)) {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let [(first, first_committer), (other, other_committer)] = folders.each_ref().map(world::journal);
    let logs = Logs::new(first, vec![other]);
    for (name, class) in
        [("journal, default class", Some(RetentionClass::DEFAULT)), ("journal, other class", RetentionClass::other(0))]
    {
        let class = class.expect("a class");
        let request = || {
            logs.arrived();
            write(logs.take(class));
        };
        request(); // makes this thread's lanes
        assert_eq!(allocations::during(request).0, 0, "a record allocates nothing, in whichever log it is");
        criterion
            .bench_function(name, |bencher| bencher.iter_custom(|rounds| world::time(logs.of(class), rounds, request)));
    }
    for (journal, committer) in logs.iter().zip([first_committer, other_committer]) {
        world::close(journal, Some(committer));
    }
}

/// A request that went well.
pub(crate) fn outcome() -> Outcome {
    Outcome { status: Some(200), attempts: 1, bytes_out: 512, took: Duration::from_millis(3), ..Outcome::default() }
}
