use std::num::NonZeroU32;

use super::*;
use crate::{AddressSettings, Check, EjectionSettings};

mod ejection;
mod unhealthy;

pub(crate) fn settings(addresses: &[&str]) -> Settings {
    let second = Duration::from_secs(1);
    Settings {
        id: "orders".parse().unwrap(),
        addresses: addresses.iter().map(|at| AddressSettings { at: at.parse().unwrap(), weight: 1 }).collect(),
        balance: Balance::RoundRobin,
        protocol: Protocol::Http1,
        timeouts: Timeouts::all(second),
        health: health(),
    }
}

/// Checks that are never made, unless a test makes them; the defaults in all else.
pub(crate) fn health() -> HealthSettings {
    let seconds = Duration::from_secs;
    let count = |count| NonZeroU32::new(count).unwrap();
    HealthSettings {
        check: Some(CheckSettings {
            check: Check::Tcp,
            every: seconds(10),
            timeout: seconds(2),
            unhealthy: count(3),
            healthy: count(2),
        }),
        ejection: EjectionSettings {
            consecutive: count(5),
            span: seconds(30),
            longest: seconds(300),
            max_share: "50%".parse().unwrap(),
        },
        slow_return: seconds(30),
    }
}

#[test]
fn addresses_take_turns_and_what_was_tried_is_not_tried_again_while_there_is_another() {
    let upstream = Upstream::new(settings(&["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"]), Instant::now());
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
    let upstream = Upstream::new(settings(&["10.0.0.1:1"]), Instant::now());
    let chosen = upstream.choose(None, &Tried::default(), Instant::now()).unwrap();
    let address = Arc::clone(chosen.address());
    assert_eq!(address.in_flight(), 1);
    drop(chosen);
    assert_eq!(address.in_flight(), 0);
}

#[test]
fn an_upstream_whose_name_is_not_looked_up_yet_says_so() {
    let upstream = Upstream::new(settings(&["orders.internal:80"]), Instant::now());
    let none = upstream.choose(None, &Tried::default(), Instant::now()).map(|chosen| chosen.socket());
    assert_eq!(none, Err(Unavailable::NoAddress));
    assert_eq!(upstream.ails().as_deref(), Some("no name looked up yet"));
}

/// An upstream with so many addresses whose ports count from 1, and a time that is moved by hand.
struct World {
    upstream: Upstream,
    now: Instant,
}

impl World {
    fn new(addresses: usize) -> Self {
        Self::with(addresses, |_| {})
    }

    fn with(addresses: usize, change: impl FnOnce(&mut Settings)) -> Self {
        let addresses: Vec<String> = (1..=addresses).map(|port| format!("10.0.0.1:{port}")).collect();
        let mut settings = settings(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
        change(&mut settings);
        let now = Instant::now();
        Self { upstream: Upstream::new(settings, now), now }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn at(&self, port: u16) -> Arc<Address> {
        self.upstream.members().into_iter().find(|address| address.socket().port() == port).unwrap()
    }

    /// An attempt at this address by a tenant went so.
    fn went(&self, port: u16, tenant: &str, went: Went) {
        let tenant: TenantId = tenant.parse().unwrap();
        self.upstream.report(&Chosen::new(&self.at(port)), Some(&tenant), went, self.now);
    }

    fn refuses(&self, port: u16) {
        (0..5).for_each(|_| self.went(port, "acme", Went::Unconnected));
    }

    fn check(&self, port: u16, result: Result<(), ProbeError>) {
        self.upstream.checked(&self.at(port), self.upstream.check().unwrap(), result, self.now);
    }

    fn states(&self) -> States {
        self.upstream.states(self.now)
    }

    fn choose(&self, tenant: Option<&TenantId>) -> Result<u16, Unavailable> {
        self.upstream.choose(tenant, &Tried::default(), self.now).map(|chosen| chosen.socket().port())
    }

    /// How many of a thousand requests go to this address.
    fn share(&self, port: u16) -> f64 {
        let hits = (0..1_000).filter(|_| self.choose(None) == Ok(port)).count();
        f64::from(u16::try_from(hits).unwrap()) / 1_000.0
    }
}

impl Upstream {
    /// Other addresses than it was made with, as if a name stood for them.
    pub(crate) fn list_for_test(&self, sockets: &[std::net::SocketAddr]) {
        let wanted = sockets.iter().map(|socket| (*socket, 1));
        self.list.replace(List::new(wanted, Some(&self.list.snapshot()), Address::new));
        self.changed.notify_one();
    }
}
