//! Budget: with 10,000 tenants and 1,000 issuers a request costs what it costs with 10 and 1. All issuers are accepted on
//! one route, and the tokens are of all of them.

use criterion::Criterion;

use crate::journal::outcome;
use crate::world::World;

pub(crate) fn bench(criterion: &mut Criterion) {
    for (name, tenants, issuers) in [("scale/small", 10, 1), ("scale/large", 10_000, 1_000)] {
        let world = World::new(tenants, issuers);
        let requests = world.requests();
        let mut next = requests.iter().cycle();
        let mut admit = || world.admit(next.next().expect("a request")).finish(&outcome());
        criterion.bench_function(name, |bencher| bencher.iter_custom(|rounds| world.time(rounds, &mut admit)));
    }
}
