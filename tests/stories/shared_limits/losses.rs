//! Ways to lose the store, under load: nobody is told 401, 403 or 429 for it, nobody gets a 5xx but where a limit says so, and it
//! comes back without a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::{counts, did, gateways, policies, status};
use crate::harness::{Gateway, Redis, Slow};

/// As much as anybody wants: whatever is refused, is refused for something else.
pub fn plenty() -> String {
    policies().replace("rate: 1/h, burst: 12", "rate: 100000/s, burst: 100000")
}

/// The path, the status, and how long it took.
type Answered = (&'static str, u16, Duration);

/// Which answers came, to which path, until somebody says that it is enough.
pub struct Load {
    enough: Arc<AtomicBool>,
    running: Vec<JoinHandle<Vec<Answered>>>,
}

impl Load {
    fn on(all: &[Gateway]) -> Self {
        Self::slowly_on(all, Duration::ZERO)
    }

    /// Whoever was answered asks again only after such a time.
    pub fn slowly_on(all: &[Gateway], pause: Duration) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let token = all[0].token("acme", "ada", &["viewer"]);
        let running = all.iter().flat_map(|gateway| ["/share", "/deny", "/allow"].map(|path| (gateway, path)));
        let running = running.map(|(gateway, path)| {
            let request = gateway.request("GET", "acme", path).bearer_auth(&token);
            let enough = Arc::clone(&enough);
            #[expect(clippy::disallowed_methods, reason = "it ends with its test")]
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !enough.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let answer = request.try_clone().unwrap().send().await.unwrap();
                    answers.push((path, answer.status().as_u16(), began.elapsed()));
                    tokio::time::sleep(pause).await;
                }
                answers
            })
        });
        let running = running.collect();
        Self { enough, running }
    }

    /// How many it was, if none was answered with anything that its limit does not say.
    pub async fn ends(self, what: &str) -> usize {
        self.enough.store(true, Ordering::Relaxed);
        let (mut count, mut denied) = (0, 0);
        for running in self.running {
            for (path, status, took) in running.await.unwrap() {
                assert!(status == 200 || (path, status) == ("/deny", 503), "{what}: {path} was answered with {status}");
                assert!(took < Duration::from_secs(5), "{what}: {path} took {took:?}");
                count += 1;
                denied += usize::from(status == 503);
            }
        }
        assert!(denied > 0, "{what}: nobody noticed");
        count
    }
}

/// Goes on until each gateway has noticed.
pub fn until_lost(all: &[Gateway]) {
    for gateway in all {
        gateway.eventually("it is noticed", || did(gateway, "deny") > 0.0);
    }
}

/// What its limit refuses without the store is served again, by each of them.
pub async fn serves(all: &[Gateway]) {
    let token = all[0].token("acme", "ada", &["viewer"]);
    for gateway in all {
        let deadline = Instant::now() + Duration::from_secs(10);
        while status(gateway, "acme", "/deny", &token).await != 200 {
            assert!(Instant::now() < deadline, "the store is not asked again: {}", gateway.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn settings(url: &str) -> String {
    format!("redis: {{ url: \"{url}\", limits: {{ gateways: 2, timeout: 20ms }} }}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_killed_and_starts_again_empty() {
    let mut redis = Redis::start();
    let all = gateways(2, &settings(&redis.url()), &plenty()).await;
    let load = Load::on(&all);
    redis.end();
    until_lost(&all);
    redis.start_again();
    all.iter().for_each(counts);
    let answers = load.ends("killed").await;
    println!("{answers} answers");
    serves(&all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_stops_in_the_middle_of_everything() {
    let redis = Redis::start();
    let all = gateways(2, &settings(&redis.url()), &plenty()).await;
    let load = Load::on(&all);
    redis.signal("STOP");
    until_lost(&all);
    redis.signal("CONT");
    all.iter().for_each(counts);
    load.ends("stopped").await;
    serves(&all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_answers_too_late() {
    let redis = Redis::start();
    let slow = Slow::before(redis.port()).await;
    let all = gateways(2, &settings(&format!("redis://{}", slow.address())), &plenty()).await;
    let load = Load::on(&all);
    slow.by(Duration::from_millis(200));
    until_lost(&all);
    slow.by(Duration::ZERO);
    all.iter().for_each(counts);
    load.ends("slow").await;
    serves(&all).await;
}
