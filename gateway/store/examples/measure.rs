//! What revocations cost, with as many of them as are given: `cargo run --release -p store --example measure -- 100000`.

use std::error::Error;
use std::time::{Duration, Instant};

use store::{Change, Extent, Revocation, Store, Told, Turn};
use tenancy::{Credential, Revocations, Revoked};

const NOW: u64 = 1_795_000_000;
const ROUNDS: u32 = 200;

fn revocation(number: usize) -> Result<Revocation, Box<dyn Error>> {
    let subject = format!("00000000-0000-4000-8000-{number:012}").parse()?;
    let revoked = Revoked::Subject { issuer: "main".parse()?, subject, before: Some(NOW) };
    Ok(Revocation { revoked, until: Some(NOW + 3_600), made: NOW, author: None })
}

/// What a gateway does when the version of the store is another one.
fn look(store: &Store, known: &Revocations, seen: Option<u64>) -> Result<(Revocations, u64), Box<dyn Error>> {
    let version = store.version()?;
    let news = store.news(seen, version)?;
    let mut next = if news.extent == Extent::All { Revocations::default() } else { known.clone() };
    news.gone.iter().for_each(|revoked| next.remove(revoked));
    for revocation in news.revoked {
        next.remove(&revocation.revoked);
        next.add(revocation.revoked);
    }
    Ok((next, version))
}

#[expect(clippy::print_stdout, reason = "it prints what it measures")]
fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = std::env::args().nth(1).as_deref().unwrap_or("100000").parse()?;
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path())?;
    let all: Vec<_> = (0..count)
        .map(|number| Ok(Change { turn: Turn::Revoked, told: Told::First, revocation: revocation(number)? }))
        .collect::<Result<_, Box<dyn Error>>>()?;
    for some in all.chunks(1_000) {
        store.receive(some, "1-0", NOW)?;
    }
    let began = Instant::now();
    let (mut known, mut seen) = look(&store, &Revocations::default(), None)?;
    println!("{count} revocations: all read in {:.1?}", began.elapsed());
    let (mut written, mut read) = (Duration::ZERO, Duration::ZERO);
    for round in 0..ROUNDS {
        let began = Instant::now();
        store.revoke(&revocation(count + usize::try_from(round)?)?, NOW)?;
        written += began.elapsed();
        let began = Instant::now();
        (known, seen) = look(&store, &known, Some(seen))?;
        read += began.elapsed();
    }
    println!("one more: written in {:.1?}, in force {:.1?} later", written / ROUNDS, read / ROUNDS);
    let (issuer, tenant) = ("main".parse()?, "acme".parse()?);
    let subject = "00000000-0000-4000-8000-999999999999".parse()?;
    let credential =
        Credential { issuer: &issuer, subject: &subject, jti: Some("t1"), sid: Some("s1"), issued_at: Some(NOW) };
    let (began, looks) = (Instant::now(), 1_000_000_u32);
    let found = (0..looks).filter(|_| std::hint::black_box(&known).revoke(&credential, &tenant)).count();
    println!("one look: {:.1?} ({found} found)", began.elapsed() / looks);
    Ok(())
}
