//! Whatever comes, the scripts say what `limit` says in process, level by level.

use proptest::test_runner::TestRunner;

use super::*;

/// A second at which the store's time begins.
const BEGIN: u64 = 1_800_000_000;

/// The time that the tests say it is.
const CLOCK: &str = "local now = tonumber(redis.call('GET', 'clock'))\n";

static JUDGE: LazyLock<Script> = LazyLock::new(|| Script::new(CLOCK, include_str!("../judge.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(CLOCK, include_str!("../settle.lua")));

/// Longer than any request of these tests.
const A_YEAR: Duration = Duration::from_secs(366 * 86_400);

/// What becomes of one request.
#[derive(Clone, Debug)]
struct Step {
    /// Before it, in microseconds.
    later: u64,
    tenant: usize,
    cost: u32,
    status: u16,
    bytes: u64,
    /// How many requests that are in progress are over before it.
    over: usize,
}

fn step() -> impl Strategy<Value = Step> {
    let later = prop_oneof![Just(0), 0..10_000_000u64, Just(86_400_000_000)];
    let status = prop_oneof![Just(200), Just(401)];
    (later, 0..2usize, 1..4u32, status, prop_oneof![Just(0), 0..5_000u64], 0..3usize)
        .prop_map(|(later, tenant, cost, status, bytes, over)| Step { later, tenant, cost, status, bytes, over })
}

fn numbers() -> [Numbers; 7] {
    let rate = |text: &str, burst| Numbers::Rate { rate: text.parse().unwrap(), burst };
    let failures =
        Failures { most: 3, within: Duration::from_secs(20), lock: Duration::from_secs(40), statuses: [401, 0, 0, 0] };
    [
        rate("20/m", 4),
        rate("2400/h", 9),
        Numbers::Quota { count: 12, per: Period::Day },
        Numbers::Concurrency(3),
        Numbers::Bytes { rate: "1B/s".parse().unwrap(), burst: 4_096 },
        Numbers::Failures(failures),
        Numbers::Concurrency(2),
    ]
}

/// Keeps what is due, for the test to tell.
#[derive(Debug)]
struct Dues(Arc<Mutex<Vec<Ended>>>);

impl Settling for Dues {
    fn settle(self: Box<Self>, ended: &Ended) {
        self.0.lock().unwrap().push(*ended);
    }
}

/// What a request has in the store: how it ends, its levels, its lease.
type There = (Spent, Arc<Mutex<Vec<Ended>>>, Vec<(String, Demand)>, String);

/// A request that is in progress on either side.
struct Running {
    step: Step,
    here: Option<Spent>,
    there: Option<There>,
}

#[test]
fn the_scripts_judge_as_the_process_does() {
    let (redis, runtime) = (Redis::start(), Runtime::new().unwrap());
    let count = numbers().len();
    let all = (
        proptest::collection::vec(step(), 1..40),
        proptest::sample::subsequence((0..count).collect::<Vec<_>>(), 1..=count),
        proptest::option::of(0..count),
    );
    let config = ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() };
    let compared = TestRunner::new(config).run(&all, |(steps, chosen, looking)| {
        redis.ask::<()>(&["FLUSHALL"]);
        let of = |scope: fn(Limit) -> Limit| {
            let all = numbers().into_iter().enumerate().map(|(place, numbers)| {
                let mode = if looking == Some(place) { Mode::Shadow } else { Mode::Enforce };
                let key = if place == 6 { &[KeyPart::ClientIp][..] } else { &[KeyPart::Tenant] };
                Limit { mode, ..scope(limit(&format!("l{place}"), numbers, key, OnLoss::Deny, 1)) }
            });
            all.collect::<Vec<_>>()
        };
        let start = Instant::now();
        let made = |all| Arc::new(Limits::new(all, Vec::new(), Seed::random(), 1_000, start).unwrap());
        let (here, there) = (made(of(|limit| Limit { scope: Scope::Gateway, ..limit })), made(of(|limit| limit)));
        let tally = redis.tally(PATIENCE);
        runtime.block_on(async {
            let mut connection = redis.server().connect(Duration::ZERO).await.unwrap();
            let (mut micros, mut running) = (0u64, Vec::<Running>::new());
            for (number, step) in steps.into_iter().enumerate() {
                micros += step.later;
                let clock = BEGIN * 1_000_000 + micros;
                redis::cmd("SET").arg("clock").arg(clock).exec_async(&mut connection).await.unwrap();
                let now = start + Duration::from_micros(micros);
                for over in running.drain(..step.over.min(running.len())) {
                    let ended = Ended { bytes: over.step.bytes, status: Some(over.step.status) };
                    if let Some(mut spent) = over.here {
                        spent.held.ends(ended, now);
                    }
                    let Some((mut spent, dues, levels, lease)) = over.there else { continue };
                    spent.held.ends(ended, now);
                    drop(spent);
                    let ends: Vec<_> = dues.lock().unwrap().drain(..).collect();
                    for (end, (key, demand)) in ends.iter().flat_map(|end| levels.iter().map(move |level| (end, level)))
                    {
                        let Some(due) = demand.due(end) else { continue };
                        let complete = |command: &mut redis::Cmd| {
                            command.arg(1).arg(key);
                            script::due(command, due, &lease, 1);
                        };
                        SETTLE.run::<i64>(&mut connection, complete).await.unwrap();
                    }
                }
                let asker = asker(step.tenant, UNIX_EPOCH + Duration::from_micros(clock));
                let cost = NonZeroU32::new(step.cost).unwrap();
                let one = here.spend(&chosen, &asker, cost, now);
                let asking = there.ask(&chosen, &asker, cost, now).unwrap();
                let named: Vec<_> = asking.demands().iter().map(|demand| (tally.0.key(demand), demand)).collect();
                let lease = format!("lease-{number}");
                let reply = script::judge(&JUDGE, &mut connection, (&lease, A_YEAR), cost, &named).await.unwrap();
                let charged = named.iter().zip(&reply.seen).filter(|(_, seen)| seen.unwrap().fits);
                let levels: Vec<_> = charged.map(|((key, demand), _)| (key.clone(), (*demand).clone())).collect();
                let dues = Arc::new(Mutex::default());
                let settling = Box::new(Dues(Arc::clone(&dues)));
                let two = asking.answered(&asker, &reply, Some(settling));
                let shown = |spent: &Result<Spent, Exceeded>| match spent {
                    Ok(spent) => format!("{:?}", spent.standing.levels()),
                    Err(exceeded) => format!("{} {:?}", exceeded.reason(), exceeded.standing().levels()),
                };
                assert_eq!(shown(&one), shown(&two), "at step {number}: {step:?}");
                running.push(Running { step, here: one.ok(), there: two.ok().map(|it| (it, dues, levels, lease)) });
            }
        });
        Ok(())
    });
    if let Err(error) = compared {
        panic!("{error}");
    }
}

/// A process that is killed says nothing more; one that lives says so every ten seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_free_again_when_nobody_has_spoken_for_it_for_half_a_minute() {
    let redis = Redis::start();
    let flights = limit("flights", Numbers::Concurrency(2), &[KeyPart::Tenant], OnLoss::Deny, 1);
    let (limits, tally) = (limits(vec![flights]), redis.tally(PATIENCE));
    let connection = redis.server().connect(Duration::ZERO).await.unwrap();
    let asker = asker(0, UNIX_EPOCH);
    let fits = async |second: u64, lease: &str| {
        let mut connection = connection.clone();
        redis.ask::<()>(&["SET", "clock", &((BEGIN + second) * 1_000_000).to_string()]);
        let asking = limits.ask(&[0], &asker, ONE, Instant::now()).unwrap();
        let named: Vec<_> = asking.demands().iter().map(|demand| (tally.0.key(demand), demand)).collect();
        let lease = (lease, crate::leases::LASTS);
        let reply = script::judge(&JUDGE, &mut connection, lease, ONE, &named).await.unwrap();
        (reply.seen[0].unwrap().fits, named[0].0.clone())
    };
    let (fit, key) = fits(0, "killed").await;
    assert!(fit && fits(1, "lives").await.0 && !fits(2, "third").await.0);
    for second in [10, 20, 30, 40] {
        redis.ask::<()>(&["SET", "clock", &((BEGIN + second) * 1_000_000).to_string()]);
        let lasts = crate::tally::micros(crate::leases::LASTS);
        let complete = |command: &mut redis::Cmd| {
            command.arg(1).arg(&key).arg("renew").arg("lives").arg(lasts);
        };
        SETTLE.run::<i64>(&mut connection.clone(), complete).await.unwrap();
        let free = fits(second + 1, &format!("at-{second}")).await.0;
        assert_eq!(free, second == 30, "at {second}");
    }
}
