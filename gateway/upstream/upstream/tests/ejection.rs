use super::*;

#[test]
fn an_address_that_refuses_five_times_in_a_row_is_left_out_and_comes_back_after_its_time() {
    let mut world = World::new(3);
    (0..4).for_each(|_| world.went(1, "acme", Went::Unconnected));
    assert_eq!(world.states().ejected, 0);
    world.went(1, "acme", Went::Unconnected);
    assert_eq!(world.states(), States { available: 2, ejected: 1, ..States::default() });
    assert_eq!((world.share(1), world.upstream.ejections()), (0.0, 1));
    world.wait(29);
    assert_eq!(world.states().ejected, 1);
    world.wait(1);
    assert_eq!(world.states(), States { available: 2, returning: 1, ..States::default() });
    world.wait(30);
    assert_eq!(world.states().available, 3);
}

#[test]
fn what_others_get_while_an_address_is_out_is_even() {
    let world = World::new(3);
    world.refuses(1);
    assert!((world.share(2) - 0.5).abs() < 0.01, "{}", world.share(2));
}

#[test]
fn one_tenant_alone_ejects_nobody_and_two_do() {
    for went in [Went::Answered(503), Went::Broke, Went::Late] {
        let world = World::new(3);
        (0..100).for_each(|_| world.went(1, "acme", went));
        assert_eq!(world.states().ejected, 0, "{went:?}");
        // Two that share a lane count as one; eight never all do.
        (0..8).for_each(|number| world.went(1, &format!("tenant-{number}"), went));
        assert_eq!(world.states().ejected, 1, "{went:?}");
    }
}

#[test]
fn a_success_between_failures_breaks_their_row() {
    let world = World::new(3);
    for _ in 0..4 {
        (0..4).for_each(|_| world.went(1, "acme", Went::Unconnected));
        world.went(1, "globex", Went::Answered(404));
    }
    assert_eq!(world.states().ejected, 0);
}

#[test]
fn no_more_than_their_share_are_left_out_and_never_the_last_one() {
    for (addresses, share, ejected) in
        [(1, "50%", 0), (1, "100%", 0), (2, "50%", 1), (2, "100%", 1), (3, "50%", 1), (7, "50%", 3), (4, "0%", 0)]
    {
        let world = World::with(addresses, |settings| {
            settings.health.ejection.max_share = share.parse().unwrap();
        });
        for port in 1..=u16::try_from(addresses).unwrap() {
            world.refuses(port);
        }
        assert_eq!(world.states().ejected, ejected, "{share} of {addresses}");
        assert!(world.choose(None).is_ok());
    }
}

#[test]
fn those_that_checks_took_out_count_in_the_share() {
    let world = World::new(4);
    world.check(1, Err(ProbeError::Late));
    world.check(2, Err(ProbeError::Late));
    world.refuses(3);
    assert_eq!(world.states(), States { available: 2, unhealthy: 2, ..States::default() });
}

#[test]
fn each_ejection_in_a_row_is_longer_up_to_the_longest_and_a_good_time_begins_anew() {
    let mut world = World::new(3);
    let mut spans = Vec::new();
    for _ in 0..12 {
        world.refuses(1);
        let begun = world.now;
        while world.states().ejected > 0 {
            world.wait(1);
        }
        spans.push((world.now - begun).as_secs());
    }
    assert_eq!(spans, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
    world.wait(30 + 300);
    world.refuses(1);
    world.wait(30);
    assert_eq!(world.states().ejected, 0, "it was well for as long as it was out");
}

#[test]
fn an_address_that_returns_gets_a_tenth_at_first_and_then_more_and_more() {
    for balance in [Balance::RoundRobin, Balance::LeastRequests] {
        let mut world = World::with(2, |settings| settings.balance = balance);
        world.refuses(1);
        world.wait(30);
        // Of two, one that takes a part p of its turns gets p / (p + 1) of all where each turn passes on.
        for (waited, least, most) in [(0, 0.03, 0.16), (15, 0.25, 0.45), (15, 0.45, 0.55)] {
            world.wait(waited);
            let share = world.share(1);
            assert!((least..most).contains(&share), "{balance:?}: {share} after {waited} more");
        }
    }
}

#[test]
fn without_a_slow_return_it_gets_all_at_once() {
    let mut world = World::with(2, |settings| settings.health.slow_return = Duration::ZERO);
    world.refuses(1);
    world.wait(30);
    assert_eq!(world.states().available, 2);
    assert!((world.share(1) - 0.5).abs() < 0.01);
}

#[test]
fn a_tenant_goes_back_to_its_own_address_once_and_stays() {
    let mut world = World::with(3, |settings| settings.balance = Balance::Consistent);
    let tenants: Vec<TenantId> = (0..2_000).map(|number| format!("tenant-{number}").parse().unwrap()).collect();
    let mine: Vec<_> = tenants.iter().filter(|tenant| world.choose(Some(tenant)) == Ok(1)).collect();
    world.refuses(1);
    assert!(mine.iter().all(|tenant| world.choose(Some(tenant)) != Ok(1)));
    world.wait(30);
    let mut back = vec![false; mine.len()];
    for second in 0_u32..=30 {
        for (tenant, back) in mine.iter().zip(&mut back) {
            let now = world.choose(Some(tenant)) == Ok(1);
            assert!(now || !*back, "{tenant} was back and left again");
            *back = now;
        }
        let share = back.iter().filter(|back| **back).count() as f64 / mine.len() as f64;
        let expected = 0.9_f64.mul_add(f64::from(second) / 30.0, 0.1);
        assert!((share - expected).abs() < 0.06, "{share} after {second} s, not {expected}");
        world.wait(1);
    }
}

#[test]
fn if_all_that_are_left_return_one_of_them_takes_the_request_all_the_same() {
    let mut world = World::new(2);
    world.refuses(1);
    world.wait(30);
    world.check(2, Err(ProbeError::Late));
    assert_eq!(world.states(), States { returning: 1, unhealthy: 1, ..States::default() });
    assert_eq!(world.share(1), 1.0);
}

#[test]
fn if_all_that_are_left_are_ejected_one_of_them_is_asked_all_the_same() {
    let world = World::new(2);
    world.refuses(1);
    world.check(2, Err(ProbeError::Late));
    assert_eq!(world.choose(None), Ok(1), "what became of requests closes no upstream");
}

#[test]
fn an_address_that_stays_in_the_list_stays_ejected_and_one_that_left_is_not_counted() {
    let world = World::new(4);
    world.refuses(1);
    let gone = Chosen::new(&Arc::new(Address::new("10.0.0.9:9".parse().unwrap())));
    (0..9).for_each(|_| world.upstream.report(&gone, None, Went::Unconnected, world.now));
    world.upstream.relist();
    assert_eq!((world.states().ejected, world.upstream.ejections()), (1, 1));
}
