//! The order of calls in a world without time: what ends, and when, is chosen by each test, or by whoever wants to break it.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::oneshot::Receiver;

use super::*;

/// An upstream of which many tenants want more than there is.
struct World {
    queue: Queue,
    weights: Vec<Weight>,
    /// Whose requests are in flight, the oldest first.
    in_flight: Vec<usize>,
    waiting: Vec<Waits>,
    /// Whose requests lost their place in line, in the order in which they did.
    shed: Vec<usize>,
    calls: Vec<usize>,
}

/// Who waits, under which number, and for what.
struct Waits(usize, u64, Receiver<Result<(), Shed>>);

fn name(who: usize) -> TenantId {
    format!("t{who}").parse().unwrap()
}

impl World {
    fn new(places: u32, length: u32, weights: &[u32]) -> Self {
        let per_tenant = NonZeroU32::MAX;
        let wait = Duration::from_secs(1);
        let caps = Caps { in_flight: NonZeroU32::new(places).unwrap(), per_tenant, waiting: length, wait };
        Self {
            queue: Queue::new(caps, Instant::now),
            weights: weights.iter().map(|weight| Weight::try_from(*weight).unwrap()).collect(),
            in_flight: Vec::new(),
            waiting: Vec::new(),
            shed: Vec::new(),
            calls: Vec::new(),
        }
    }

    fn come(&mut self, who: usize) -> Option<Shed> {
        let entered = self.queue.enter(Some(&name(who)), self.weights[who]);
        let refused = match entered {
            Entered::Place => {
                self.in_flight.push(who);
                None
            }
            Entered::Shed(shed) => Some(shed),
            Entered::Waiting(number, place) => {
                self.waiting.push(Waits(who, number, place));
                None
            }
        };
        self.hear();
        refused
    }

    /// The request at this place of those in flight is over.
    fn end(&mut self, place: usize) -> usize {
        let who = self.in_flight.remove(place);
        self.queue.leave(Some(&name(who)));
        self.hear();
        who
    }

    /// So many requests of it come, and have a place or wait for one.
    fn comes(&mut self, who: usize, requests: u32) {
        (0..requests).for_each(|_| assert_eq!(self.come(who), None));
    }

    /// So many of those in flight are over, the oldest first.
    fn ends(&mut self, requests: u32) {
        (0..requests).for_each(|_| assert!(self.end(0) < self.weights.len()));
    }

    fn hear(&mut self) {
        let mut still = Vec::new();
        for Waits(who, number, mut place) in self.waiting.drain(..) {
            match place.try_recv() {
                Ok(Ok(())) => {
                    self.in_flight.push(who);
                    self.calls.push(who);
                }
                Ok(Err(_)) => self.shed.push(who),
                Err(_) => still.push(Waits(who, number, place)),
            }
        }
        self.waiting = still;
    }

    fn has(&self, who: usize) -> usize {
        self.in_flight.iter().filter(|other| **other == who).count()
    }

    fn waits(&self, who: usize) -> usize {
        self.waiting.iter().filter(|waits| waits.0 == who).count()
    }

    /// Lets each have so many in line, whatever becomes of them.
    fn crave(&mut self, depth: usize) {
        for who in 0..self.weights.len() {
            while self.waits(who) < depth {
                self.come(who);
            }
        }
    }

    fn sum_of_weights(&self) -> u32 {
        self.weights.iter().map(|weight| u32::from(weight.get())).sum()
    }
}

#[test]
fn where_all_requests_take_the_same_time_calls_are_as_many_as_the_weights_say() {
    for (places, weights) in [
        (1, vec![4, 1]),
        (2, vec![4, 1]),
        (1, vec![1, 1, 1]),
        (16, vec![3, 2, 1]),
        (16, vec![10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        (3, vec![1_000, 1]),
        (7, vec![5, 5, 5, 2, 1]),
        (16, vec![1; 40]),
        (5, (1..=12).collect()),
    ] {
        let mut world = World::new(places, 1_000, &weights);
        world.crave(2);
        for _ in 0..places {
            world.end(0); // whoever had come first, as long as nobody waited
            world.crave(2);
        }
        world.calls.clear();
        let sum = world.sum_of_weights();
        for _ in 0..sum * places * 4 {
            world.end(0);
            world.crave(2);
        }
        for (who, weight) in weights.iter().enumerate() {
            let calls = world.calls.iter().filter(|called| **called == who).count();
            let due = usize::try_from(weight * places * 4).unwrap();
            assert!(
                calls.abs_diff(due) <= 2,
                "{places} places, weights {weights:?}: {calls} calls of {who}, due {due}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However long requests take, whoever it is that takes long.
    #[test]
    fn who_waits_has_its_share_of_the_places_and_no_more_within_one_place(
        places in 1_u32..24,
        weights in prop::collection::vec(1_u32..12, 2..9),
        first in prop::collection::vec(0_usize..9, 24),
        ends in prop::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let mut world = World::new(places, 1_000, &weights);
        for who in first.into_iter().take(places as usize) {
            world.come(who % weights.len()); // somebody has them all
        }
        world.crave(2);
        let sum = world.sum_of_weights();
        for _ in 0..places + 2 * sum {
            world.end(0); // none of these is left, and everybody has had a turn
            world.crave(2);
        }
        for end in ends {
            world.end(end.index(places as usize));
            world.crave(2);
            prop_assert_eq!(world.in_flight.len(), places as usize, "a place is free");
            for (who, weight) in weights.iter().enumerate() {
                let (least, most) = (weight * places / sum, (weight * places).div_ceil(sum));
                let has = u32::try_from(world.has(who)).unwrap();
                prop_assert!((least..=most).contains(&has), "{} has {}, and not {}..={}", who, has, least, most);
            }
        }
    }

    /// Even if others come and go all the time, and the one that ends is always the one that hurts most.
    #[test]
    fn nobody_waits_for_longer_than_it_takes_all_others_to_have_their_turns(
        places in 1_u32..8,
        weights in prop::collection::vec(1_u32..6, 2..7),
        events in prop::collection::vec((0_usize..7, any::<prop::sample::Index>()), 600),
    ) {
        let mut world = World::new(places, 10_000, &weights);
        (0..places + 1).for_each(|_| { world.come(1); });
        world.come(0); // it waits, and nothing of it ever ends
        let before = world.calls.len();
        let mut turns = 0;
        for (who, end) in events {
            if world.waits(0) == 0 {
                break;
            }
            world.come(1 + who % (weights.len() - 1));
            world.end(end.index(world.in_flight.len()));
            turns = world.calls.len() - before;
        }
        let bound = 3 * (world.sum_of_weights() as usize + places as usize) + weights.len();
        prop_assert!(world.waits(0) == 0 && turns <= bound, "{turns} others were called, which is more than {bound}");
    }

    #[test]
    fn no_place_is_left_free_while_somebody_waits_but_the_few_that_are_for_others(
        places in 16_u32..50,
        weights in prop::collection::vec(1_u32..12, 2..6),
        events in prop::collection::vec((0_usize..6, 0_u8..5, any::<prop::sample::Index>()), 0..400),
    ) {
        let mut world = World::new(places, 1_000, &weights);
        for (who, event, end) in events {
            if event == 0 && !world.in_flight.is_empty() {
                world.end(end.index(world.in_flight.len()));
            } else {
                world.come(who % weights.len());
            }
            let free = places as usize - world.in_flight.len();
            prop_assert!(world.waiting.is_empty() || free <= (places / RESERVE) as usize, "{free} are free");
            for (who, weight) in weights.iter().enumerate().filter(|_| free > 0) {
                let less = u32::try_from(world.has(who)).unwrap() * world.sum_of_weights() < weight * places;
                prop_assert!(!less || world.waits(who) == 0, "{who} has less than its share, and waits");
            }
        }
        while !world.in_flight.is_empty() {
            world.end(0);
        }
        prop_assert!(world.queue.is_empty() && world.waiting.is_empty(), "nobody is left");
    }

    #[test]
    fn who_loses_its_place_in_line_is_always_one_that_has_most_for_its_weight(
        places in 1_u32..4,
        length in 1_u32..8,
        weights in prop::collection::vec(1_u32..5, 2..5),
        events in prop::collection::vec((0_usize..5, 0_u8..4, any::<prop::sample::Index>()), 0..300),
    ) {
        let mut world = World::new(places, length, &weights);
        let ratio = |world: &World, who: usize, more: usize| {
            (world.has(who) + world.waits(who) + more) as f64 / f64::from(world.weights[who].get())
        };
        for (who, event, end) in events {
            let who = who % weights.len();
            if event == 0 && !world.in_flight.is_empty() {
                world.end(end.index(world.in_flight.len()));
                continue;
            }
            let full = world.waiting.len() == length as usize && world.in_flight.len() == places as usize;
            let before: Vec<f64> = (0..weights.len()).map(|who| ratio(&world, who, 0)).collect();
            let newcomer = ratio(&world, who, 1);
            let waits: Vec<usize> = (0..weights.len()).map(|who| world.waits(who)).collect();
            let newest: Vec<Option<u64>> =
                (0..weights.len()).map(|who| world.waiting.iter().rev().find(|it| it.0 == who).map(|it| it.1)).collect();
            world.shed.clear();
            let refused = world.come(who);
            prop_assert_eq!(refused.is_some() || !world.shed.is_empty(), full, "somebody goes when there is no room, and only then");
            let heaviest = (0..weights.len()).filter(|who| waits[*who] > 0).map(|who| before[who]).fold(0.0, f64::max);
            if let [victim] = world.shed[..] {
                prop_assert!(refused.is_none());
                prop_assert!((before[victim] - heaviest).abs() < 1e-6 && heaviest > newcomer - 1e-6);
                prop_assert!(world.waiting.iter().all(|waits| Some(waits.1) != newest[victim]), "it was the newest");
            } else if refused.is_some() {
                prop_assert!(heaviest <= newcomer + 1e-6, "somebody had more");
            }
            prop_assert!(world.waiting.len() <= length as usize && world.in_flight.len() <= places as usize);
        }
    }
}

#[test]
fn one_tenant_alone_may_have_all_places_and_who_comes_then_has_the_next_ones_up_to_its_share() {
    let mut world = World::new(16, 256, &[1, 1]);
    world.comes(0, 216);
    assert_eq!((world.has(0), world.waits(0)), (16, 200), "it is nobody else's");
    world.comes(1, 20);
    world.calls.clear();
    world.ends(8);
    assert_eq!(world.calls, [1; 8], "the next places are all its own");
    world.ends(4);
    assert_eq!((world.has(0), world.has(1)), (8, 8), "and no more than its share");
    // It has asked for fifty times as much, and that is on nobody's account but its own.
    let waits = world.waits(0);
    while world.waits(1) > 0 {
        let one = world.in_flight.iter().position(|who| *who == 1).unwrap();
        world.end(one);
    }
    assert_eq!((world.has(0), world.has(1)), (8, 8), "a place that one of its own gives back is its own");
    assert_eq!(world.waits(0), waits);
}

#[test]
fn a_tenant_that_asks_for_little_waits_for_the_next_place_once_and_then_finds_one_that_is_free() {
    let mut world = World::new(16, 1_000, &[1, 1, 1]);
    world.comes(0, 300);
    world.comes(1, 300);
    world.ends(16);
    world.comes(2, 1);
    world.calls.clear();
    world.end(0);
    assert_eq!(world.calls, [2], "one place is free, and it is the one that it waits for");
    for turn in 0..200 {
        let own = world.in_flight.iter().position(|who| *who == 2).unwrap();
        world.end(own);
        assert_eq!(world.in_flight.len(), 15, "one of sixteen places is for those who have less than their share");
        world.comes(2, 1);
        assert_eq!(world.has(2), 1, "turn {turn}: it did not wait");
        world.end(0);
        world.comes(turn % 2, 1);
    }
}

#[test]
fn a_share_becomes_smaller_at_once_when_others_come() {
    let mut world = World::new(8, 1_000, &[1; 8]);
    world.comes(0, 1);
    world.comes(1, 10);
    world.comes(0, 3); // of whom both wait, it has less than its half
    (2..8).for_each(|who| world.comes(who, 1));
    world.calls.clear();
    for _ in 0..6 {
        let of_one = world.in_flight.iter().position(|who| *who == 1).unwrap();
        world.end(of_one);
    }
    assert_eq!(world.calls, [2, 3, 4, 5, 6, 7], "now it has its eighth");
}

#[tokio::test(start_paused = true)]
async fn who_was_here_a_second_ago_is_forgotten_and_one_tenant_alone_may_have_all_places() {
    let mut world = World::new(32, 1_000, &[1, 1]);
    world.comes(1, 1);
    world.end(0);
    world.comes(0, 100);
    assert_eq!(world.has(0), 30, "two of thirty-two places are for those who have less than their share");
    tokio::time::advance(Duration::from_millis(1_001)).await;
    world.end(0);
    assert_eq!(world.has(0), 32, "nobody else was here lately");
    world.comes(1, 1);
    assert_eq!(world.waits(1), 1, "and who comes then waits for a place that is given back");
    while !world.in_flight.is_empty() {
        world.end(0);
    }
    tokio::time::advance(Duration::from_millis(1_001)).await;
    world.comes(0, 1);
    world.end(0);
    assert_eq!(world.queue.tenants.len(), 1);
}

#[test]
fn as_many_are_remembered_as_there_is_room_for_and_the_rest_is_forgotten_at_once() {
    let mut queue = World::new(16, 10, &[1]).queue;
    for who in 0..3 * MOST_LATELY {
        assert!(matches!(queue.enter(Some(&name(who)), Weight::ONE), Entered::Place));
        queue.leave(Some(&name(who)));
    }
    assert_eq!((queue.tenants.len(), queue.lately.len()), (MOST_LATELY, MOST_LATELY));
    assert!(queue.is_empty());
}

#[test]
fn a_weight_that_changes_counts_from_the_next_request_on_and_nothing_is_lost() {
    let mut world = World::new(4, 100, &[1, 1]);
    world.crave(5);
    world.weights[0] = Weight::try_from(3).unwrap();
    for _ in 0..20 {
        world.crave(6);
        world.end(0);
    }
    assert_eq!((world.has(0), world.has(1)), (3, 1));
    world.weights[0] = Weight::ONE;
    for _ in 0..20 {
        world.crave(7);
        world.end(0);
    }
    assert_eq!((world.has(0), world.has(1)), (2, 2));
    while !world.in_flight.is_empty() {
        world.end(0);
    }
    assert!(world.queue.is_empty(), "nothing is kept of anybody");
}

#[test]
fn who_is_sent_away_is_told_why_and_who_has_least_is_never_told_that_it_has_too_much() {
    let mut world = World::new(2, 4, &[1, 1]);
    world.comes(0, 5);
    assert_eq!(world.come(1), None, "there is room in line, still");
    assert_eq!(world.queue.shed(Some(&name(0))).bound, Bound::Share);
    assert_eq!(
        world.queue.shed(Some(&name(1))).bound,
        Bound::Upstream,
        "it has one request in line, and waits for others"
    );
    assert_eq!(world.come(0).map(|shed| shed.bound), Some(Bound::Share));
    let mut alone = World::new(2, 1, &[1]);
    alone.comes(0, 3);
    assert_eq!(alone.come(0).map(|shed| shed.bound), Some(Bound::Upstream), "nobody else wants anything");
}

#[tokio::test(start_paused = true)]
async fn it_is_worth_to_ask_again_when_the_own_line_has_had_its_turns() {
    let mut world = World::new(2, 200, &[1, 3]);
    world.comes(0, 42);
    assert_eq!(world.queue.shed(Some(&name(0))).retry_after, Duration::from_secs(1), "nothing was seen yet");
    for _ in 0..40 {
        tokio::time::advance(Duration::from_millis(500)).await;
        world.end(0);
        world.come(0);
    }
    let of = |world: &World, who| world.queue.shed(Some(&name(who))).retry_after.as_secs_f64().round();
    assert_eq!(of(&world, 0), 21.0, "40 before it, half a second for each, and its own");
    world.comes(1, 40);
    assert_eq!(of(&world, 1), 27.0, "of four turns three are its own");
    assert_eq!(of(&world, 0), 41.0, "it has one of four, but not beyond the end of the line");
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(of(&world, 0), 60.0, "the backend has come to a halt");
}
