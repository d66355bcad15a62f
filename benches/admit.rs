//! Budget: the whole pipeline costs at most 0.15 of a bare pingora proxy's request. This is the gate's share of it: from a
//! head that was read to the permit, and the end of its record, with 1,000 live tokens and one limit.

use criterion::Criterion;

use crate::allocations;
use crate::journal::outcome;
use crate::world::World;

pub(crate) fn bench(criterion: &mut Criterion) {
    let world = World::new(100, 1);
    let requests = world.requests();
    let mut next = requests.iter().cycle();
    let mut admit = || world.admit(next.next().expect("a request")).finish(&outcome());
    admit(); // whatever is made once is made now
    allocations::print("admit", allocations::during(&mut admit).0);
    criterion.bench_function("admit", |bencher| bencher.iter_custom(|rounds| world.time(rounds, &mut admit)));
}
