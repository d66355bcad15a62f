//! What the parts on a request's way cost: one file for each budget of the design, which it names.
//!
//! `cargo bench` runs all of them in about two minutes, `cargo bench -- token` those with `token` in their name. What a
//! request costs as a whole, beside other proxies, is what `benches/compare` measures; what one tenant feels of another,
//! `benches/neighbour`.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]

mod admit;
mod allocations;
mod canonicalise;
mod choose;
mod decide;
mod handshake;
mod issuers;
mod journal;
mod mint;
mod refuse;
mod scale;
mod spend;
mod token;
mod world;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    canonicalise::bench(&mut criterion);
    decide::bench(&mut criterion);
    spend::bench(&mut criterion);
    token::bench(&mut criterion);
    refuse::bench(&mut criterion);
    issuers::bench(&mut criterion);
    choose::bench(&mut criterion);
    journal::bench(&mut criterion);
    admit::bench(&mut criterion);
    mint::bench(&mut criterion);
    scale::bench(&mut criterion);
    handshake::bench(&mut criterion);
    criterion.final_summary();
}
