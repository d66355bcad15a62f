use std::collections::HashMap;
use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

fn socket(place: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 1_000 + u16::try_from(place).unwrap()))
}

fn list(weights: &[u16]) -> List {
    List::new(weights.iter().enumerate().map(|(place, weight)| (socket(place), *weight)), None, Address::new)
}

fn tenants(count: usize) -> Vec<TenantId> {
    (0..count).map(|number| format!("tenant-{number}").parse().unwrap()).collect()
}

fn share(count: usize, of: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / f64::from(u32::try_from(of).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn round_robin_gives_each_exactly_what_its_weight_says(weights in prop::collection::vec(1_u16..20, 1..12)) {
        let list = list(&weights);
        let balancer = Balancer::new(Balance::RoundRobin);
        let mut counts: HashMap<SocketAddr, usize> = HashMap::new();
        for _ in 0..list.turns() * 3 {
            *counts.entry(balancer.pick(&list, None, |_| true).unwrap().socket()).or_default() += 1;
        }
        let sum: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
        for (place, weight) in weights.iter().enumerate() {
            prop_assert_eq!(counts[&socket(place)] * sum, list.turns() * 3 * usize::from(*weight));
        }
    }

    #[test]
    fn when_an_address_leaves_only_its_own_tenants_move(count in 2_usize..20, leaves in 0_usize..20) {
        let leaves = leaves % count;
        let list = list(&vec![1; count]);
        let balancer = Balancer::new(Balance::Consistent);
        let tenants = tenants(2_000);
        let mut moved = 0;
        for tenant in &tenants {
            let before = balancer.pick(&list, Some(tenant), |_| true).unwrap().socket();
            let after = balancer.pick(&list, Some(tenant), |address| address.socket() != socket(leaves));
            if before == socket(leaves) {
                moved += 1;
            } else {
                prop_assert_eq!(before, after.unwrap().socket(), "{} stays where it is", tenant);
            }
        }
        let (moved, fair) = (share(moved, tenants.len()), share(1, count));
        prop_assert!((moved - fair).abs() <= 0.05, "{} moved, {} would be fair", moved, fair);
    }

    #[test]
    fn nobody_is_picked_who_does_not_fit(weights in prop::collection::vec(1_u16..9, 1..9), sick in 0_usize..9) {
        let list = list(&weights);
        let tenant = "acme".parse().unwrap();
        for balance in [Balance::Consistent, Balance::LeastRequests, Balance::RoundRobin] {
            let balancer = Balancer::new(balance);
            for _ in 0..20 {
                let picked = balancer.pick(&list, Some(&tenant), |address| address.socket() != socket(sick));
                prop_assert!(picked.is_none_or(|address| address.socket() != socket(sick)));
                prop_assert_eq!(picked.is_none(), weights.len() == 1 && sick == 0);
            }
        }
    }
}

#[test]
fn tenants_fall_to_addresses_as_their_weights_say_and_in_the_same_way_everywhere() {
    let list = list(&[1, 3]);
    let balancer = Balancer::new(Balance::Consistent);
    let heavy = |tenant: &&TenantId| balancer.pick(&list, Some(tenant), |_| true).unwrap().socket() == socket(1);
    let heavy = share(tenants(4_000).iter().filter(heavy).count(), 4_000);
    assert!((0.70..0.80).contains(&heavy), "{heavy}");
    // Written down, so that a change of the hash, which would move every tenant at an upgrade, is seen.
    assert_eq!(digest(*b"acme"), 1_372_038_925_648_144_367);
}

#[test]
fn of_two_the_less_busy_one_is_asked() {
    let list = list(&[1, 1, 1, 1]);
    let balancer = Balancer::new(Balance::LeastRequests);
    for _ in 0..400 {
        balancer.pick(&list, None, |_| true).unwrap().begin();
    }
    let counts: Vec<u32> = list.members().iter().map(|member| member.address.in_flight()).collect();
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(most - least <= 8, "{counts:?}");
    let busy = &list.members()[0].address;
    for _ in 0..10_000 {
        busy.begin();
    }
    let asked = (0..1_000).filter(|_| balancer.pick(&list, None, |_| true).unwrap().socket() == socket(0)).count();
    assert!(asked < 30, "whoever has ten thousand under way loses against anybody, and was asked {asked} times");
}
