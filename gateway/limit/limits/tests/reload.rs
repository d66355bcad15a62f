//! Plans, and what a change of numbers leaves of what was spent.

use super::*;

fn rate(rate: &str, burst: u32) -> Numbers {
    Numbers::Rate { rate: rate.parse().unwrap(), burst }
}

fn planned() -> Vec<Limit> {
    let own = limit("l", "1/h", 3, &[KeyPart::Tenant]);
    vec![Limit {
        plans: vec![("gold".parse().unwrap(), rate("1/h", 10)), ("free".parse().unwrap(), rate("1/h", 0))],
        tenants: vec![("acme".parse().unwrap(), rate("1/h", 7))],
        ..own
    }]
}

#[test]
fn a_tenant_has_the_numbers_of_its_own_of_its_plan_or_of_the_limit_and_the_least_of_an_unknown_plan() {
    let start = start();
    let plans = ["silver", "gold", "free"].map(|plan| plan.parse().unwrap());
    let limits = Arc::new(Limits::new(planned(), plans.to_vec(), Seed::random(), 16, start).unwrap());
    for (tenant, plan, expected) in [
        ("acme", Some("gold"), 7),
        ("globex", Some("gold"), 10),
        ("initech", Some("free"), 0),
        ("hooli", Some("silver"), 3),
        ("umbrella", None, 3),
        ("cyberdyne", Some("golld"), 0),
    ] {
        let (tenant, plan): (TenantId, _) = (tenant.parse().unwrap(), plan.map(|plan| plan.parse().unwrap()));
        let asker = Asker { tenant: Some(&tenant), plan: plan.as_ref(), ..anybody() };
        assert_eq!(drain(&limits, &[0], &asker, start), expected, "{tenant} {plan:?}");
    }
    assert_eq!(limits.of_unknown_plans(), 1);
}

#[test]
fn an_unknown_plan_gets_the_least_of_every_number() {
    let start = start();
    let own = limit("l", "10/h", 3, &[]);
    let plans = vec![("quick".parse().unwrap(), rate("100/h", 2)), ("slow".parse().unwrap(), rate("1/h", 50))];
    let kept = vec![Limit { plans, ..own }];
    let known = ["quick", "slow"].map(|plan| plan.parse().unwrap()).to_vec();
    let limits = Arc::new(Limits::new(kept, known, Seed::random(), 16, start).unwrap());
    let unknown = "bought".parse().unwrap();
    let asker = Asker { plan: Some(&unknown), ..anybody() };
    assert_eq!(drain(&limits, &[0], &asker, start), 2);
    assert_eq!(limits.spend(&[0], &asker, ONE, start).unwrap_err().retry_after(), Some(3_600));
}

#[test]
fn numbers_of_a_plan_that_count_something_else_are_refused() {
    let own = limit("l", "10/h", 3, &[]);
    let kept = vec![Limit { plans: vec![("gold".parse().unwrap(), Numbers::Concurrency(9))], ..own }];
    let error = Limits::new(kept, vec!["gold".parse().unwrap()], Seed::random(), 16, start()).unwrap_err();
    assert_eq!(error, InvalidLimit::Kind("l".parse().unwrap()));
}

#[test]
fn other_numbers_leave_nobody_better_off_than_rested_or_worse_than_used_up() {
    let start = start();
    for (old, new, rest, back) in [
        // Spent 100 of 100: the budget is used up under the new numbers too, and comes back as they say.
        (("1/h", 100), ("100/s", 100), 0, Duration::from_millis(10)),
        (("1/h", 100), ("1/h", 20), 0, Duration::from_secs(3_600)),
        (("1/h", 100), ("1/h", 120), 20, Duration::ZERO),
        // A second's worth of a fast budget is next to nothing of a slow one.
        (("100/s", 100), ("1/h", 100), 99, Duration::ZERO),
    ] {
        let asker = from([192, 0, 2, 1]);
        let before = limits(vec![limit("l", old.0, old.1, &[KeyPart::ClientIp])], 16, start);
        assert_eq!(drain(&before, &[0], &asker, start), old.1);
        let after = vec![limit("l", new.0, new.1, &[KeyPart::ClientIp])];
        let after = Arc::new(Limits::succeed(&before, after, Vec::new()).unwrap());
        assert_eq!(drain(&after, &[0], &asker, start), rest, "{old:?} {new:?}");
        if rest == 0 {
            assert!(after.spend(&[0], &asker, ONE, start + back - Duration::from_nanos(1)).is_err(), "{old:?} {new:?}");
            assert!(after.spend(&[0], &asker, ONE, start + back).is_ok(), "{old:?} {new:?}");
        }
    }
}

#[test]
fn what_is_in_flight_gives_back_its_place_under_the_next_numbers_too() {
    let start = start();
    let before = limits(vec![of("flights", Numbers::Concurrency(2), &[])], 16, start);
    let flying = [0, 1].map(|_| before.spend(&[0], &anybody(), ONE, start).unwrap());
    let after = vec![limit("other", "1/h", 1, &[]), of("flights", Numbers::Concurrency(3), &[])];
    let after = Arc::new(Limits::succeed(&before, after, Vec::new()).unwrap());
    let third = after.spend(&[1], &anybody(), ONE, start).unwrap();
    assert!(after.spend(&[1], &anybody(), ONE, start).is_err());
    drop((flying, third, before));
    let three = [0, 1, 2].map(|_| after.spend(&[1], &anybody(), ONE, start).unwrap());
    assert!(after.spend(&[1], &anybody(), ONE, start).is_err());
    drop(three);
}
