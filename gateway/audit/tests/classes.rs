//! Several logs: a request is counted where it comes in, and in the end in the log that has its record.

use std::sync::Barrier;
use std::sync::mpsc::sync_channel;

use terms::RetentionClass;

use super::*;

struct World {
    folder: TempDir,
    logs: Arc<Logs>,
    committers: Vec<JoinHandle<Result<(), NotClosed>>>,
}

impl World {
    fn begin(heartbeat: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = |place: &str| {
            let directory = folder.path().join(place);
            Journal::open(Settings { directory, heartbeat, ..settings(folder.path()) }, clock()).unwrap()
        };
        let ((first, first_committer), (other, other_committer)) = (open("first"), open("other"));
        let committers = vec![start(first_committer), start(other_committer)];
        Self { logs: Arc::new(Logs::new(first, vec![other])), committers, folder }
    }

    fn end(self) -> TempDir {
        for (journal, committer) in self.logs.iter().zip(self.committers) {
            journal.flush_and_close(Duration::from_secs(20)).unwrap();
            committer.join().unwrap().unwrap();
        }
        self.folder
    }
}

fn other() -> RetentionClass {
    RetentionClass::other(0).unwrap()
}

fn of(folder: &TempDir, log: &str) -> Report {
    verify(&folder.path().join(log)).unwrap()
}

/// What a log says at its end: requests, and records.
fn said(folder: &TempDir, log: &str) -> (Option<u64>, u64) {
    let report = of(folder, log);
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    let run = report.runs.last().unwrap();
    (run.requests, run.finals)
}

#[test]
fn each_log_tells_of_as_many_requests_as_it_has_records() {
    let world = World::begin(Duration::from_secs(60));
    let logs = &world.logs;
    for n in 0..10 {
        logs.arrived();
        let class = if n < 3 { RetentionClass::DEFAULT } else { other() };
        logs.take(class).begin(&entry(n)).unwrap().finish(&outcome());
    }
    // One that nobody is known of, one of a class that could not be taken and is refused there, and one that is refused as nobody's.
    logs.arrived();
    logs.first().whole(&refusal(10), &outcome()).unwrap();
    for (n, class) in [(11, other()), (12, RetentionClass::DEFAULT)] {
        logs.arrived();
        logs.give_back(logs.take(other()));
        logs.take(class).whole(&refusal(n), &outcome()).unwrap();
    }
    let folder = world.end();
    assert_eq!(said(&folder, "first"), (Some(5), 5));
    assert_eq!(said(&folder, "other"), (Some(8), 8));
}

#[test]
fn a_class_that_there_is_no_log_of_is_the_first_ones() {
    let world = World::begin(Duration::from_secs(60));
    let beyond = RetentionClass::other(7).unwrap();
    assert!(Arc::ptr_eq(world.logs.of(beyond), world.logs.first()));
    assert!(!Arc::ptr_eq(world.logs.of(other()), world.logs.first()));
    assert!(Arc::ptr_eq(Logs::alone(Arc::clone(world.logs.first())).of(other()), world.logs.first()));
    world.end();
}

#[test]
fn a_request_that_is_never_placed_is_missed_where_it_came_in_and_one_that_is_placed_and_lost_where_it_was() {
    for (place, missed) in [(None, "first"), (Some(other()), "other")] {
        let world = World::begin(Duration::from_secs(60));
        world.logs.arrived();
        if let Some(class) = place {
            let _taken = world.logs.take(class);
        }
        let folder = world.end();
        for log in ["first", "other"] {
            let problems: Vec<_> =
                of(&folder, log).problems.iter().map(|it| terms::chain(&it.what).to_string()).collect();
            let expected = "1 requests came in since the gateway took the log up, and 0 of them are on record";
            assert_eq!(problems, if log == missed { vec![expected.to_owned()] } else { Vec::new() }, "{log}");
        }
    }
}

/// They come in on one thread and are placed on another, while heartbeats look at the lanes of all threads, one after the other.
#[test]
fn no_log_ever_tells_of_fewer_requests_than_records() {
    const EACH: u64 = 20_000;
    let world = World::begin(Duration::from_millis(1));
    let serve = |logs: &Logs, n: u64| {
        let class = if n.is_multiple_of(3) { RetentionClass::DEFAULT } else { other() };
        // What has no room is refused, and that may have no room either: it is counted in the log of its class.
        match logs.take(class).begin(&entry(n)) {
            Ok(open) => open.finish(&outcome()),
            Err(_) => drop(logs.of(class).whole(&refusal(n), &outcome())),
        }
    };
    let lanes_are_there = Arc::new(Barrier::new(5));
    let mut threads = Vec::new();
    for place in 0..2 {
        let (hand, handed) = sync_channel::<u64>(8);
        let warm = move |logs: &Logs, barrier: &Barrier, first: u64| {
            for n in first..first + 3 {
                logs.arrived();
                serve(logs, n);
            }
            barrier.wait();
            barrier.wait(); // until the committers know the lanes
        };
        let (logs, barrier) = (Arc::clone(&world.logs), Arc::clone(&lanes_are_there));
        threads.push(thread::spawn(move || {
            warm(&logs, &barrier, 3 * EACH + place * 6);
            handed.into_iter().for_each(|n| serve(&logs, n));
        }));
        let (logs, barrier) = (Arc::clone(&world.logs), Arc::clone(&lanes_are_there));
        threads.push(thread::spawn(move || {
            warm(&logs, &barrier, 3 * EACH + place * 6 + 3);
            for n in 0..EACH {
                logs.arrived();
                hand.send(place * EACH + n).unwrap();
            }
        }));
    }
    lanes_are_there.wait();
    until("all is on disk", || {
        world.logs.iter().map(|log| log.stats()).all(|stats| stats.finals >= 4 && stats.pending_bytes == 0)
    });
    lanes_are_there.wait();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let folder = world.end();
    let mut records = 0;
    for log in ["first", "other"] {
        let all = Reader::open(&folder.path().join(log)).unwrap();
        let all = all.map(|stored| serde_json::from_slice::<Value>(&stored.unwrap().json).unwrap());
        let beats: Vec<Value> = all.filter(|record| record["kind"] == "log.heartbeat").collect();
        assert!(beats.len() > 3, "{}", beats.len());
        for beat in beats {
            assert!(beat["requests"].as_u64() >= beat["finals"].as_u64(), "{log}: {beat}");
        }
        let report = of(&folder, log);
        assert!(report.problems.is_empty(), "{:#?}", report.problems);
        let run = report.runs.last().unwrap();
        assert_eq!(run.requests, Some(run.finals + run.unrecorded), "{log}");
        records += run.finals + run.unrecorded;
    }
    assert_eq!(records, 2 * EACH + 12);
}

/// A process that takes over counts for the one before it, in each log: what left there stays gone.
#[test]
fn a_process_that_takes_both_logs_over_counts_in_each_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let settings = |place: &str| Settings { directory: folder.path().join(place), ..settings(folder.path()) };
    let open = |place| Journal::open(settings(place), clock()).unwrap();
    let ((first, first_committer), (second, second_committer)) = (open("first"), open("other"));
    let old = Logs::new(first, vec![second]);
    let old_committers = [start(first_committer), start(second_committer)];
    let serve = |logs: &Logs, n: u64, class| {
        logs.arrived();
        logs.take(class).begin(&entry(n)).unwrap().finish(&outcome());
    };
    serve(&old, 1, other());
    old.arrived();
    let under_way = old.take(other()).begin(&entry(2)).unwrap();
    let (mut new, mut committers, mut before) = (Vec::new(), Vec::new(), Vec::new());
    for (journal, place) in old.iter().zip(["first", "other"]) {
        let handed = journal.hand_over(Duration::from_secs(20)).unwrap();
        let (journal, committer, predecessor) = Journal::take_over(settings(place), clock(), handed).unwrap();
        new.push(journal);
        committers.push(start(committer));
        before.push(predecessor);
    }
    let second = new.pop().unwrap();
    let new = Logs::new(new.pop().unwrap(), vec![second]);
    serve(&old, 3, other());
    serve(&new, 4, other());
    serve(&new, 5, RetentionClass::DEFAULT);
    under_way.finish(&outcome());
    for (journal, committer) in old.iter().zip(old_committers) {
        journal.flush_and_close(Duration::from_secs(20)).unwrap();
        committer.join().unwrap().unwrap();
    }
    before.iter().for_each(Predecessor::is_gone);
    for (journal, place) in new.iter().zip(["first", "other"]) {
        until("the lanes of the old one are gone", || {
            let names = std::fs::read_dir(folder.path().join(place).join("lanes")).unwrap();
            names.count() == journal.shared.lanes().all.len()
        });
    }
    for (journal, committer) in new.iter().zip(committers) {
        journal.flush_and_close(Duration::from_secs(20)).unwrap();
        committer.join().unwrap().unwrap();
    }
    assert_eq!(said(&folder, "first"), (Some(1), 1));
    assert_eq!(said(&folder, "other"), (Some(3), 3));
}

/// It dies with a request of each class under way, one that is being judged, and one that is between the two logs.
#[test]
fn a_process_that_is_killed_is_accounted_for_in_each_log() {
    let folder = tempfile::tempdir().unwrap();
    let settings = |place: &str| Settings { directory: folder.path().join(place), ..settings(folder.path()) };
    let open = |place| Journal::open(settings(place), clock()).unwrap();
    let ((first, mut first_committer), (second, mut second_committer)) = (open("first"), open("other"));
    let logs = Logs::new(first, vec![second]);
    for (n, class) in [(1, RetentionClass::DEFAULT), (2, other()), (3, other())] {
        logs.arrived();
        logs.take(class).begin(&entry(n)).unwrap().finish(&outcome());
    }
    first_committer.turn();
    second_committer.turn();
    for (n, class) in [(4, RetentionClass::DEFAULT), (5, other())] {
        logs.arrived();
        std::mem::forget(logs.take(class).begin(&entry(n)).unwrap());
    }
    logs.arrived(); // it is being judged
    logs.arrived();
    logs.of(other()).arrived(); // this one was, and has not left the first log yet
    drop((logs, first_committer, second_committer));
    for place in ["first", "other"] {
        let (journal, committer) = open(place);
        let committer = start(committer);
        journal.flush_and_close(Duration::from_secs(20)).unwrap();
        committer.join().unwrap().unwrap();
    }
    // Nobody was answered whose request was not placed: the log says how many they were, the one between the logs in both.
    for (log, expected) in [("first", (Some(4), 2, 2)), ("other", (Some(4), 3, 1))] {
        let report = of(&folder, log);
        assert!(report.problems.is_empty(), "{:#?}", report.problems);
        let run = report.runs.first().unwrap();
        assert_eq!((run.requests, run.finals, run.unrecorded), expected, "{log}");
    }
}
