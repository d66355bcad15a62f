//! Budget: what a backend is told costs one HMAC where an assertion can be used again, and one ES256 signature (25 µs)
//! where each request has its own.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use assertion::{Backend, Binding, Forwarded, Keyring, Lifetime, Minter, SignatureKey};
use criterion::Criterion;
use gate::Permit;
use secrets::Secret;
use terms::{RequestId, SystemClock};

use crate::allocations;
use crate::world::World;

pub(crate) fn bench(criterion: &mut Criterion) {
    let world = World::new(100, 1);
    let permits: Vec<Permit> = world.requests().iter().map(|request| world.admit(request)).collect();
    let lifetime = Lifetime::try_from(Duration::from_secs(60)).expect("a lifetime");
    let keyring = Arc::new(Keyring::generate(&SystemClock).expect("a key"));
    let issuer = "https://gateway.example".parse().expect("an issuer");
    let minter = Minter::new(issuer, lifetime, keyring, Arc::new(SystemClock));
    let key = SignatureKey::new("orders", &Secret::new(vec![7; 32])).expect("a key");

    for (name, binding, key) in
        [("mint/reuse", Binding::Reuse, Some(key)), ("mint/per_request", Binding::PerRequest, None)]
    {
        let backend = Backend::new("orders".parse().expect("an audience"), binding, key).expect("a backend");
        let mut next = permits.iter().cycle();
        let mut mint = || {
            let identity = next.next().and_then(Permit::identity).expect("somebody");
            let request = Forwarded {
                id: RequestId::new(1, fastrand::u128(..)),
                method: "GET",
                authority: "acme.app.example.com",
                path: "/api/orders/7f3a",
                query: Some("expand=lines"),
            };
            minter.inject(black_box(&identity), &request, &backend).expect("fields")
        };
        for _ in &permits {
            drop(mint()); // the first assertion for each
        }
        allocations::print(name, allocations::during(&mut mint).0);
        criterion.bench_function(name, |bencher| bencher.iter(&mut mint));
    }
}
