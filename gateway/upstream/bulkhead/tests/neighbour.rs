//! What a quiet tenant feels of a loud one, in simulated time, so that no machine's noise is in it.

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::*;

/// How long the backend takes for each request.
#[derive(Clone, Copy, Debug)]
enum Takes {
    /// From half of it to three halves.
    About(Duration),
    /// As long for each but for a little, so that those that begin together end nearly together.
    Just(Duration),
}

impl Takes {
    fn draw(self) -> Duration {
        match self {
            Self::About(time) => time.mul_f64(0.5 + fastrand::f64()),
            Self::Just(time) => time + Duration::from_micros(fastrand::u64(0..2_000)),
        }
    }
}

/// A client that asks again as soon as it has its answer; what lies between is the network's and its own time.
async fn ask(bulkhead: Arc<Bulkhead>, who: &'static str, takes: Takes, until: Instant) -> Vec<Duration> {
    let (tenant, mut times) = (tenant(who), Vec::new());
    while Instant::now() < until {
        sleep(Duration::from_micros(fastrand::u64(200..1_000))).await;
        let asked = Instant::now();
        let Ok(place) = bulkhead.enter(Some(&tenant), Weight::ONE, PATIENCE).await else {
            assert_eq!(who, "loud", "who asks for no more than its share is never sent away");
            continue;
        };
        sleep(takes.draw()).await;
        drop(place);
        times.push(asked.elapsed());
    }
    times
}

/// The 99th percentile of the quiet tenant's times.
async fn p99(quiet: usize, loud: usize, takes: Takes) -> Duration {
    let bulkhead = bulkhead(16, 16, 1_000);
    let (start, mut loops) = (Instant::now(), JoinSet::new());
    for _ in 0..loud {
        loops.spawn(ask(Arc::clone(&bulkhead), "loud", takes, start + Duration::from_secs(25)));
    }
    sleep(Duration::from_secs(5)).await;
    let quiet = (0..quiet).map(|_| ask(Arc::clone(&bulkhead), "quiet", takes, start + Duration::from_secs(20)));
    let mut times: Vec<Duration> = futures::future::join_all(quiet).await.into_iter().flatten().collect();
    times.sort();
    times[times.len() * 99 / 100]
}

#[tokio::test(start_paused = true)]
async fn a_tenant_at_fifty_times_its_share_moves_anothers_p99_by_less_than_a_fifth() {
    fastrand::seed(7);
    let time = Duration::from_millis(20);
    for takes in [Takes::About(time), Takes::Just(time)] {
        for quiet in [1, 4, 8] {
            let (alone, beside) = (p99(quiet, 0, takes).await, p99(quiet, 50 * 8, takes).await);
            assert!(beside < alone.mul_f64(1.2), "{takes:?}, {quiet} at once: {alone:?} alone, {beside:?} beside it");
        }
    }
}
