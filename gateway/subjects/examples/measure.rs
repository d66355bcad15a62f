//! What a member costs: to be remembered, to be found, to be new; and what it costs to seal what is personal.
//!
//! `cargo run --release -p subjects --example measure`
#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "it prints figures for people")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use subjects::{About, Fields, GivenRoots, Keeping, Making, Person, Personal, SubjectVault, Subjects};
use terms::{IssuerId, Subject, SystemClock, TenantId};

const ROUNDS: u32 = 500_000;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let open =
        || SubjectVault::open(folder.path(), &Keeping::File, GivenRoots::default(), Fields::ALL, Making::Yes).unwrap();
    let (tenant, issuer): (TenantId, IssuerId) = ("acme".parse().unwrap(), "main".parse().unwrap());
    let named = |number: usize| -> Subject { format!("auth0|{number:024x}").parse().unwrap() };
    let mut vault = open();

    let all: Vec<_> = (0..10_000).map(named).collect();
    let (tenant, issuer) = (&tenant, &issuer);
    let began = Instant::now();
    for some in all.chunks(256) {
        let persons: Vec<_> = some.iter().map(|subject| Person { tenant, issuer, subject }).collect();
        vault.personas(&persons, 0).unwrap();
    }
    report("a new person, in batches of 256", began.elapsed(), 10_000);
    let began = Instant::now();
    for number in 10_000..10_100 {
        let subject = named(number);
        vault.personas(&[Person { tenant, issuer, subject: &subject }], 0).unwrap();
    }
    report("a new person, alone", began.elapsed(), 100);
    let began = Instant::now();
    for subject in &all {
        black_box(vault.find(Person { tenant, issuer, subject }).unwrap());
    }
    report("a person that the vault knows", began.elapsed(), 10_000);
    let bytes = std::fs::metadata(folder.path().join("subjects.db")).unwrap().len();
    println!("{:>9} bytes a person in the file", bytes / 10_100);

    let (subjects, keeper) = Subjects::new(vault, Duration::from_secs(3600));
    subjects.is_destroyed(0, Instant::now());
    std::thread::spawn(move || keeper.run(&SystemClock));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (now, first) = (Instant::now(), all.first().expect("somebody"));
    let persona = runtime.block_on(subjects.of(Person { tenant, issuer, subject: first }, now)).unwrap();
    runtime.block_on(async {
        let began = Instant::now();
        for _ in 0..ROUNDS {
            black_box(subjects.of(Person { tenant, issuer, subject: black_box(first) }, now).await.unwrap());
        }
        report("a person that is remembered", began.elapsed(), ROUNDS);
    });
    let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
    for (what, agent) in
        [("what is personal, with a browser's name", agent.to_owned()), ("the longest", "u".repeat(256))]
    {
        let personal = Personal {
            client: Some("2001:db8::1".parse().unwrap()),
            user_agent: Some(black_box(agent.as_bytes())),
            justification: None,
        };
        let began = Instant::now();
        for id in 0..ROUNDS {
            let about = About { id: u128::from(id).into(), tenant };
            black_box(persona.seal(black_box(personal), about).unwrap());
        }
        report(&format!("to seal {what}"), began.elapsed(), ROUNDS);
    }
}

fn report(what: &str, took: Duration, times: u32) {
    println!("{:>9} ns {what}", took.as_nanos() / u128::from(times));
}
