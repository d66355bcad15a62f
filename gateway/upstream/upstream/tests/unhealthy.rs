use super::*;

const LATE: Result<(), ProbeError> = Err(ProbeError::Late);

#[test]
fn the_first_check_decides_at_once_and_until_then_an_address_is_used() {
    let world = World::new(2);
    assert_eq!(world.states().available, 2);
    world.check(1, Ok(()));
    world.check(2, LATE);
    assert_eq!(world.states(), States { available: 1, unhealthy: 1, ..States::default() });
    assert_eq!(world.share(1), 1.0);
    assert_eq!(world.upstream.checks(), (1, 1));
}

#[test]
fn after_that_it_takes_three_failures_in_a_row_to_be_out_and_two_successes_to_be_back() {
    let world = World::new(1);
    let out = || world.states().unhealthy == 1;
    world.check(1, Ok(()));
    for (well, expected) in [
        (false, false),
        (false, false),
        (true, false),
        (false, false),
        (false, false),
        (false, true),
        (false, true),
        (true, true),
        (false, true),
        (true, true),
        (true, false),
    ] {
        world.check(1, if well { Ok(()) } else { LATE });
        assert_eq!(out(), expected);
    }
}

#[test]
fn who_is_back_returns_slowly() {
    let mut world = World::new(2);
    world.check(1, LATE);
    world.check(1, Ok(()));
    world.wait(100);
    world.check(1, Ok(()));
    assert_eq!(world.states(), States { available: 1, returning: 1, ..States::default() });
    assert!(world.share(1) < 0.16);
    world.wait(30);
    assert_eq!(world.states().available, 2);
}

#[test]
fn if_every_address_fails_its_checks_nobody_is_asked_and_it_is_said_why() {
    let world = World::new(5);
    for port in 1..=4 {
        world.check(port, Err(ProbeError::Status(500)));
        assert_eq!((world.upstream.ails(), world.upstream.is_out(world.now)), (None, false));
    }
    world.refuses(5);
    world.check(5, LATE);
    let retry_after = Duration::from_secs(10);
    assert_eq!(world.choose(None), Err(Unavailable::Unhealthy { retry_after }));
    assert!(world.upstream.is_out(world.now));
    assert_eq!(
        world.upstream.ails().unwrap(),
        "every address fails its checks: 10.0.0.1:1 (status 500), 10.0.0.1:2 (status 500), 10.0.0.1:3 (status 500) and 2 more"
    );
}
