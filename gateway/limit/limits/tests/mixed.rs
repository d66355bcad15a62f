//! Properties over limits of several kinds at once, in simulated time.

use super::*;
use crate::{Ended, Failures};

#[test]
fn a_month_at_the_limit_gives_what_the_rate_says_and_no_more() {
    let start = start();
    let month = Duration::from_secs(31 * 86_400);
    for (rate, burst) in [("100/m", 20), ("7/h", 3), ("3/s", 1), ("1000/d", 1)] {
        let limits = limits(vec![limit("l", rate, burst, &[KeyPart::ClientIp])], 16, start);
        let asker = from([192, 0, 2, 1]);
        let (mut now, mut passed) = (start, 0_u64);
        // As soon as one more fits, and a try just before that, which must not pass: for some hundred thousand of them.
        while now < start + month && passed < 300_000 {
            match limits.spend(&[0], &asker, ONE, now) {
                Ok(_) => passed += 1,
                Err(exceeded) => {
                    let wait = exceeded.deciding().unwrap().next;
                    assert!(limits.spend(&[0], &asker, ONE, now + wait - Duration::from_nanos(1)).is_err());
                    now += wait;
                }
            }
        }
        let parsed: terms::Rate = rate.parse().unwrap();
        let took = (now - start).as_nanos();
        let exact = u128::from(burst) + took * u128::from(parsed.count.get()) / parsed.per.as_nanos();
        assert!(u128::from(passed) <= exact + 1, "{rate}: {passed} passed, {exact} may");
        assert!(exact - u128::from(passed).min(exact) <= 1, "{rate}: {passed} passed of {exact}");
    }
}

/// Everything that can be seen of the limits from outside, for one asker.
fn seen(limits: &Arc<Limits>, count: usize, asker: &Asker<'_>, now: Instant) -> Vec<(u64, Duration)> {
    // Looking must not charge: too large a cost is refused, and a refusal is charged nowhere.
    let look = |place| match limits.spend(&[place], asker, NonZeroU32::MAX, now) {
        Err(exceeded) => exceeded.standing().levels()[0],
        Ok(spent) => spent.standing.levels()[0], // of those that do not mind the cost; given back at once
    };
    (0..count).map(look).map(|level| (level.remaining, level.reset)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_refused_request_leaves_every_level_as_it_was(
        kinds in prop::collection::vec((0_usize..4, 1_u32..6, any::<bool>(), any::<bool>()), 2..=MAX_LEVELS),
        steps in prop::collection::vec((0_u8..3, 1_u32..4, 0_u64..3_000, 0_u64..3, 0_usize..3), 1..120),
    ) {
        let kept: Vec<Limit> = kinds.iter().enumerate().map(|(i, (kind, most, keyed, looks))| {
            let numbers = match kind {
                0 => Numbers::Rate { rate: "1/s".parse().unwrap(), burst: most + 3 },
                1 => Numbers::Concurrency(*most),
                2 => Numbers::Bytes { rate: "1KiB/s".parse().unwrap(), burst: u64::from(*most) << 10 },
                _ => Numbers::Failures(Failures {
                    most: u16::try_from(*most).unwrap(),
                    within: Duration::from_secs(10),
                    lock: Duration::from_secs(20),
                    statuses: [401, 0, 0, 0],
                }),
            };
            let mode = if *looks { Mode::Shadow } else { Mode::Enforce };
            Limit { mode, ..of(&format!("l{i}"), numbers, if *keyed { &[KeyPart::ClientIp] } else { &[] }) }
        }).collect();
        let count = kept.len();
        let enforced = kept.iter().any(|limit| limit.mode == Mode::Enforce);
        let start = start();
        let limits = limits(kept, 1_000, start);
        let which: Vec<usize> = (0..count).rev().collect();
        let mut flying = Vec::new();
        let mut now = start;
        for (host, units, pause, ended, how) in steps {
            now += Duration::from_millis(pause);
            let asker = from([192, 0, 2, host]);
            let before: Vec<_> = (0..3).map(|host| seen(&limits, count, &from([192, 0, 2, host]), now)).collect();
            match limits.spend(&which, &asker, NonZeroU32::new(units).unwrap(), now) {
                Ok(spent) => flying.push(spent),
                Err(exceeded) => {
                    prop_assert!(enforced && exceeded.violated().count() > 0);
                    let after: Vec<_> = (0..3).map(|host| seen(&limits, count, &from([192, 0, 2, host]), now)).collect();
                    prop_assert_eq!(before, after);
                }
            }
            for _ in 0..ended {
                if let Some(mut spent) = flying.pop() {
                    let status = [Some(200), Some(401), None][how];
                    spent.held.ends(Ended { bytes: 700, status }, now);
                }
            }
        }
        for mut spent in flying {
            spent.held.ends(Ended::default(), now);
        }
        // Nobody is in flight any more, whatever happened before.
        for (place, (kind, most, ..)) in kinds.iter().enumerate().filter(|(_, (kind, ..))| *kind == 1) {
            let level = limits.spend(&[place], &anybody(), ONE, now).unwrap().standing.levels()[0];
            prop_assert_eq!(level.remaining + 1, u64::from(*most), "{}", kind);
        }
    }
}
