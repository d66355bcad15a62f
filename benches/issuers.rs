//! Budget: a token of one of 10,000 issuers costs what one of a single issuer does, seen before or not, whether each is
//! written down or all are by one pattern. What they take to load and to keep is printed beside.
//!
//! All take turns, and each counts its fastest rounds, so that what else the machine does falls on all alike.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use futures::FutureExt as _;
use terms::{IssuerId, IssuerSet, SystemClock};
use token::forge::Issuer;
use token::{Algorithm, IssuerSettings, JwksSource, Verifier};

use crate::world::{AUDIENCE, claims};

const MANY: usize = 10_000;
const TOKENS: usize = 1_000;
const CACHED: usize = 100_000;
const ROUNDS: usize = 60;

/// Verifiers of one kind, with tokens of as many issuers as there are.
struct Side {
    name: &'static str,
    remembers: Arc<Verifier>,
    forgets: Arc<Verifier>,
    accepted: IssuerSet,
    tokens: Vec<String>,
}

pub(crate) fn bench(criterion: &mut Criterion) {
    // Criterion has no way to say "these against those", so it only decides whether this is to be run.
    criterion.bench_function("issuers", |bencher| {
        bencher.iter_custom(|rounds| {
            static ONCE: std::sync::Once = std::sync::Once::new();
            ONCE.call_once(|| {
                cached(); // first, while no memory lies idle
                compare();
            });
            Duration::from_nanos(rounds)
        });
    });
}

#[expect(clippy::print_stdout, reason = "it prints what it measures")]
fn compare() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Issuer::es256("k1");
    for tenant in 0..MANY {
        fs::write(folder.path().join(format!("t{tenant}.json")), key.jwks()).expect("a key set");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let written = |count| (0..count).map(|number| written(number, folder.path())).collect::<Vec<_>>();
    let sides = [
        Side::new("written/1", 1, written(1), &key, &runtime),
        Side::new("written/1000", 1_000, written(1_000), &key, &runtime),
        Side::new("written/10000", MANY, written(MANY), &key, &runtime),
        Side::new("pattern/10000", MANY, vec![pattern(folder.path())], &key, &runtime),
    ];
    let mut fastest = [(Duration::MAX, Duration::MAX); 4];
    for _ in 0..ROUNDS {
        for (side, (hit, first)) in sides.iter().zip(&mut fastest) {
            *hit = (*hit).min(side.time(&side.remembers));
            *first = (*first).min(side.time(&side.forgets));
        }
    }
    let [one, ..] = fastest;
    for (side, (hit, first)) in sides.iter().zip(fastest) {
        println!(
            "issuers/{:<14} seen before {hit:>8.2?} ({:.2} of one), first {first:>8.2?} ({:.2} of one)",
            side.name,
            hit.as_secs_f64() / one.0.as_secs_f64(),
            first.as_secs_f64() / one.1.as_secs_f64(),
        );
    }
}

impl Side {
    #[expect(clippy::print_stdout, reason = "it prints what it measures")]
    fn new(
        name: &'static str,
        issuers: usize,
        settings: Vec<IssuerSettings>,
        key: &Issuer,
        runtime: &tokio::runtime::Runtime,
    ) -> Self {
        let accepted: IssuerSet = settings.iter().map(|settings| settings.id.clone()).collect();
        let token = |number: usize| key.sign(&claims(number, "acme", &issuer(number * 7 % issuers)));
        let tokens: Vec<_> = (0..TOKENS).map(token).collect();
        let make = |capacity| {
            let verifier = Verifier::new(settings.clone(), Arc::new(SystemClock), capacity).expect("a verifier");
            Arc::new(verifier.knowing(Arc::new(|_| true)))
        };
        let (before, started) = (resident(), Instant::now());
        let remembers = make(CACHED);
        // As many tokens for one issuer as for many: it is issuers that are compared, and not how many tokens are remembered.
        let all = (0..MANY).map(|number| key.sign(&claims(number, "acme", &issuer(number % issuers))));
        load(&remembers, &accepted, all.collect(), runtime);
        println!(
            "issuers/{name:<14} loaded in {:.2?} with 10,000 tokens, {} KiB",
            started.elapsed(),
            resident().saturating_sub(before) / 1_024,
        );
        let forgets = make(1);
        load(&forgets, &accepted, tokens.clone(), runtime);
        load(&remembers, &accepted, tokens.clone(), runtime);
        Self { name, remembers, forgets, accepted, tokens }
    }

    /// How long one token takes.
    fn time(&self, verifier: &Verifier) -> Duration {
        let started = Instant::now();
        for token in &self.tokens {
            let verdict = verifier.verify(black_box(token), &self.accepted).now_or_never();
            drop(verdict.expect("no waiting").expect("a good token"));
        }
        started.elapsed() / u32::try_from(self.tokens.len()).expect("not so many")
    }
}

/// Has all of these verified once, so that the issuers of a pattern are there.
fn load(verifier: &Arc<Verifier>, accepted: &IssuerSet, tokens: Vec<String>, runtime: &tokio::runtime::Runtime) {
    runtime.block_on(async {
        let verify = async {
            for token in &tokens {
                drop(verifier.verify(token, accepted).await.expect("a good token"));
            }
        };
        tokio::select! {
            () = Arc::clone(verifier).run(std::future::pending()) => {}
            () = verify => {}
        }
    });
}

fn issuer(number: usize) -> String {
    format!("https://idp.example/realms/t{number}")
}

fn written(number: usize, folder: &Path) -> IssuerSettings {
    let id: IssuerId = format!("idp-{number}").parse().expect("an issuer");
    let keys = JwksSource::File(folder.join(format!("t{number}.json")));
    IssuerSettings::new(id, &issuer(number), AUDIENCE, Algorithm::ES256, keys)
}

fn pattern(folder: &Path) -> IssuerSettings {
    let keys = JwksSource::File(folder.join("{tenant}.json"));
    let id = "realms".parse().expect("an issuer");
    IssuerSettings::new(id, "https://idp.example/realms/{tenant}", AUDIENCE, Algorithm::ES256, keys)
}

/// What verified tokens take that are remembered.
#[expect(clippy::print_stdout, reason = "it prints what it measures")]
fn cached() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Issuer::es256("k1");
    fs::write(folder.path().join("t0.json"), key.jwks()).expect("a key set");
    let verifier = Verifier::new(vec![written(0, folder.path())], Arc::new(SystemClock), CACHED).expect("a verifier");
    let accepted = IssuerSet::from(["idp-0".parse().expect("an issuer")]);
    let before = resident();
    for number in 0..CACHED {
        let token = key.sign(&claims(number, "acme", &issuer(0)));
        drop(verifier.verify(&token, &accepted).now_or_never().expect("no waiting").expect("a good token"));
    }
    let stats = verifier.cache_stats();
    println!("issuers/cached {} tokens take {} KiB", stats.entries, resident().saturating_sub(before) / 1_024);
}

/// Bytes of memory that the process has.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").expect("linux");
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number");
    pages * 4_096
}
