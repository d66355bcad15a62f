//! Several gateways on one server.

use super::*;

/// Polls it until the test ends.
pub(super) async fn running(tally: Tally) -> Tally {
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    drop(tokio::spawn(tally.clone().run(std::future::pending())));
    let deadline = Instant::now() + PATIENCE;
    while !tally.state().up {
        assert!(Instant::now() < deadline, "{:?}", tally.state());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tally
}

pub(super) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) fn all_kinds(gateways: u16) -> Vec<Limit> {
    let failures =
        Failures { most: 50, within: Duration::from_secs(60), lock: Duration::from_secs(60), statuses: [401, 0, 0, 0] };
    let of = |id: &str, numbers| limit(id, numbers, &[KeyPart::Tenant], OnLoss::LocalShare, gateways);
    vec![
        of("rate", Numbers::Rate { rate: "60/h".parse().unwrap(), burst: 100 }),
        of("quota", Numbers::Quota { count: 100, per: Period::Month }),
        of("flights", Numbers::Concurrency(100)),
        of("bytes", Numbers::Bytes { rate: "1MiB/m".parse().unwrap(), burst: 1 << 20 }),
        of("tries", Numbers::Failures(failures)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn three_gateways_let_through_what_one_would_and_everything_in_the_store_runs_out() {
    let redis = Redis::start();
    let mut gateways = Vec::new();
    for _ in 0..3 {
        gateways.push((limits(all_kinds(3)), running(redis.tally(PATIENCE)).await));
    }
    for (which, most) in [(vec![0], 100), (vec![1], 100), (vec![2], 100), (vec![0, 1, 2, 3, 4], 50)] {
        redis.ask::<()>(&["FLUSHALL"]);
        let rounds = gateways.iter().flat_map(|gateway| (0..100).map(move |_| gateway));
        let asks = rounds.map(async |(limits, tally)| spend(limits, tally, &which, &asker(0, today())).await);
        let spent: Vec<_> = futures::future::join_all(asks).await.into_iter().filter_map(Result::ok).collect();
        assert_eq!(spent.len(), most, "{which:?}");
        let keys: Vec<String> = redis.ask(&["KEYS", "test:limits:*"]);
        assert!(!keys.is_empty());
        for key in keys {
            assert!(redis.ask::<i64>(&["PTTL", &key]) > 0, "{key} stays for ever");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_one_limit_refuses_is_charged_to_none_in_the_store_or_here() {
    let redis = Redis::start();
    let rate = |id: &str, burst| {
        limit(id, Numbers::Rate { rate: "1/h".parse().unwrap(), burst }, &[KeyPart::Tenant], OnLoss::Deny, 2)
    };
    let here = Limit { scope: Scope::Gateway, ..rate("here", 4) };
    let (limits, tally) =
        (limits(vec![rate("narrow", 2), rate("wide", 10), here]), running(redis.tally(PATIENCE)).await);
    let now = asker(0, today());
    let left = |spent: &Result<Spent, Exceeded>| {
        let standing = match spent {
            Ok(spent) => spent.standing,
            Err(exceeded) => *exceeded.standing(),
        };
        standing.levels().iter().map(|level| level.remaining).collect::<Vec<_>>()
    };
    for expected in [vec![1, 9, 3], vec![0, 8, 2]] {
        assert_eq!(left(&spend(&limits, &tally, &[0, 1, 2], &now).await), expected);
    }
    for _ in 0..3 {
        let refused = spend(&limits, &tally, &[0, 1, 2], &now).await;
        assert!(refused.is_err());
        assert_eq!(left(&spend(&limits, &tally, &[0, 1, 2], &now).await)[..2], [0, 8]);
    }
    for expected in [vec![7, 1], vec![6, 0]] {
        assert_eq!(left(&spend(&limits, &tally, &[1, 2], &now).await), expected);
    }
    let refused = spend(&limits, &tally, &[1, 2], &now).await.unwrap_err();
    assert_eq!(refused.standing().levels().len(), 1, "what has no room here, the store is not asked about");
    assert_eq!(left(&spend(&limits, &tally, &[1], &now).await), [5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_request_counts_for_all_gateways() {
    let redis = Redis::start();
    let failures =
        Failures { most: 3, within: Duration::from_secs(60), lock: Duration::from_secs(60), statuses: [401, 0, 0, 0] };
    let of = |id: &str, numbers| limit(id, numbers, &[KeyPart::Tenant], OnLoss::Deny, 2);
    let all = || {
        limits(vec![
            of("flights", Numbers::Concurrency(1)),
            of("bytes", Numbers::Bytes { rate: "100B/h".parse().unwrap(), burst: 100 }),
            of("tries", Numbers::Failures(failures)),
        ])
    };
    let (a, b) = ((all(), running(redis.tally(PATIENCE)).await), (all(), running(redis.tally(PATIENCE)).await));
    let now = || asker(0, today());
    let settled = async |tally: &Tally| eventually("it is settled", || tally.state().owed == 0).await;
    let held = spend(&a.0, &a.1, &[0], &now()).await.unwrap();
    assert!(spend(&b.0, &b.1, &[0], &now()).await.is_err());
    drop(held);
    settled(&a.1).await;
    eventually("its place is free", || redis.ask::<Vec<String>>(&["KEYS", "*flights*"]).is_empty()).await;
    drop(spend(&b.0, &b.1, &[0], &now()).await.unwrap());

    let end = |mut spent: Spent, bytes, status| spent.held.ends(Ended { bytes, status: Some(status) }, Instant::now());
    end(spend(&a.0, &a.1, &[1], &now()).await.unwrap(), 300, 200);
    eventually("the bytes are there", || redis.ask::<Vec<String>>(&["KEYS", "*bytes*"]).len() == 1).await;
    assert!(spend(&b.0, &b.1, &[1], &now()).await.is_err());
    assert!(spend(&b.0, &b.1, &[1], &asker(1, today())).await.is_ok());

    for gateway in [&a, &b, &a] {
        end(spend(&gateway.0, &gateway.1, &[2], &now()).await.unwrap(), 0, 401);
    }
    eventually("it is locked", || {
        let keys: Vec<String> = redis.ask(&["KEYS", "*tries*"]);
        keys.iter().any(|key| redis.ask::<String>(&["GET", key]).ends_with(" 0 65535"))
    })
    .await;
    for gateway in [&a, &b] {
        assert!(spend(&gateway.0, &gateway.1, &[2], &now()).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_each_limit_does_what_it_says_and_what_was_spent_with_it_counts() {
    let redis = Redis::start();
    let rate = |id: &str, on_loss| {
        limit(id, Numbers::Rate { rate: "1/h".parse().unwrap(), burst: 10 }, &[KeyPart::Tenant], on_loss, 2)
    };
    let limits =
        limits(vec![rate("share", OnLoss::LocalShare), rate("deny", OnLoss::Deny), rate("allow", OnLoss::Allow)]);
    let tally = running(redis.tally(Duration::from_millis(100))).await;
    let now = || asker(0, today());
    for _ in 0..3 {
        let spent = spend(&limits, &tally, &[0], &now()).await.unwrap();
        assert_eq!(spent.standing.lost(), None);
    }
    drop(redis);
    eventually("it is seen to be gone", || !tally.state().up).await;
    for left in [1, 0] {
        let spent = spend(&limits, &tally, &[0], &now()).await.unwrap();
        assert_eq!((spent.standing.levels()[0].remaining, spent.standing.lost()), (left, Some(OnLoss::LocalShare)));
        assert_eq!(limits.standing_field(&spent.standing), "", "what is not the limit's is not told as the limit's");
    }
    let refused = spend(&limits, &tally, &[0], &now()).await.unwrap_err();
    assert_eq!((refused.reason().as_str(), refused.standing().lost()), ("limit.rate", Some(OnLoss::LocalShare)));
    let refused = spend(&limits, &tally, &[0, 1, 2], &asker(1, today())).await.unwrap_err();
    assert_eq!(refused.reason().as_str(), "limit.unavailable");
    for _ in 0..20 {
        let spent = spend(&limits, &tally, &[2], &now()).await.unwrap();
        assert_eq!(spent.standing.lost(), Some(OnLoss::Allow));
    }
    let lost: Vec<_> = limits.lost().map(|(_, count)| count).collect();
    assert_eq!(lost, [1, 3, 20]);
}
