//! Budget: to refuse a forged token costs no more than to let a good one in for the first time, and of those that look
//! good until their signature is verified each costs the same, within a fifth.
//!
//! All manners take turns, and each counts its fastest rounds, so that what else the machine does falls on all alike.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use futures::FutureExt as _;
use terms::{IssuerSet, ManualClock, SystemClock};
use token::forge::{Issuer, Workshop};
use token::{Algorithm, IssuerSettings, JwksSource, Verifier};

use crate::world::{AUDIENCE, claims};

const ISSUER: &str = "https://idp.example/";
const ROUNDS: usize = 200;

/// Verifications at a stretch: enough to be timed.
const STRETCH: u32 = 8;

/// What a forgery that looks good may cost more or less than the others.
const TOLERANCE: f64 = 1.2;

pub(crate) fn bench(criterion: &mut Criterion) {
    // Criterion has no way to say "these against those", so it only decides whether this is to be run.
    criterion.bench_function("token/refused", |bencher| {
        bencher.iter_custom(|rounds| {
            static ONCE: std::sync::Once = std::sync::Once::new();
            ONCE.call_once(compare_all);
            Duration::from_nanos(rounds)
        });
    });
}

fn compare_all() {
    let rsa = [Issuer::rs256("k1"), Issuer::rs256("k1")];
    compare(&Issuer::es256("k1"), &Issuer::es256("k1"));
    compare(&Issuer::eddsa("k1"), &Issuer::eddsa("k1"));
    let [victim, stranger] = &rsa;
    compare(victim, stranger);
    compare(&victim.under(Algorithm::PS256), &stranger.under(Algorithm::PS256));
}

/// Prints what it costs to refuse each, by reason, and holds those that look good against each other.
#[expect(clippy::print_stdout, reason = "it prints what it measures")]
fn compare(victim: &Issuer, stranger: &Issuer) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, victim.jwks()).expect("a key set");
    let id = "main".parse().expect("an issuer");
    let settings = IssuerSettings::new(id, ISSUER, AUDIENCE, victim.algorithm(), JwksSource::File(path));
    let main = IssuerSet::from(["main".parse().expect("an issuer")]);
    let claims = claims(1, "acme", ISSUER);
    let now = terms::Clock::unix_seconds(&SystemClock);
    let clock = Arc::new(ManualClock::at(now)); // some would be good a second later
    let verifier = Verifier::new(vec![settings], clock, 1).expect("a verifier");
    let forgeries = Workshop { victim, stranger, claims: &claims, now }.forgeries();
    let verify = |token: &str| verifier.verify(black_box(token), &main).now_or_never().expect("no waiting").is_ok();
    let fastest = fastest(forgeries.iter().map(|forgery| &*forgery.token).collect(), |token| assert!(!verify(token)));

    let mut by_reason: BTreeMap<&str, (Duration, Duration)> = BTreeMap::new();
    for (forgery, cost) in forgeries.iter().zip(&fastest) {
        let (least, most) = by_reason.entry(forgery.reason.as_str()).or_insert((*cost, *cost));
        (*least, *most) = ((*least).min(*cost), (*most).max(*cost));
    }
    for (reason, (least, most)) in by_reason {
        println!("token/refused/{}/{reason:<26} {least:>9.2?} to {most:>9.2?}", victim.algorithm());
    }
    let alike: Vec<_> = forgeries.iter().zip(&fastest).filter(|(forgery, _)| forgery.looks_good).collect();
    let cost = |cost: &Duration| cost.as_secs_f64();
    let least = alike.iter().map(|(_, it)| cost(it)).fold(f64::INFINITY, f64::min);
    let most = alike.iter().map(|(_, it)| cost(it)).fold(0.0, f64::max);
    println!(
        "token/refused/{}/alike: the dearest of {} costs {:.3} of the cheapest",
        victim.algorithm(),
        alike.len(),
        most / least
    );
    assert!(most / least <= TOLERANCE, "they tell each other apart: {alike:#?}");
}

/// How long one takes of each, at best.
fn fastest(tokens: Vec<&str>, verify: impl Fn(&str)) -> Vec<Duration> {
    let mut fastest = vec![Duration::MAX; tokens.len()];
    for _ in 0..ROUNDS {
        for (token, fastest) in tokens.iter().zip(&mut fastest) {
            let started = Instant::now();
            for _ in 0..STRETCH {
                verify(token);
            }
            *fastest = (*fastest).min(started.elapsed() / STRETCH);
        }
    }
    fastest
}
