//! Too much at once, and too little of everything.

use super::*;

#[test]
fn when_the_committer_does_not_keep_up_requests_are_refused_and_those_begun_keep_their_record() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut committer) = open(&folder);
    let held: Vec<_> = (0..5).map(|n| journal.begin(&entry(n)).unwrap()).collect();
    let mut recorded = 5;
    while journal.whole(&refusal(recorded), &outcome()).is_ok() {
        recorded += 1;
    }
    assert_eq!(journal.begin(&entry(9_999)).map(|_| ()), Err(Unavailable::Ring));
    assert_eq!(journal.whole(&entry(9_999), &outcome()), Err(Unavailable::Ring));
    held.into_iter().for_each(|open| open.finish(&outcome())); // no ring has room: they stay in their slots
    assert_eq!((journal.stats().open, journal.stats().unrecorded), (5, 2));
    committer.turn();
    assert_eq!((journal.stats().open, journal.stats().finals), (0, recorded));
    journal.begin(&entry(recorded)).unwrap().finish(&outcome());
    committer.turn();
    let report = verified(&folder);
    assert_eq!((report.finals, report.unrecorded), (recorded + 1, 2), "the log says what is missing from it");
    assert!(recorded > 100);
}

#[test]
fn when_all_slots_are_taken_the_next_request_is_refused_until_one_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _committer) = open(&folder);
    let mut held: Vec<_> = (0..16).map(|n| journal.begin(&entry(n)).unwrap()).collect();
    assert_eq!(journal.begin(&entry(16)).map(|_| ()), Err(Unavailable::Slots));
    held.pop().unwrap().finish(&outcome());
    held.push(journal.begin(&entry(17)).unwrap());
    assert_eq!(journal.stats().open, 16);
}

#[test]
fn a_thread_more_than_there_are_lanes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { threads: 1, ..settings(folder.path()) };
    let (journal, _committer) = Journal::open(settings, clock()).unwrap();
    journal.begin(&entry(1)).unwrap().finish(&outcome());
    thread::scope(|scope| {
        let other = scope.spawn(|| journal.begin(&entry(2)).map(|_| ()));
        assert_eq!(other.join().unwrap(), Err(Unavailable::Lanes));
    });
}

#[test]
fn settings_that_cannot_work_do_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let usual = settings(folder.path());
    for instance in ["", "a b", "quote\"", &"x".repeat(65)] {
        let settings = Settings { instance: instance.into(), ..usual.clone() };
        assert!(matches!(Journal::open(settings, clock()), Err(OpenError::Instance(_))));
    }
    let none = Settings { in_flight: 0, ..usual };
    assert!(matches!(Journal::open(none, clock()), Err(OpenError::Small)));
}

#[test]
fn a_segment_that_vanishes_under_the_writer_stops_service_until_the_log_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, committer) = open(&folder);
    let segments = folder.path().join("audit/segments");
    let aside = folder.path().join("aside");
    let committing = start(committer);
    journal.begin(&entry(1)).unwrap().finish(&outcome());
    until("first record", || journal.stats().records == 2);
    // The next roll finds no folder to make a segment in.
    std::fs::rename(&segments, &aside).unwrap();
    let mut n = 2;
    until("failure", || {
        if let Ok(open) = journal.begin(&entry(n)) {
            open.finish(&outcome());
            n += 1;
        }
        !journal.stats().healthy
    });
    assert_eq!(journal.begin(&entry(9_999)).map(|_| ()), Err(Unavailable::Failing));
    std::fs::rename(&aside, &segments).unwrap();
    until("health", || journal.stats().healthy);
    journal.begin(&entry(n)).unwrap().finish(&outcome());
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    committing.join().unwrap().unwrap();
    assert_eq!(finals(&folder).len() as u64, n);
    let report = verified(&folder);
    assert!(report.closed && journal.stats().failures > 0);
    let gap = records(&folder).into_iter().find(|record| record["kind"] == "log.gap").unwrap();
    assert!(gap["why"].as_str().unwrap().contains("No such file"), "{gap}");
}

/// A log whose disk fails from now on, until what comes back is called.
fn broken(folder: &TempDir) -> (Arc<Journal>, JoinHandle<Result<(), NotClosed>>, impl Fn()) {
    let (journal, committer) = open(folder);
    let committing = start(committer);
    let (segments, aside) = (folder.path().join("audit/segments"), folder.path().join("aside"));
    std::fs::rename(&segments, &aside).unwrap();
    let mut n = 0;
    until("failure", || {
        n += 1;
        journal.whole(&refusal(10_000 + n), &outcome()).unwrap_or_default();
        !journal.stats().healthy
    });
    (journal, committing, move || std::fs::rename(&aside, &segments).unwrap())
}

#[test]
fn who_may_spill_is_recorded_in_memory_while_the_disk_fails_and_refused_when_that_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, committing, mend) = broken(&folder);
    assert_eq!(journal.begin(&entry(1)).map(|_| ()), Err(Unavailable::Failing));
    let mut served = 0;
    let full = loop {
        match journal.begin_spilling(&entry(served + 1)) {
            Ok(open) => open.finish(&outcome()),
            Err(full) => break full,
        }
        served += 1;
        assert!(served < 10_000, "memory has no bound");
    };
    assert!(matches!(full, Unavailable::Ring | Unavailable::Slots), "{full:?}");
    assert!(served > 20, "{served}");
    assert_eq!(journal.stats().spilled, served);
    mend();
    until("health", || journal.stats().healthy);
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    committing.join().unwrap().unwrap();
    let spilled = finals(&folder).into_iter().filter(|(n, _)| *n <= served).count() as u64;
    assert_eq!((spilled, verified(&folder).closed), (served, true));
}

#[test]
fn what_is_let_through_without_a_record_is_counted_in_the_log_and_only_while_the_disk_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, committing, mend) = broken(&folder);
    let (mut without, before) = (Vec::new(), journal.stats().unrecorded);
    for n in 1..=2_000 {
        without.push(journal.begin_in_any_case(&entry(n)).unwrap());
        without.last().unwrap().witness().opened(Some(101)).ok();
    }
    let unrecorded = journal.stats().unrecorded;
    assert!(unrecorded - before >= 1_900, "no more than 16 are held: {unrecorded}");
    mend();
    until("health", || journal.stats().healthy);
    // Too many in flight is no reason while the disk is well: anybody can make that.
    assert_eq!(journal.begin_in_any_case(&entry(3_000)).map(|_| ()), Err(Unavailable::Slots));
    without.into_iter().for_each(|open| open.finish(&outcome()));
    journal.begin_in_any_case(&entry(3_001)).unwrap().finish(&outcome());
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    committing.join().unwrap().unwrap();
    let told: u64 = records(&folder).iter().filter_map(|record| record["unrecorded"].as_u64()).sum();
    assert_eq!(told, unrecorded);
    let recorded = finals(&folder).into_iter().filter(|(n, _)| *n < 3_000).count() as u64;
    assert_eq!(recorded + unrecorded - before, 2_000, "each has a record, or is among those that have none");
}

#[test]
fn a_log_that_is_not_trusted_takes_nothing_whatever_the_route_says() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _committer) = open(&folder);
    journal.distrust(Doubt::Witness);
    assert_eq!(journal.begin_spilling(&entry(1)).map(|_| ()), Err(Unavailable::Distrusted));
    assert_eq!(journal.begin_in_any_case(&entry(1)).map(|_| ()), Err(Unavailable::Distrusted));
    journal.close();
    assert_eq!(journal.begin_in_any_case(&entry(1)).map(|_| ()), Err(Unavailable::Closed));
}

#[test]
fn a_lane_that_could_not_be_made_is_tried_again_until_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, committer) = open(&folder);
    let committer = start(committer);
    let lanes = folder.path().join("audit/lanes");
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(&lanes, &elsewhere).unwrap();
    assert_eq!(journal.begin(&entry(1)).map(|_| ()), Err(Unavailable::Lanes));
    assert!(!journal.stats().healthy);
    std::thread::sleep(Duration::from_millis(100)); // tried in vain meanwhile
    assert!(!journal.stats().healthy);
    std::fs::rename(&elsewhere, &lanes).unwrap();
    until("there is a lane", || journal.stats().healthy);
    journal.begin(&entry(2)).unwrap().finish(&outcome());
    journal.flush_and_close(Duration::from_secs(20)).unwrap();
    committer.join().unwrap().unwrap();
    assert_eq!(finals(&folder).len(), 1);
}
