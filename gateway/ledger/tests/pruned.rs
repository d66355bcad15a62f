//! Records whose time is over go, and everything about those that remain can be shown as before.

use std::time::{Duration, UNIX_EPOCH};

use audit::Horizon;

use super::*;

impl World {
    /// Many small segments, whose last was begun when the clock said so.
    fn grow_in_segments(&self, records: u64, seconds: u64) {
        let settings = audit::Settings { segment_bytes: 65_536, ..audit::Settings::new(self.log(), "edge-1".into()) };
        let (journal, committer) = Journal::open(settings, Arc::new(ManualClock::at(seconds))).unwrap();
        let committer = std::thread::spawn(|| committer.run());
        let acme = "acme".parse().unwrap();
        for n in 0..records {
            let id = RequestId::new(n, fastrand::u128(..));
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            let entry = Entry { tenant: Some(&acme), ..Entry::new(id, at, Decision::Deny, Reason::AuthMissing) };
            journal.whole(&entry, &Outcome { status: Some(401), ..Outcome::default() }).unwrap();
            if n.is_multiple_of(100) {
                let before = journal.stats().records;
                while journal.stats().records == before {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
        journal.flush_and_close(Duration::from_secs(20)).unwrap();
        committer.join().unwrap().unwrap();
    }
}

/// Has the log say that these go.
fn say(world: &World, gone: &audit::Prunable) {
    let settings = audit::Settings::new(world.log(), "edge-1".into());
    let (journal, committer) = Journal::open(settings, Arc::new(ManualClock::at(OLD + 10 * DAY))).unwrap();
    let committer = std::thread::spawn(|| committer.run());
    journal.note(&audit::Note::Pruned { gone, size: 0, root: "", keep: DAY }).unwrap();
    journal.flush_and_close(Duration::from_secs(20)).unwrap();
    committer.join().unwrap().unwrap();
}

const OLD: u64 = 1_790_000_000;
const DAY: u64 = 24 * 3_600;

#[test]
fn what_is_past_its_time_goes_and_what_remains_is_proven_as_before() {
    let world = World::new();
    world.grow_in_segments(1_500, OLD);
    world.publish();
    let all = world.records();
    let held = ledger_prove(&world, 100, &all);
    world.grow_in_segments(700, OLD + 10 * DAY);
    world.publish();
    // As seen on the twelfth day.
    let at = |days: u64| Horizon {
        now: UNIX_EPOCH + Duration::from_secs(OLD + 12 * DAY),
        keep: Duration::from_secs((12 - days) * DAY),
    };

    let young = Horizon { keep: at(0).keep + Duration::from_secs(1), ..at(0) };
    assert_eq!(audit::prunable(&world.log(), young, u64::MAX, |_| false).unwrap(), None, "too young");
    assert_eq!(audit::prunable(&world.log(), at(5), 10, |_| false).unwrap(), None, "something keeps the first records");
    let on_hold = audit::prunable(&world.log(), at(5), u64::MAX, |tenant| tenant == "acme");
    assert_eq!(on_hold.unwrap(), None, "a legal hold keeps all of its tenant");
    let some = audit::prunable(&world.log(), at(5), u64::MAX, |_| false).unwrap().unwrap();
    assert!(some.minimum > 256 && some.minimum < 1_500, "{some:?}");
    let silent = World::new();
    copy(&world.log(), &silent.log());
    audit::prunable(&silent.log(), at(5), u64::MAX, |_| false).unwrap().unwrap().remove().unwrap();
    let problems = audit::verify(&silent.log()).unwrap().problems;
    assert!(matches!(problems[..], [audit::Problem { what: audit::Fault::Missing { .. }, .. }]), "{problems:#?}");
    say(&world, &some);
    world.publish();
    some.remove().unwrap();
    // It was broken off in the middle, and the next time there is more to do.
    assert_eq!(prune_bundles(&world.log(), 512).unwrap(), 2);
    assert_eq!(prune_bundles(&world.log(), some.minimum).unwrap(), some.minimum / 256 - 2);
    assert_eq!(prune_bundles(&world.log(), some.minimum).unwrap(), 0);

    world.assert_sound();
    let report = audit::verify(&world.log()).unwrap();
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    assert_eq!(report.first.unwrap().0, some.minimum);
    // Whoever holds a record that is gone can show that it was there, under today's checkpoint.
    let (_, record) = held;
    let receipt = prove(&world.log(), 100, leaf_hash(&record)).unwrap();
    assert!(receipt.verify(&record, &world.policy()).is_ok());
    // It goes on, and each chain with it.
    world.grow_in_segments(50, OLD + 11 * DAY);
    world.publish();
    world.assert_sound();
    let report = audit::verify(&world.log()).unwrap();
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    assert_eq!(report.tenants["acme"].last, 1_500 + 700 + 50);
}

fn ledger_prove(world: &World, index: u64, all: &[Vec<u8>]) -> (tlog::Receipt, Vec<u8>) {
    let record = all[usize::try_from(index).unwrap()].clone();
    (prove(&world.log(), index, leaf_hash(&record)).unwrap(), record)
}

#[test]
fn a_change_in_what_remains_of_a_pruned_log_is_found() {
    let world = World::new();
    world.grow_in_segments(1_500, OLD);
    world.grow_in_segments(100, OLD + 10 * DAY);
    world.publish();
    let horizon =
        Horizon { now: UNIX_EPOCH + Duration::from_secs(OLD + 11 * DAY), keep: Duration::from_secs(10 * DAY) };
    let pruned = audit::prunable(&world.log(), horizon, u64::MAX, |_| false).unwrap().unwrap();
    pruned.remove().unwrap();
    prune_bundles(&world.log(), pruned.minimum).unwrap();
    world.assert_sound();
    let folder = world.log().join("tlog");
    for file in ["tile/0/000", "tile/1/000.p/6"] {
        let path = folder.join(file);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[40] ^= 1;
        fs::write(&path, &bad).unwrap();
        assert!(!world.check().differences.is_empty(), "{file}");
        fs::write(&path, &good).unwrap();
    }
    world.assert_sound();
    fs::remove_file(folder.join("tile/0/000")).unwrap();
    assert!(matches!(world.check().differences[..], [Difference::Missing(_)]), "{:?}", world.check().differences);
}
