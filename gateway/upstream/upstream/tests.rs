use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::{AddressSettings, Balance};

pub(crate) fn settings(addresses: &[&str]) -> Settings {
    let second = Duration::from_secs(1);
    Settings {
        id: "orders".parse().unwrap(),
        addresses: addresses.iter().map(|at| AddressSettings { at: at.parse().unwrap(), weight: 1 }).collect(),
        balance: Balance::RoundRobin,
        protocol: Protocol::Http1,
        timeouts: Timeouts::all(second),
    }
}

#[test]
fn addresses_take_turns_and_what_was_tried_is_not_tried_again_while_there_is_another() {
    let upstream = Upstream::new(settings(&["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"]));
    let now = Instant::now();
    let mut tried = Tried::default();
    let mut ports = Vec::new();
    for _ in 0..3 {
        let chosen = upstream.choose(None, &tried, now).unwrap();
        tried.note(&chosen);
        ports.push(chosen.socket().port());
    }
    ports.sort_unstable();
    assert_eq!(ports, [1, 2, 3]);
    assert!(upstream.choose(None, &tried, now).is_ok(), "if all were tried, one is tried again");
}

#[test]
fn an_attempt_is_in_flight_until_it_is_let_go() {
    let upstream = Upstream::new(settings(&["10.0.0.1:1"]));
    let chosen = upstream.choose(None, &Tried::default(), Instant::now()).unwrap();
    let address = Arc::clone(chosen.address());
    assert_eq!(address.in_flight(), 1);
    drop(chosen);
    assert_eq!(address.in_flight(), 0);
}

#[test]
fn an_upstream_whose_name_is_not_looked_up_yet_says_so() {
    let upstream = Upstream::new(settings(&["orders.internal:80"]));
    let none = upstream.choose(None, &Tried::default(), Instant::now()).map(|chosen| chosen.socket());
    assert_eq!(none, Err(Unavailable::NoAddress));
    assert_eq!(upstream.ails().as_deref(), Some("no name looked up yet"));
}
