use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

const fn settings() -> BreakerSettings {
    BreakerSettings {
        consecutive: NonZeroU32::new(5).unwrap(),
        percent: 50,
        minimum: NonZeroU32::new(20).unwrap(),
        window: Duration::from_secs(10),
        open: Duration::from_secs(5),
        tries: NonZeroU32::new(2).unwrap(),
    }
}

struct World {
    breaker: Arc<Breaker>,
    now: Instant,
    tenants: Vec<TenantId>,
}

impl World {
    /// A breaker, and tenants no two of whom share a lane.
    fn new() -> Self {
        let now = Instant::now();
        let breaker = Arc::new(Breaker::new(settings(), now));
        let mut lanes = Vec::new();
        let tenants = (0..500).filter_map(|number| {
            let tenant: TenantId = format!("tenant-{number}").parse().unwrap();
            let lane = breaker.pass(Some(&tenant), now).unwrap().lane;
            (!lanes.contains(&lane)).then(|| {
                lanes.push(lane);
                tenant
            })
        });
        let tenants = tenants.take(8).collect();
        Self { breaker, now, tenants }
    }

    fn pass(&self, tenant: usize) -> Result<Pass, Open> {
        self.breaker.pass(Some(&self.tenants[tenant]), self.now)
    }

    fn try_out(&self, tenant: usize, verdict: Verdict) -> bool {
        self.pass(tenant).map(|mut pass| pass.report(verdict, self.now)).is_ok()
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn open(&self) {
        (0..5).for_each(|_| assert!(self.try_out(0, Verdict::Unconnected)));
        assert_eq!(self.breaker.phase(), Phase::Open);
    }
}

#[test]
fn a_backend_that_cannot_be_reached_is_left_alone_after_five_attempts_whoever_made_them() {
    let world = World::new();
    world.open();
    assert_eq!(world.pass(1).unwrap_err(), Open { retry_after: Duration::from_secs(5) });
    assert_eq!(world.breaker.opened(), 1);
}

#[test]
fn a_success_between_failures_breaks_their_row() {
    let world = World::new();
    for _ in 0..4 {
        (0..4).for_each(|_| assert!(world.try_out(0, Verdict::Unconnected)));
        assert!(world.try_out(1, Verdict::Fine));
    }
    assert_eq!(world.breaker.phase(), Phase::Closed, "sixteen of twenty failed, but there were fewer than the minimum");
}

#[test]
fn what_one_tenant_asks_for_never_closes_the_backend_to_the_others() {
    let mut world = World::new();
    for second in 0..100 {
        (0..20).for_each(|_| assert!(world.try_out(0, Verdict::Failed), "in second {second}"));
        assert!(world.try_out(1, Verdict::Fine));
        world.wait(1);
    }
    assert_eq!(world.breaker.opened(), 0);
}

#[test]
fn one_tenant_that_fails_a_lot_and_another_that_fails_a_little_are_not_an_outage() {
    let world = World::new();
    for _ in 0..200 {
        assert!(world.try_out(0, Verdict::Failed));
        assert!(world.try_out(1, Verdict::Fine));
        assert!(world.try_out(2, Verdict::Fine));
    }
    (0..4).for_each(|_| assert!(world.try_out(1, Verdict::Failed)));
    assert_eq!(world.breaker.phase(), Phase::Closed);
}

#[test]
fn a_backend_that_fails_two_tenants_is_an_outage() {
    let world = World::new();
    let tried = (0..100).take_while(|attempt| world.try_out(attempt % 2, Verdict::Failed)).count();
    assert_eq!(tried, 10, "five in a row, besides those of the worst tenant");
}

#[test]
fn a_share_of_failures_opens_it_only_from_the_minimum_on_and_within_the_window() {
    let mut world = World::new();
    let half = |world: &World, rounds: usize| {
        for round in 0..rounds {
            let verdict = if round % 2 == 0 { Verdict::Unconnected } else { Verdict::Fine };
            world.try_out(round % 8, verdict);
        }
    };
    half(&world, 18);
    world.wait(11);
    half(&world, 18);
    assert_eq!(world.breaker.phase(), Phase::Closed, "two times eighteen, in two windows");
    half(&world, 18);
    assert_eq!(world.breaker.phase(), Phase::Open);
}

#[test]
fn it_closes_after_the_tries_went_well_and_lets_no_more_than_those_through() {
    let mut world = World::new();
    world.open();
    world.wait(5);
    let (mut first, mut second) = (world.pass(0).unwrap(), world.pass(1).unwrap());
    assert!(world.pass(2).is_err());
    assert_eq!(world.breaker.phase(), Phase::HalfOpen);
    first.report(Verdict::Fine, world.now);
    assert!(world.pass(2).is_err(), "one has passed and one is trying");
    second.report(Verdict::Fine, world.now);
    assert_eq!(world.breaker.phase(), Phase::Closed);
    assert!((0..4).all(|_| world.try_out(0, Verdict::Unconnected)), "what was before is forgotten");
    assert_eq!(world.breaker.phase(), Phase::Closed);
}

#[test]
fn a_try_that_says_nothing_gives_its_turn_to_another() {
    let mut world = World::new();
    world.open();
    world.wait(5);
    for _ in 0..100 {
        drop(world.pass(0).unwrap());
    }
    assert!(world.try_out(0, Verdict::Fine) && world.try_out(0, Verdict::Fine));
    assert_eq!(world.breaker.phase(), Phase::Closed);
}

#[test]
fn a_try_that_finds_no_connection_opens_it_again() {
    let mut world = World::new();
    world.open();
    world.wait(5);
    let mut late = world.pass(1).unwrap();
    assert!(world.try_out(0, Verdict::Unconnected));
    assert_eq!((world.breaker.phase(), world.breaker.opened()), (Phase::Open, 2));
    late.report(Verdict::Fine, world.now);
    assert_eq!(world.breaker.phase(), Phase::Open, "a try of an earlier round decides nothing");
}

#[test]
fn one_tenant_cannot_keep_it_open_with_tries_that_fail() {
    let mut world = World::new();
    world.open();
    world.wait(5);
    assert!(world.try_out(0, Verdict::Failed));
    assert!(world.pass(0).is_err(), "it has had its try");
    assert!(world.try_out(1, Verdict::Fine) && world.try_out(2, Verdict::Fine));
    assert_eq!(world.breaker.phase(), Phase::Closed);
}

#[test]
fn the_tries_of_two_tenants_that_fail_open_it_again() {
    let mut world = World::new();
    world.open();
    world.wait(5);
    assert!(world.try_out(0, Verdict::Failed) && world.try_out(1, Verdict::Failed));
    assert_eq!(world.breaker.phase(), Phase::Open);
}

#[test]
fn a_tenant_that_is_alone_may_try_again_after_a_while() {
    let mut world = World::new();
    world.open();
    world.wait(5);
    assert!(world.try_out(0, Verdict::Failed));
    world.wait(5);
    assert!(world.try_out(0, Verdict::Fine) && world.try_out(0, Verdict::Fine));
    assert_eq!(world.breaker.phase(), Phase::Closed);
}

proptest! {
    #[test]
    fn whatever_happens_it_lets_somebody_through_after_a_while(
        events in prop::collection::vec((0_usize..8, 0_u8..4, 0_u64..3), 0..300),
    ) {
        let mut world = World::new();
        let mut held = Vec::new();
        for (tenant, verdict, seconds) in events {
            world.wait(seconds);
            let Ok(mut pass) = world.pass(tenant) else { continue };
            match verdict {
                0 => pass.report(Verdict::Fine, world.now),
                1 => pass.report(Verdict::Failed, world.now),
                2 => pass.report(Verdict::Unconnected, world.now),
                _ => held.push(pass),
            }
        }
        drop(held);
        world.wait(5);
        prop_assert!((0..8).any(|tenant| world.pass(tenant).is_ok()));
    }

    #[test]
    fn no_number_of_failures_of_one_tenant_opens_it(
        events in prop::collection::vec((any::<bool>(), 0_u64..3), 0..100),
    ) {
        let mut world = World::new();
        for (fails, seconds) in events {
            world.wait(seconds);
            let (tenant, verdict) = if fails { (0, Verdict::Failed) } else { (1, Verdict::Fine) };
            prop_assert!(world.try_out(tenant, verdict));
        }
    }
}
