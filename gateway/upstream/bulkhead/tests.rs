use std::collections::HashMap;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proptest::prelude::*;

use super::*;

mod neighbour;

const PATIENCE: Duration = Duration::from_secs(3_600);

fn bulkhead(in_flight: u32, per_tenant: u32, waiting: u32) -> Arc<Bulkhead> {
    Arc::new(Bulkhead::new(Caps {
        in_flight: NonZeroU32::new(in_flight).unwrap(),
        per_tenant: NonZeroU32::new(per_tenant).unwrap(),
        waiting,
        wait: Duration::from_secs(1),
    }))
}

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// A request that has come, and has a place if it is ready.
fn come(bulkhead: &Arc<Bulkhead>, who: &'static str) -> BoxFuture<'static, Result<InFlight, Shed>> {
    let bulkhead = Arc::clone(bulkhead);
    let mut request = async move { bulkhead.enter(Some(&tenant(who)), Weight::ONE, PATIENCE).await }.boxed();
    match (&mut request).now_or_never() {
        Some(entered) => std::future::ready(entered).boxed(),
        None => request,
    }
}

fn in_flight(request: BoxFuture<'static, Result<InFlight, Shed>>) -> InFlight {
    request.now_or_never().expect("it waits").expect("it was sent away")
}

#[tokio::test]
async fn one_tenant_at_its_cap_leaves_the_rest_to_the_others() {
    let bulkhead = bulkhead(10, 4, 0);
    let _slow: Vec<_> = (0..4).map(|_| in_flight(come(&bulkhead, "acme"))).collect();
    assert_eq!(come(&bulkhead, "acme").await.unwrap_err().bound, Bound::Tenant);
    let others: Vec<_> = ["globex", "initech"].iter().map(|who| in_flight(come(&bulkhead, who))).collect();
    assert_eq!(bulkhead.occupancy(), Occupancy { in_flight: 6, waiting: 0 });
    drop(others);
    assert_eq!(bulkhead.occupancy(), Occupancy { in_flight: 4, waiting: 0 });
}

#[tokio::test]
async fn a_full_upstream_sends_everybody_away_and_says_so() {
    let bulkhead = bulkhead(2, 2, 0);
    let _held = [in_flight(come(&bulkhead, "acme")), in_flight(come(&bulkhead, "globex"))];
    assert_eq!(come(&bulkhead, "initech").await.unwrap_err().bound, Bound::Upstream);
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_is_sent_away_after_the_wait_or_its_own_patience() {
    let bulkhead = bulkhead(1, 1, 8);
    let _held = in_flight(come(&bulkhead, "acme"));
    let start = tokio::time::Instant::now();
    assert_eq!(come(&bulkhead, "globex").await.unwrap_err().bound, Bound::Upstream);
    assert_eq!(start.elapsed().as_secs(), 1);
    let hurried = bulkhead.enter(Some(&tenant("acme")), Weight::ONE, Duration::from_millis(10)).await;
    assert_eq!(hurried.unwrap_err().bound, Bound::Upstream, "it has the only place, and nobody else wants it");
    assert!(start.elapsed() < Duration::from_millis(1_100));
    assert_eq!(bulkhead.occupancy(), Occupancy { in_flight: 1, waiting: 0 });
}

#[tokio::test]
async fn places_go_round_over_tenants_and_not_over_requests() {
    let bulkhead = bulkhead(1, 1, 64);
    let mut held = in_flight(come(&bulkhead, "acme"));
    let mut queue: Vec<_> = (0..20).map(|_| ("acme", come(&bulkhead, "acme"))).collect();
    queue.push(("globex", come(&bulkhead, "globex")));
    queue.push(("initech", come(&bulkhead, "initech")));
    let mut order = Vec::new();
    for _ in 0..6 {
        drop(held);
        let next = queue.iter_mut().position(|(_, request)| match request.now_or_never() {
            Some(entered) => {
                *request = std::future::ready(entered).boxed();
                true
            }
            None => false,
        });
        let (who, request) = queue.remove(next.expect("a free place goes to somebody"));
        order.push(who);
        held = in_flight(request);
    }
    assert_eq!(order, ["acme", "globex", "initech", "acme", "acme", "acme"]);
}

#[tokio::test]
async fn a_queue_that_one_tenant_has_filled_is_still_there_for_the_others() {
    let bulkhead = bulkhead(1, 1, 10);
    let held = in_flight(come(&bulkhead, "acme"));
    let mut slow: Vec<_> = (0..10).map(|_| come(&bulkhead, "acme")).collect();
    let mut other = come(&bulkhead, "globex");
    assert!((&mut other).now_or_never().is_none(), "it waits");
    assert_eq!(slow.pop().unwrap().await.unwrap_err().bound, Bound::Share, "the last of those of whom most wait");
    assert_eq!(bulkhead.occupancy(), Occupancy { in_flight: 1, waiting: 10 });
    assert_eq!(come(&bulkhead, "acme").await.unwrap_err().bound, Bound::Share, "not for another of its own");
    drop(held);
    drop(in_flight(slow.remove(0)));
    drop(in_flight(other));
}

#[tokio::test]
async fn a_request_that_went_away_while_it_was_called_gives_its_place_back() {
    let bulkhead = bulkhead(1, 1, 10);
    let held = in_flight(come(&bulkhead, "acme"));
    let (gone, next) = (come(&bulkhead, "acme"), come(&bulkhead, "globex"));
    drop(held); // the first of them is called, and does not look
    assert_eq!(bulkhead.occupancy(), Occupancy { in_flight: 1, waiting: 1 });
    drop(gone);
    drop(in_flight(next));
    assert_eq!(bulkhead.occupancy(), Occupancy { in_flight: 0, waiting: 0 });
}

#[tokio::test]
async fn a_panic_gives_the_place_back() {
    let bulkhead = bulkhead(1, 1, 0);
    let held = in_flight(come(&bulkhead, "acme"));
    let broke = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _held = held;
        panic!("on purpose");
    }));
    assert!(broke.is_err());
    drop(in_flight(come(&bulkhead, "acme")));
}

proptest! {
    #[test]
    fn no_order_of_events_leaks_a_place_or_exceeds_a_cap(
        (total, per_tenant, waiting) in (1_u32..6, 1_u32..4, 0_u32..6),
        events in prop::collection::vec((0_usize..4, 0_u8..3, 0_usize..8), 0..200),
    ) {
        const NAMES: [&str; 4] = ["acme", "globex", "initech", "umbrella"];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let bulkhead = bulkhead(total, per_tenant, waiting);
            let (mut inside, mut outside) = (Vec::new(), Vec::new());
            for (who, event, which) in events {
                match event {
                    0 => outside.push((who, come(&bulkhead, NAMES[who]))),
                    1 if !inside.is_empty() => drop(inside.remove(which % inside.len())),
                    2 if !outside.is_empty() => drop(outside.remove(which % outside.len())),
                    _ => {}
                }
                let mut still = Vec::new();
                for (who, mut request) in outside.drain(..) {
                    match (&mut request).now_or_never() {
                        Some(Ok(place)) => inside.push((who, place)),
                        Some(Err(_)) => {}
                        None => still.push((who, request)),
                    }
                }
                outside = still;
                let mut of_each: HashMap<usize, u32> = HashMap::new();
                inside.iter().for_each(|(who, _)| *of_each.entry(*who).or_default() += 1);
                let seen = bulkhead.occupancy();
                prop_assert_eq!(seen.in_flight as usize, inside.len());
                prop_assert_eq!(seen.waiting as usize, outside.len());
                prop_assert!(seen.in_flight <= total && seen.waiting <= waiting);
                prop_assert!(of_each.values().all(|count| *count <= per_tenant));
                let room = |who: &usize| of_each.get(who).copied().unwrap_or(0) < per_tenant;
                prop_assert!(seen.in_flight == total || !outside.iter().any(|(who, _)| room(who)), "somebody waits for nothing");
            }
            drop((inside, outside));
            prop_assert_eq!(bulkhead.occupancy(), Occupancy { in_flight: 0, waiting: 0 });
            prop_assert!(bulkhead.queue().is_empty());
            Ok(())
        })?;
    }
}
