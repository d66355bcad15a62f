//! What is no rate: requests in flight, bytes, failed logins; and limits that only look.

use std::num::NonZeroU16;

use super::*;
use crate::{Ended, Failures, Held};
use crate::{OnLoss, Reply, Scope, Seen, Verdict};

const SECOND: Duration = Duration::from_secs(1);

fn cost(cost: u32) -> NonZeroU32 {
    NonZeroU32::new(cost).unwrap()
}

#[test]
fn a_request_that_costs_more_takes_more_or_nothing() {
    let start = start();
    let limits = limits(vec![limit("l", "1/s", 10, &[]), limit("wide", "1/s", 100, &[])], 16, start);
    let spend = |units, now| limits.spend(&[0, 1], &anybody(), cost(units), now);
    assert_eq!(spend(4, start).unwrap().standing.levels()[0].remaining, 6);
    assert_eq!(spend(4, start).unwrap().standing.levels()[0].remaining, 2);
    let refused = spend(4, start).unwrap_err();
    assert_eq!((refused.retry_after(), refused.standing().levels()[1].remaining), (Some(2), 92), "two units are left");
    assert!(spend(4, start + SECOND).is_err());
    assert!(spend(4, start + 2 * SECOND).is_ok());
    assert_eq!(spend(11, start + 3_600 * SECOND).unwrap_err().retry_after(), None, "it can never pass");
}

#[test]
fn zero_is_none_and_never_unlimited() {
    let start = start();
    let rate = |burst| Numbers::Rate { rate: "1000/s".parse().unwrap(), burst };
    let none = [
        rate(0),
        Numbers::Bytes { rate: "1GiB/s".parse().unwrap(), burst: 0 },
        Numbers::Concurrency(0),
        Numbers::Failures(Failures { most: 0, within: SECOND, lock: SECOND, statuses: [401, 0, 0, 0] }),
    ];
    for numbers in none {
        let limits = limits(vec![of("l", numbers, &[])], 16, start);
        for later in [0, 1, 1_000_000] {
            let refused = limits.spend(&[0], &anybody(), ONE, start + later * SECOND).unwrap_err();
            assert_eq!(refused.retry_after(), None, "{numbers:?}");
        }
    }
}

#[test]
fn as_many_as_may_are_in_flight_and_each_gives_back_its_place_once() {
    let start = start();
    let limits = limits(vec![of("flights", Numbers::Concurrency(3), &[KeyPart::ClientIp])], 16, start);
    let (one, other) = (from([192, 0, 2, 1]), from([192, 0, 2, 2]));
    let take = |asker| limits.spend(&[0], asker, ONE, start);
    let mut flying: Vec<Held> = (0..3).map(|_| take(&one).unwrap().held).collect();
    let refused = take(&one).unwrap_err();
    assert_eq!((refused.reason(), refused.retry_after()), (terms::Reason::LimitConcurrency, Some(1)));
    assert_eq!(take(&other).unwrap().standing.levels()[0].remaining, 2);
    flying.pop();
    let again = take(&one).unwrap();
    assert_eq!(again.standing.levels()[0].remaining, 0);
    assert!(take(&one).is_err());
    drop((again, flying));
    assert_eq!(take(&one).unwrap().standing.levels()[0].remaining, 2);
    assert_eq!(limits.policy_field(&again_of(&limits, start)), r#""flights";q=3;qu="concurrent-requests""#);
}

fn again_of(limits: &Arc<Limits>, start: Instant) -> Standing {
    limits.spend(&[0], &anybody(), ONE, start).unwrap().standing
}

#[test]
fn a_place_that_was_taken_from_the_shared_ones_is_given_back_to_them() {
    let start = start();
    let limits = limits(vec![of("flights", Numbers::Concurrency(2), &[KeyPart::ClientIp])], 16, start);
    // Live keys fill every set, so that the next ones share.
    let flying: Vec<Held> =
        (0..500).filter_map(|n| limits.spend(&[0], &numbered(n), ONE, start).ok()).map(|it| it.held).collect();
    assert!(limits.crowded().next().unwrap().1 > 400, "the others share two places");
    let stranger = numbered(1_000_000);
    assert!(limits.spend(&[0], &stranger, ONE, start).is_err());
    drop(flying);
    for _ in 0..10 {
        let both = [0, 1].map(|_| limits.spend(&[0], &stranger, ONE, start).unwrap().held);
        assert!(limits.spend(&[0], &stranger, ONE, start).is_err());
        drop(both);
    }
}

#[test]
fn threads_never_have_more_in_flight_than_may_be() {
    let start = start();
    let limits = limits(vec![of("flights", Numbers::Concurrency(5), &[]), limit("rate", "1/h", 3_000, &[])], 16, start);
    let (flying, most, passed) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    if let Ok(spent) = limits.spend(&[1, 0], &anybody(), ONE, start) {
                        most.fetch_max(flying.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        passed.fetch_add(1, Ordering::Relaxed);
                        std::thread::yield_now();
                        flying.fetch_sub(1, Ordering::SeqCst);
                        drop(spent);
                    }
                }
            });
        }
    });
    let most = most.load(Ordering::SeqCst);
    assert!((2..=5).contains(&most), "{most} at once");
    let rest = drain(&limits, &[1], &anybody(), start);
    assert_eq!(passed.load(Ordering::Relaxed) + rest, 3_000, "one that was refused for its place was charged nowhere");
}

#[test]
fn bytes_are_charged_when_they_are_known_and_a_debt_is_waited_off() {
    let start = start();
    let numbers = Numbers::Bytes { rate: "60MiB/m".parse().unwrap(), burst: 10 << 20 };
    let limits = limits(vec![of("volume", numbers, &[])], 16, start);
    let ask = |now| limits.spend(&[0], &anybody(), ONE, now);
    let mut spent = ask(start).unwrap();
    assert_eq!(spent.standing.levels()[0].remaining, 10 << 20);
    assert_eq!(
        limits.policy_field(&spent.standing),
        r#""volume";q=62914560;qu="content-bytes";w=60;cloister-burst=10485760"#
    );
    spent.held.ends(Ended { bytes: 4 << 20, status: Some(200) }, start);
    drop(spent);
    let mut spent = ask(start).unwrap();
    assert_eq!(spent.standing.levels()[0].remaining, 6 << 20);
    spent.held.ends(Ended { bytes: 16 << 20, status: None }, start);
    drop(spent);
    let refused = ask(start).unwrap_err(); // 10 MiB in debt, at 1 MiB a second
    assert_eq!((refused.reason(), refused.retry_after()), (terms::Reason::LimitBytes, Some(11)));
    assert!(ask(start + 10 * SECOND).is_err());
    assert_eq!(ask(start + 11 * SECOND).unwrap().standing.levels()[0].remaining, 1 << 20);
    let mut spent = ask(start + 3_600 * SECOND).unwrap();
    spent.held.ends(Ended { bytes: u64::MAX, status: None }, start + 3_600 * SECOND);
    drop(spent);
    assert!(ask(start + 30 * 86_400 * SECOND).is_err(), "no debt is so large that it turns over");
}

fn login(most: u16) -> Numbers {
    let (within, lock) = (600 * SECOND, 900 * SECOND);
    Numbers::Failures(Failures { most, within, lock, statuses: [401, 403, 0, 0] })
}

fn answered(limits: &Arc<Limits>, status: u16, now: Instant) -> Result<(), Exceeded> {
    let mut spent = limits.spend(&[0], &anybody(), ONE, now)?;
    spent.held.ends(Ended { bytes: 0, status: Some(status) }, now);
    Ok(())
}

#[test]
fn so_many_answers_that_say_no_lock_out_for_a_time() {
    let start = start();
    let limits = limits(vec![of("login", login(5), &[])], 16, start);
    for (second, status) in [(0, 401), (1, 200), (2, 403), (3, 500), (4, 401), (5, 401)] {
        answered(&limits, status, start + second * SECOND).unwrap();
    }
    answered(&limits, 401, start + 6 * SECOND).unwrap(); // the fifth
    let refused = answered(&limits, 200, start + 7 * SECOND).unwrap_err();
    assert_eq!((refused.reason(), refused.retry_after()), (terms::Reason::LimitLockout, Some(899)));
    assert!(answered(&limits, 200, start + 905 * SECOND).is_err());
    assert!(answered(&limits, 401, start + 906 * SECOND).is_ok(), "and then it begins anew");
    for second in 0..3 {
        answered(&limits, 401, start + (907 + second) * SECOND).unwrap();
    }
    let later = start + (906 + 600) * SECOND;
    assert!((0..4).all(|_| answered(&limits, 401, later).is_ok()), "those of ten minutes ago do not count any more");
    assert_eq!(limits.policy_field(&again_of(&limits, later)), "", "nobody is told how many are left");
}

#[test]
fn guesses_that_wait_for_their_answers_count_as_wrong_until_those_are_there() {
    let start = start();
    let limits = limits(vec![of("login", login(5), &[])], 16, start);
    let ask = || limits.spend(&[0], &anybody(), ONE, start);
    let mut waiting: Vec<Spent> = (0..5).map(|_| ask().unwrap()).collect();
    let refused = ask().unwrap_err();
    assert_eq!(refused.retry_after(), Some(1));
    let mut right = waiting.pop().unwrap();
    right.held.ends(Ended { bytes: 0, status: Some(200) }, start);
    drop(right);
    waiting.push(ask().unwrap());
    assert!(ask().is_err());
    for mut spent in waiting {
        spent.held.ends(Ended { bytes: 0, status: Some(401) }, start);
    }
    assert_eq!(ask().unwrap_err().retry_after(), Some(900));
}

#[test]
fn a_limit_that_only_looks_refuses_nothing_and_counts_what_it_would() {
    let start = start();
    let shadow = |limit| Limit { mode: Mode::Shadow, ..limit };
    let kept = vec![
        shadow(limit("looks", "1/h", 2, &[])),
        limit("counts", "1/h", 5, &[]),
        shadow(of("flights", Numbers::Concurrency(1), &[])),
    ];
    let limits = limits(kept, 16, start);
    let mut flying = Vec::new();
    for n in 0..5 {
        let spent = limits.spend(&[0, 1, 2], &anybody(), ONE, start).unwrap();
        let would: Vec<usize> = spent.standing.would_refuse().map(|level| level.limit).collect();
        let expected: &[usize] = [&[][..], &[2], &[0, 2], &[0, 2], &[0, 2]][n];
        assert_eq!(would, expected);
        assert_eq!(limits.policy_field(&spent.standing), r#""counts";q=1;w=3600;cloister-burst=5"#);
        assert!(limits.standing_field(&spent.standing).starts_with("\"counts\""));
        flying.push(spent);
    }
    let refused = limits.spend(&[0, 1, 2], &anybody(), ONE, start).unwrap_err();
    assert_eq!(refused.violated().map(|level| level.limit).collect::<Vec<_>>(), [1]);
    let counts: Vec<u64> = limits.would_have_refused().map(|(_, count)| count).collect();
    assert_eq!(counts, [3, 4], "a request that another limit refused would not have got that far");
    drop(flying);
    let free = limits.spend(&[2], &anybody(), ONE, start).unwrap();
    assert_eq!(free.standing.would_refuse().count(), 0, "what was not charged is not given back");
    assert_eq!(limits.spend(&[2], &anybody(), ONE, start).unwrap().standing.would_refuse().count(), 1);
}

#[test]
fn what_a_limit_that_only_looks_was_not_charged_is_not_given_back() {
    let start = start();
    let in_store = Scope::Store { on_loss: OnLoss::Allow, gateways: NonZeroU16::MIN };
    let kept = vec![
        Limit { mode: Mode::Shadow, ..limit("looks", "1/h", 2, &[]) },
        limit("counts", "1/h", 5, &[]),
        Limit { scope: in_store, ..limit("shared", "1/h", 1, &[]) },
    ];
    let limits = limits(kept, 16, start);
    let left = |limits: &Arc<Limits>| {
        let standing = limits.spend(&[0, 1], &anybody(), ONE, start).unwrap().standing;
        let mut left: Vec<_> = standing.levels().iter().map(|level| (level.limit, level.remaining)).collect();
        left.sort_unstable();
        left
    };
    assert_eq!((left(&limits), left(&limits)), (vec![(0, 1), (1, 4)], vec![(0, 0), (1, 3)]));
    for _ in 0..3 {
        let asking = limits.ask(&[0, 1, 2], &anybody(), ONE, start).unwrap();
        let seen = vec![Some(Seen::default())];
        let reply = Reply { verdict: Verdict::Refused, seen };
        assert!(asking.answered(&anybody(), &reply, None).is_err());
    }
    let standing = limits.spend(&[0, 1], &anybody(), ONE, start).unwrap().standing;
    assert_eq!(standing.would_refuse().map(|level| level.limit).collect::<Vec<_>>(), [0], "it gives nothing");
    assert_eq!(left(&limits), [(0, 0), (1, 1)], "and takes nothing");
}
