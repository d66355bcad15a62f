//! What limits cost a request: five kinds in one step, and their settling at its end. It allocates nothing.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use criterion::Criterion;
use limit::{Asker, Failures, KeyPart, Limit, Limits, Mode, Numbers, Scope, Seed};
use terms::{Period, RouteId, TenantId, Zone};

use crate::allocations;

/// How many tenants ask in turn.
const TENANTS: usize = 10_000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let start = Instant::now();
    let berlin: Zone = "Europe/Berlin".parse().expect("a zone");
    let route: RouteId = "invoices".parse().expect("a route");
    let tenants: Vec<TenantId> = (0..TENANTS).map(|n| format!("tenant-{n}").parse().expect("a tenant")).collect();
    let gold = "gold".parse().expect("a plan");
    for (name, which) in [("spend one rate", &[0][..]), ("spend five kinds", &[0, 1, 2, 3, 4])] {
        let limits = Arc::new(limits(start));
        let mut asking = tenants.iter().cycle();
        let mut spend = || {
            let asker = Asker {
                tenant: asking.next(),
                plan: Some(&gold),
                zone: Some(&berlin),
                at: UNIX_EPOCH + std::time::Duration::from_secs(1_795_867_200),
                ..Asker::stranger([192, 0, 2, 1].into(), Some(&route), UNIX_EPOCH)
            };
            limits.spend(which, &asker, NonZeroU32::MIN, Instant::now()).is_ok()
        };
        assert!((0..TENANTS).all(|_| spend()), "every budget has room"); // from here on all keys are there
        let (count, passed) = allocations::during(|| (0..TENANTS).all(|_| spend()));
        assert!(passed, "every budget has room");
        assert_eq!(count, 0, "limits allocate nothing");
        criterion.bench_function(name, |bencher| bencher.iter(|| black_box(spend())));
    }
}

fn limits(start: Instant) -> Limits {
    let (burst, most) = (4_000_000_000, u32::MAX);
    let failures = Failures { most: 60_000, within: MINUTE, lock: MINUTE, statuses: [401, 0, 0, 0] };
    let numbers = [
        Numbers::Rate { rate: "1000000/s".parse().expect("a rate"), burst },
        Numbers::Quota { count: most, per: Period::Month },
        Numbers::Concurrency(most),
        Numbers::Bytes { rate: "1GiB/s".parse().expect("a rate"), burst: 1 << 30 },
        Numbers::Failures(failures),
    ];
    let limit = |(n, numbers): (usize, Numbers)| Limit {
        id: format!("limit-{n}").parse().expect("a limit"),
        key: vec![KeyPart::Tenant],
        mode: Mode::Enforce,
        scope: Scope::Gateway,
        numbers,
        plans: if n == 4 { Vec::new() } else { vec![("gold".parse().expect("a plan"), numbers)] },
        tenants: Vec::new(),
    };
    let plans = vec!["gold".parse().expect("a plan")];
    Limits::new(numbers.into_iter().enumerate().map(limit).collect(), plans, Seed::random(), 1 << 20, start)
        .expect("limits")
}

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
