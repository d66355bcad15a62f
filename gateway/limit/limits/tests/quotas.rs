//! Quotas of days and months: whose they are, when they begin anew, and what a restart leaves of them.

use std::time::{SystemTime, UNIX_EPOCH};

use terms::{Period, Zone};

use super::*;
use crate::{Mark, UsedQuota};

/// 2026-11-28T12:00:00Z.
const NOON: u64 = 1_795_867_200;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn quota(count: u32, per: Period) -> Limit {
    of("quota", Numbers::Quota { count, per }, &[KeyPart::ClientIp])
}

fn passing(limits: &Arc<Limits>, asker: &Asker<'_>, start: Instant) -> u32 {
    drain(limits, &[0], asker, start)
}

#[test]
fn a_quota_is_used_up_once_in_a_day_and_begins_anew_at_midnight_where_the_tenant_is() {
    let start = start();
    let limits = limits(vec![quota(10, Period::Day)], 16, start);
    let berlin: Zone = "Europe/Berlin".parse().unwrap();
    let noon = Asker { at: at(NOON), zone: Some(&berlin), ..from([192, 0, 2, 1]) };
    assert_eq!(passing(&limits, &noon, start), 10);
    let refused = limits.spend(&[0], &noon, ONE, start).unwrap_err();
    assert_eq!((refused.reason(), refused.retry_after()), (terms::Reason::LimitQuota, Some(11 * 3_600)));
    assert_eq!(limits.policy_field(refused.standing()), r#""quota";q=10;w=86400"#);
    assert_eq!(limits.standing_field(refused.standing()), r#""quota";r=0;t=39600"#);
    for (later, expected) in [(11 * 3_600 - 1, 0), (11 * 3_600, 10), (12 * 3_600, 0), (35 * 3_600, 10)] {
        assert_eq!(passing(&limits, &Asker { at: at(NOON + later), ..noon }, start), expected, "{later}");
    }
    // Who is elsewhere has its own midnight, in the same table.
    let utc = Asker { at: at(NOON + 11 * 3_600), ..from([192, 0, 2, 2]) };
    assert_eq!(passing(&limits, &utc, start), 10);
    assert_eq!(passing(&limits, &Asker { at: at(NOON + 12 * 3_600), ..utc }, start), 10);
}

#[test]
fn a_month_of_a_quota_has_as_many_days_as_the_month_has() {
    let start = start();
    let limits = limits(vec![quota(3, Period::Month)], 16, start);
    let mut passed = Vec::new();
    for day in 0..100 {
        let asker = Asker { at: at(NOON + day * 86_400), ..from([192, 0, 2, 1]) };
        if passing(&limits, &asker, start) == 3 {
            passed.push(day);
        }
    }
    assert_eq!(passed, [0, 3, 34, 65, 93], "28 November, and the first of December, January, February and March");
}

#[test]
fn neither_a_clock_that_steps_back_nor_another_time_zone_gives_anything_back() {
    let start = start();
    let limits = limits(vec![quota(5, Period::Day)], 16, start);
    let midnight = NOON + 12 * 3_600;
    let asker = Asker { at: at(midnight), ..from([192, 0, 2, 1]) };
    assert_eq!(passing(&limits, &asker, start), 5);
    assert_eq!(passing(&limits, &Asker { at: at(midnight - 60), ..asker }, start), 0, "a minute back is another day");
    let auckland: Zone = "Pacific/Auckland".parse().unwrap();
    let moved = Asker { zone: Some(&auckland), at: at(midnight + 12 * 3_600), ..asker };
    assert_eq!(passing(&limits, &moved, start), 0, "a new day there, and not where it was used");
    let later = |hours: u64| Asker { at: at(midnight + hours * 3_600), ..moved };
    assert_eq!([23, 24, 34, 35].map(|hours| passing(&limits, &later(hours), start)), [0, 5, 0, 5], "each day once");
}

#[test]
fn a_quota_as_large_as_can_be_said_is_kept_too() {
    let start = start();
    let limits = limits(vec![quota(u32::MAX, Period::Day)], 16, start);
    let asker = Asker { at: at(NOON), ..from([192, 0, 2, 1]) };
    let cost = |cost: u32| NonZeroU32::new(cost).unwrap();
    assert!(limits.spend(&[0], &asker, cost(u32::MAX - 1), start).is_ok());
    assert!(limits.spend(&[0], &asker, cost(2), start).is_err(), "one is left");
    assert!(limits.spend(&[0], &asker, ONE, start).is_ok());
    assert!(limits.spend(&[0], &asker, ONE, start).is_err());
}

#[test]
fn what_is_used_by_a_clock_that_has_stepped_back_is_of_the_period_that_had_begun() {
    let start = start();
    let limits = limits(vec![quota(5, Period::Day)], 16, start);
    let midnight = NOON + 12 * 3_600;
    let ask = |seconds: u64| limits.spend(&[0], &Asker { at: at(seconds), ..from([192, 0, 2, 1]) }, ONE, start).is_ok();
    assert_eq!([0, 1, 2].map(|later| ask(midnight + later)), [true; 3]);
    assert!(ask(midnight - 60));
    assert_eq!([3, 4].map(|later| ask(midnight + later)), [true, false], "the day has begun once");
}

#[test]
fn what_was_used_before_a_restart_is_used() {
    let start = start();
    let seed = Seed::random();
    let fresh = || Arc::new(Limits::new(vec![quota(10, Period::Day)], Vec::new(), seed, 64, start).unwrap());
    let before = fresh();
    let asker = |host: u8| Asker { at: at(NOON), ..from([192, 0, 2, host]) };
    for host in 1..=3 {
        assert_eq!((0..host).filter(|_| before.spend(&[0], &asker(host), ONE, start).is_ok()).count(), host.into());
    }
    let used = before.take_used();
    assert_eq!(used.len(), 3);
    assert!(used.iter().all(|used| used.ends == u32::try_from(NOON).unwrap() + 12 * 3_600));
    assert_eq!(before.take_used(), [], "nothing was used since");
    before.spend(&[0], &asker(1), ONE, start).unwrap();
    let first = used.iter().find(|used| used.count == 1).unwrap().key;
    let told = before.take_used();
    assert_eq!(told.iter().find(|used| used.key == first).unwrap().count, 2, "and its neighbours may be told again");

    let after = fresh();
    after.restore(&used);
    after.restore(&used.iter().map(|used| UsedQuota { count: 0, ..used.clone() }).collect::<Vec<_>>());
    let other = [
        UsedQuota { per: Period::Month, ..used[0].clone() },
        UsedQuota { limit: "x".parse().unwrap(), ..used[0].clone() },
    ];
    after.restore(&other);
    assert_eq!(after.take_used(), [], "who has kept it need not keep it again");
    for host in 1..=3 {
        assert_eq!(passing(&after, &asker(host), start), 10 - u32::from(host));
    }
    assert_eq!(passing(&after, &asker(4), start), 10);
}

#[test]
fn keys_of_another_seed_are_nobodys() {
    assert_eq!(Seed::from(Seed::random().bytes()).bytes().len(), 16);
    let seed = Seed::random();
    assert_eq!(Seed::from(seed.bytes()).bytes(), seed.bytes());
}

#[test]
fn a_key_that_comes_near_the_end_is_told_once_in_a_period() {
    let start = start();
    let limits =
        limits(vec![of("quota", Numbers::Quota { count: 10, per: Period::Day }, &[KeyPart::Tenant])], 16, start);
    let (acme, globex): (TenantId, TenantId) = ("acme".parse().unwrap(), "globex".parse().unwrap());
    let spend = |tenant, cost: u32, seconds| {
        let asker = Asker { tenant: Some(tenant), at: at(seconds), ..anybody() };
        limits.spend(&[0], &asker, NonZeroU32::new(cost).unwrap(), start).is_ok()
    };
    let told =
        || limits.take_near().into_iter().map(|near| (near.tenant.unwrap().to_string(), near.mark)).collect::<Vec<_>>();
    assert!(spend(&acme, 7, NOON));
    assert_eq!(told(), []);
    assert!(spend(&acme, 1, NOON) && spend(&acme, 1, NOON) && !spend(&acme, 2, NOON));
    assert_eq!(told(), [("acme".into(), Mark::Nearly)]);
    assert!(spend(&acme, 1, NOON) && !spend(&acme, 1, NOON) && spend(&globex, 9, NOON));
    assert_eq!(told(), [("acme".into(), Mark::UsedUp), ("globex".into(), Mark::Nearly)]);
    assert!(spend(&acme, 8, NOON + 86_400));
    assert_eq!(told(), [("acme".into(), Mark::Nearly)], "the next day is another");
    let counts: Vec<_> = limits.near().map(|(_, mark, count)| (mark, count)).collect();
    assert_eq!(counts, [(Mark::Nearly, 3), (Mark::UsedUp, 1)]);
}
