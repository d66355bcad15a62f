//! Budget: what a backend is told costs one HMAC where an assertion can be used again, and one ES256 signature (16 µs)
//! where each request has its own.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use assertion::{
    Algorithm, Backend, Binding, Forwarded, Keys, Lifetime, Minter, Schedule, SignatureKey, Signer, Source,
};
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
    let schedule = Schedule::new(Duration::from_secs(86_400), Duration::from_secs(300), lifetime).expect("a schedule");
    let keys =
        |used: &[Algorithm]| Arc::new(Keys::open(Source::Memory, used, schedule, Arc::new(SystemClock)).expect("keys"));
    let issuer = "https://gateway.example".parse().expect("an issuer");
    let all = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256];
    let minter = Minter::new(issuer, lifetime, keys(&all), Arc::new(SystemClock));
    let minter = minter.signing_requests_with(Some(keys(&[Algorithm::EdDsa, Algorithm::Es256])));
    let hmac = || SignatureKey::new("orders", &Secret::new(vec![7; 32])).expect("a key").into();
    let pair = |algorithm| Signer::pair(algorithm).expect("an algorithm for signatures");

    for (name, binding, algorithm, signer) in [
        ("mint/reuse", Binding::Reuse, Algorithm::Es256, Some(hmac())),
        ("mint/reuse_ecdsa", Binding::Reuse, Algorithm::Es256, Some(pair(Algorithm::Es256))),
        ("mint/reuse_ed25519", Binding::Reuse, Algorithm::Es256, Some(pair(Algorithm::EdDsa))),
        ("mint/insecure_reuse", Binding::InsecureReuse, Algorithm::Es256, None),
        ("mint/per_request", Binding::PerRequest, Algorithm::Es256, None),
        ("mint/per_request_eddsa", Binding::PerRequest, Algorithm::EdDsa, None),
        ("mint/per_request_rs256", Binding::PerRequest, Algorithm::Rs256, None),
    ] {
        let audience = "orders".parse().expect("an audience");
        let backend = Backend::new(audience, binding, algorithm, signer).expect("a backend");
        let mut next = permits.iter().cycle();
        let mut mint = || {
            let identity = next.next().and_then(Permit::identity).expect("somebody");
            let request = Forwarded {
                id: RequestId::new(1, fastrand::u128(..)),
                method: "GET",
                authority: "acme.app.example.com",
                path: "/api/orders/7f3a",
                query: Some("expand=lines"),
                digest: None,
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
