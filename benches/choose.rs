//! Budget: which address is next is asked once for each attempt, and costs next to nothing: no lock, no allocation.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use criterion::Criterion;
use terms::TenantId;
use upstream::{
    AddressSettings, Balance, EjectionSettings, HealthSettings, Protocol, Settings, Timeouts, Tried, Unavailable,
    Upstream, Went,
};

use crate::allocations;

const BALANCES: [(Balance, &str); 3] = [
    (Balance::Consistent, "choose/consistent"),
    (Balance::LeastRequests, "choose/least_requests"),
    (Balance::RoundRobin, "choose/round_robin"),
];

pub(crate) fn bench(criterion: &mut Criterion) {
    let tenant: TenantId = "acme".parse().expect("a tenant");
    for (balance, name) in BALANCES {
        let now = Instant::now();
        let upstream = upstream(balance, now);
        let mut ask = || attempt(&upstream, &tenant, now + Duration::from_secs(31)).expect("an address");
        let (count, ()) = allocations::during(|| (0..1_000).for_each(|_| ask()));
        assert_eq!(count, 0, "{name}: an attempt allocates nothing");
        criterion.bench_function(name, |bencher| bencher.iter(&mut ask));
    }
}

fn attempt(upstream: &Upstream, tenant: &TenantId, now: Instant) -> Result<(), Unavailable> {
    let chosen = upstream.choose(Some(black_box(tenant)), &Tried::default(), now)?;
    upstream.report(&chosen, Some(tenant), Went::Answered(200), now);
    Ok(())
}

/// Eight addresses, one of which was out and returns.
fn upstream(balance: Balance, now: Instant) -> Upstream {
    let second = Duration::from_secs(1);
    let address =
        |port: u16| AddressSettings { at: format!("10.0.0.1:{port}").parse().expect("an address"), weight: 1 };
    let upstream = Upstream::new(
        Settings {
            id: "orders".parse().expect("a name"),
            addresses: (1..=8).map(address).collect(),
            balance,
            protocol: Protocol::Http1,
            timeouts: Timeouts::all(second),
            health: HealthSettings {
                check: None,
                ejection: EjectionSettings {
                    consecutive: NonZeroU32::MIN,
                    span: second * 30,
                    longest: second * 30,
                    max_share: "50%".parse().expect("a share"),
                },
                slow_return: second * 30,
            },
        },
        now,
    );
    let chosen = upstream.choose(None, &Tried::default(), now).expect("an address");
    upstream.report(&chosen, None, Went::Unconnected, now);
    drop(chosen);
    upstream
}
