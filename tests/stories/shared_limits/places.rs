//! Places among those in flight, of a gateway that is killed.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::{gateways, shared, status};
use crate::harness::{Gateway, PATIENCE, POLICIES, Redis, say};

/// How long a lease lasts without a word from its gateway, in milliseconds.
const LASTS: i64 = 30_000;

fn policies() -> String {
    POLICIES
        .replacen("limits:\n", "limits:\n  flights: { concurrency: 4, key: [tenant], on_store_loss: deny }\n", 1)
        .replacen("limits: [generous]", "limits: [generous, flights]\n    timeouts: { first_byte: 2m, request: 2m }", 1)
}

/// Requests that hang in this gateway until they are dropped, and have their places.
async fn hang(redis: &Redis, gateway: &Gateway, token: &str, count: usize) -> Vec<JoinHandle<()>> {
    let before = leases(redis).len();
    let hanging = (0..count).map(|_| {
        let request = gateway.request("GET", "acme", "/orders/hangs").bearer_auth(token);
        #[expect(clippy::disallowed_methods, reason = "it is aborted by its test")]
        tokio::spawn(async move {
            // On a busy machine the store may be late for it, and has its place until it is given back.
            while request
                .try_clone()
                .unwrap()
                .send()
                .await
                .is_ok_and(|answer| [429, 503].contains(&answer.status().as_u16()))
            {}
        })
    });
    let hanging = hanging.collect();
    gateway.eventually("they hang", || leases(redis).len() == before + count);
    hanging
}

/// When each lease runs out, in milliseconds from now.
fn leases(redis: &Redis) -> Vec<i64> {
    let lines = |words: &str| say(redis.port(), words).lines().map(str::to_owned).collect::<Vec<_>>();
    let key = lines("KEYS *flights*").into_iter().find(|line| line.starts_with("cloister:"));
    let Some(key) = key else { return Vec::new() };
    let now = lines("TIME")[2].parse::<i64>().unwrap() * 1_000;
    let ends = lines(&format!("ZRANGE {key} 0 -1 WITHSCORES")).into_iter().filter_map(|line| line.parse::<i64>().ok());
    ends.map(|end| end / 1_000 - now).collect()
}

/// Three of four places are taken by a gateway that was killed, and one by another, which is full then.
struct Killed {
    redis: Redis,
    all: Vec<Gateway>,
    token: String,
    lasting: Vec<JoinHandle<()>>,
}

impl Killed {
    async fn start() -> Self {
        let redis = Redis::start();
        let mut all = gateways(2, &shared(&redis, 2), &policies()).await;
        let token = all[0].token("acme", "ada", &["viewer"]);
        let lost = hang(&redis, &all[0], &token, 3).await;
        let lasting = hang(&redis, &all[1], &token, 1).await;
        all[0].process().signal("KILL");
        all[0].process().wait();
        lost.iter().for_each(JoinHandle::abort);
        let this = Self { redis, all, token, lasting };
        assert_eq!(this.asks().await, 429, "nobody knows yet whether it lives");
        this
    }

    /// What the gateway that lives answers; not that the store was late, as it may be on a busy machine.
    async fn asks(&self) -> u16 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match status(&self.all[1], "acme", "/orders/1", &self.token).await {
                503 => assert!(Instant::now() < deadline, "the store is late again and again"),
                status => return status,
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.lasting.iter().for_each(JoinHandle::abort);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_leaves_places_that_run_out() {
    let killed = Killed::start().await;
    let leases = leases(&killed.redis);
    assert_eq!(leases.len(), 4, "{leases:?}");
    assert!(leases.iter().all(|left| (0..=LASTS + 1_000).contains(left)), "{leases:?}");
}

mod slow {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn another_gateway_has_the_places_of_one_that_was_killed_when_its_leases_run_out() {
        let mut killed = Killed::start().await;
        let began = Instant::now();
        while killed.asks().await != 200 {
            assert!(began.elapsed() < Duration::from_secs(40), "they are never free: {:?}", leases(&killed.redis));
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        assert!(began.elapsed() > Duration::from_secs(20), "they were free too soon: {:?}", began.elapsed());
        // Its own lasts longer than a lease, and is renewed: three are free, and no fourth one.
        let (redis, gateway) = (&killed.redis, &killed.all[1]);
        gateway.eventually("its own is left", || leases(redis).len() == 1);
        let more = hang(redis, gateway, &killed.token, 3).await;
        killed.lasting.extend(more);
        assert_eq!(killed.asks().await, 429);
    }
}
