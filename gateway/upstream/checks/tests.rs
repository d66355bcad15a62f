use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use super::*;
use crate::upstream::tests::settings;

/// Says of each port what it was told to, and counts how often it was asked.
#[derive(Debug, Default)]
struct Told {
    ill: Mutex<HashSet<u16>>,
    silent: Mutex<HashSet<u16>>,
    asked: Mutex<HashMap<u16, u32>>,
}

impl Probe for &Told {
    async fn probe(&self, _: &Upstream, check: &Check, address: SocketAddr) -> Result<(), ProbeError> {
        assert_eq!(*check, Check::Tcp);
        *self.asked.lock().unwrap().entry(address.port()).or_default() += 1;
        let silent = self.silent.lock().unwrap().contains(&address.port());
        if silent {
            std::future::pending::<()>().await;
        }
        if self.ill.lock().unwrap().contains(&address.port()) { Err(ProbeError::Status(500)) } else { Ok(()) }
    }
}

impl Told {
    fn asked(&self, port: u16) -> u32 {
        self.asked.lock().unwrap().get(&port).copied().unwrap_or(0)
    }
}

/// Runs a story beside the task, in a time that passes as fast as it is waited for.
async fn beside(told: &Told, upstream: &Arc<Upstream>, story: impl Future<Output = ()>) {
    tokio::select! {
        () = keep_checked(vec![Arc::clone(upstream)], Some(told), std::future::pending()) => panic!("it does not end by itself"),
        () = story => {}
    }
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn each_address_is_asked_at_once_and_then_again_and_again() {
    let (told, upstream) = (Told::default(), upstream());
    told.ill.lock().unwrap().insert(1);
    told.silent.lock().unwrap().insert(2);
    beside(&told, &upstream, async {
        seconds(3).await;
        assert_eq!([1, 2, 3].map(|port| told.asked(port)), [1, 1, 1]);
        assert_eq!(upstream.states(Instant::now()).unhealthy, 2, "one says so, one is late");
        seconds(60).await;
        assert!(
            (5..=7).contains(&told.asked(3)),
            "a tenth more or less often than every ten seconds: {}",
            told.asked(3)
        );
        told.ill.lock().unwrap().clear();
        told.silent.lock().unwrap().clear();
        seconds(30).await;
        assert_eq!(upstream.states(Instant::now()).unhealthy, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_is_checked_at_once_and_what_goes_no_more() {
    let (told, upstream) = (Told::default(), upstream());
    let socket = |port| SocketAddr::from(([10, 0, 0, 1], port));
    beside(&told, &upstream, async {
        seconds(1).await;
        upstream.list_for_test(&[socket(2), socket(4)]);
        seconds(1).await;
        assert_eq!(told.asked(4), 1);
        seconds(100).await;
        assert_eq!([1, 3].map(|port| told.asked(port)), [1, 1]);
        assert!(told.asked(2) >= 9 && told.asked(4) >= 9);
        upstream.list_for_test(&[socket(1)]);
        seconds(1).await;
        assert_eq!(told.asked(1), 2, "one that comes again is a new one");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_checks_it_waits_for_the_end() {
    let mut settings = settings(&["10.0.0.1:1"]);
    settings.health.check = None;
    let (told, upstream) = (Told::default(), Arc::new(Upstream::new(settings, Instant::now())));
    keep_checked(vec![upstream], Some(&told), seconds(100)).await;
    assert_eq!(told.asked(1), 0);
}

#[test]
fn the_pause_between_two_checks_is_a_tenth_more_or_less() {
    let pause = |dice| jittered(Duration::from_secs(10), dice).as_millis();
    assert_eq!([0.0, 0.5, 1.0].map(pause), [9_000, 10_000, 11_000]);
}

fn upstream() -> Arc<Upstream> {
    Arc::new(Upstream::new(settings(&["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"]), Instant::now()))
}
