//! The process ends at every point that matters. What it leaves behind is in the page cache, as after `kill -9`.

use terms::Reason;

use super::*;
use crate::lane::local::{self, Ending};
use crate::lane::slot::State;
use crate::{End, Outcome};

/// Ends the run without a word: what is in flight is never heard of again.
fn kill(journal: Arc<Journal>, committer: Committer, open: Vec<Open>) {
    open.into_iter().for_each(std::mem::forget);
    drop((journal, committer));
}

/// Starts again and closes well.
fn restart(folder: &TempDir) {
    let (journal, committer) = open(folder);
    let thread = start(committer);
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    thread.join().unwrap().unwrap();
}

#[test]
fn at_every_point_of_a_crash_each_request_has_exactly_one_final_record() {
    type Until = fn(&Arc<Journal>, &mut Committer, &mut Vec<Open>);
    let points: [(&str, Until, &str); 9] = [
        ("begun", |journal, _, open| open.push(journal.begin(&entry(1)).unwrap()), "interrupted"),
        (
            "frame written and slot closing, not published",
            |journal, _, open| {
                let begun = journal.begin(&entry(1)).unwrap();
                close_without_publishing(journal, &begun);
                open.push(begun);
            },
            "interrupted",
        ),
        (
            "published, slot not freed",
            |journal, _, open| {
                let begun = journal.begin(&entry(1)).unwrap();
                publish_without_freeing(journal, &begun);
                open.push(begun);
            },
            "complete",
        ),
        ("published and freed", |journal, _, _| journal.begin(&entry(1)).unwrap().finish(&outcome()), "complete"),
        (
            "collected, not written",
            |journal, committer, _| {
                journal.begin(&entry(1)).unwrap().finish(&outcome());
                committer.collect();
            },
            "complete",
        ),
        (
            "committed, slot not freed, tail not advanced",
            |journal, committer, open| {
                let begun = journal.begin(&entry(1)).unwrap();
                publish_without_freeing(journal, &begun);
                open.push(begun);
                commit_without_advancing(committer);
            },
            "complete",
        ),
        ("finished in its slot", |journal, _, _| finish_in_place(journal), "complete"),
        (
            "finished in its slot, collected, not written",
            |journal, committer, _| {
                finish_in_place(journal);
                committer.collect();
            },
            "complete",
        ),
        (
            "finished in its slot, committed, slot not freed",
            |journal, committer, _| {
                finish_in_place(journal);
                commit_without_advancing(committer);
            },
            "complete",
        ),
    ];
    for (point, until, end) in points {
        let folder = tempfile::tempdir().unwrap();
        let (journal, mut committer) = open(&folder);
        let mut in_flight = Vec::new();
        journal.arrived();
        until(&journal, &mut committer, &mut in_flight);
        kill(journal, committer, in_flight);
        restart(&folder);
        restart(&folder);
        assert_eq!(finals(&folder), [(1, end.to_owned())], "{point}");
        let report = verified(&folder);
        assert!(report.closed && report.torn.is_none(), "{point}");
        let [cut, ..] = report.runs.as_slice() else { panic!("{point}") };
        assert_eq!((cut.requests, cut.finals, cut.ended), (Some(1), 1, Ended::CutOff), "{point}");
    }
}

fn close_without_publishing(journal: &Journal, open: &Open) {
    let (lane, slot) = open.place();
    let head = lane.head();
    local::with(&journal.shared.me, |writer| assert!(writer.close(lane, slot, Ending::Outcome(&outcome())))).unwrap();
    let slot = lane.slot(slot).unwrap();
    let end = lane.head();
    slot.set(State::Closing { lane: lane.owner.number, end });
    lane.publish(head);
}

fn publish_without_freeing(journal: &Journal, open: &Open) {
    let (lane, slot) = open.place();
    local::with(&journal.shared.me, |writer| assert!(writer.close(lane, slot, Ending::Outcome(&outcome())))).unwrap();
    let (number, end) = (lane.owner.number, lane.head());
    lane.slot(slot).unwrap().set(State::Closing { lane: number, end });
}

fn finish_in_place(journal: &Journal) {
    let open = journal.begin(&entry(1)).unwrap();
    // A ring that is full up to the last word.
    local::with(&journal.shared.me, |writer| while writer.record(|line| line.raw("{}")).is_ok() {}).unwrap();
    journal.shared.lanes().all[1].publish(0);
    open.finish(&outcome());
    assert_eq!(journal.stats().finals, 0);
}

fn commit_without_advancing(committer: &mut Committer) {
    committer.collect();
    committer.commit_only();
}

#[test]
fn a_batch_that_was_not_written_whole_is_cut_off_and_its_records_come_from_the_lanes() {
    for cut in [1, 20, 200, 450] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, mut committer) = open(&folder);
        journal.begin(&entry(1)).unwrap().finish(&outcome());
        committer.turn();
        journal.begin(&entry(2)).unwrap().finish(&outcome());
        commit_without_advancing(&mut committer);
        kill(journal, committer, Vec::new());
        let segment = crate::segment::path(&folder.path().join("audit"), 0);
        let length = std::fs::metadata(&segment).unwrap().len();
        std::fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(length - cut).unwrap();
        assert!(verified(&folder).torn.is_some());
        restart(&folder);
        assert_eq!(finals(&folder).len(), 2, "{cut}");
        let recovered = records(&folder).into_iter().find(|record| record["kind"] == "log.recovered").unwrap();
        assert!(recovered["dropped_bytes"].as_u64().unwrap() > 0 && recovered["replayed"] == 1, "{recovered}");
        verified(&folder);
    }
}

#[test]
fn after_a_power_cut_a_stale_slot_does_not_give_a_second_record() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut committer) = open(&folder);
    journal.begin(&entry(1)).unwrap().finish(&outcome());
    committer.turn();
    // The disk has the page of the slot from before the request was finished, and it is another boot.
    let lane = Arc::clone(&journal.shared.lanes().all[1]);
    lane.slot(0).unwrap().set(State::Open);
    lane.pretend_other_boot();
    let open = journal.begin(&entry(2)).unwrap();
    kill(journal, committer, vec![open]);
    restart(&folder);
    assert_eq!(finals(&folder), [(1, "complete".into()), (2, "interrupted".into())]);
    verified(&folder);
}

/// Another version of the program may have slots of another length: what is in flight when it is replaced is on record.
#[test]
fn what_another_version_left_in_flight_is_on_record() {
    for (slot_words, fits) in [(258, true), (250, true), (266, true), (249, true), (30, false)] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, committer) = open(&folder);
        let open = journal.begin(&entry(1)).unwrap();
        let (lane, number) = open.place();
        let (owner, shape) = (lane.owner, lane.shape());
        let mut text = Vec::new();
        let held = lane.slot(number).unwrap().read(&mut text).unwrap();
        text.truncate(held.length);
        let path = journal.shared.lane_path(owner);
        kill(journal, committer, vec![open]);
        std::fs::remove_file(&path).unwrap();
        let other = crate::lane::Lane::create_of_another_version(&path, owner, shape, slot_words);
        let written = other.slot(number).is_some_and(|slot| slot.open(&text, held));
        assert_eq!(written, fits);
        other.use_slot(number);
        drop(other);
        restart(&folder);
        let expected = if fits { vec![(1, "interrupted".to_owned())] } else { Vec::new() };
        assert_eq!(finals(&folder), expected, "{slot_words}");
    }
}

#[test]
fn a_segment_that_was_never_begun_in_earnest_is_passed_over() {
    for (bytes, zeros) in [(0, 0), (17, 0), (0, 4096)] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, mut committer) = open(&folder);
        journal.begin(&entry(1)).unwrap().finish(&outcome());
        committer.turn();
        journal.begin(&entry(2)).unwrap().finish(&outcome());
        let records = journal.stats().records;
        kill(journal, committer, Vec::new());
        let content = [vec![b'c'; bytes], vec![0; zeros]].concat();
        std::fs::write(crate::segment::path(&folder.path().join("audit"), records), content).unwrap();
        restart(&folder);
        assert_eq!(finals(&folder).len(), 2);
        assert_eq!(verified(&folder).segments, 2);
    }
}

#[test]
fn a_run_that_was_cut_off_when_it_had_just_begun_a_segment_is_recovered_and_one_that_was_closed_then_is_not() {
    for (ended, closes) in [(Ended::CutOff, false), (Ended::Closed, true)] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, mut committer) = open(&folder);
        journal.arrived();
        journal.begin(&entry(1)).unwrap().finish(&outcome());
        committer.turn();
        if closes {
            committer.account("log.closed");
            committer.commit();
        }
        assert!(committer.roll());
        kill(journal, committer, Vec::new());
        restart(&folder);
        let [run, _] = <[Run; 2]>::try_from(verified(&folder).runs).unwrap();
        assert_eq!((run.ended, run.requests, run.finals), (ended, Some(1), 1));
    }
}

#[test]
fn a_log_that_was_closed_opens_without_a_recovery() {
    let folder = tempfile::tempdir().unwrap();
    restart(&folder);
    restart(&folder);
    let kinds: Vec<_> = records(&folder).iter().map(|record| record["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["log.opened", "log.closed", "log.opened", "log.closed"]);
}

#[test]
fn what_is_finished_after_the_log_was_closed_is_in_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, committer) = open(&folder);
    let open = journal.begin(&entry(1)).unwrap();
    let thread = start(committer);
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    thread.join().unwrap().unwrap();
    assert_eq!(finals(&folder), [(1, "shutdown".to_owned())]);
    open.finish(&outcome()); // too late: it has its record
    assert_eq!(journal.begin(&entry(2)).map(|_| ()), Err(Unavailable::Closed));
    drop(journal);
    restart(&folder);
    assert_eq!(finals(&folder), [(1, "shutdown".to_owned())]);
}

#[test]
fn whatever_does_not_come_to_its_end_once_requests_are_cut_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, committer) = open(&folder);
    let thread = start(committer);
    let begin = |n| journal.begin(&entry(n)).unwrap();
    let (broken, gone, whole, dropped) = (begin(1), begin(2), begin(3), begin(4));
    broken.break_off(outcome());
    journal.cut_short();
    gone.finish(&Outcome { reason: Some(Reason::UpstreamUnavailable), end: End::UpstreamFailed, ..outcome() });
    whole.finish(&outcome());
    dropped.break_off(outcome());
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    thread.join().unwrap().unwrap();
    let ends = [(1, "abandoned"), (2, "shutdown"), (3, "complete"), (4, "shutdown")];
    assert_eq!(finals(&folder), ends.map(|(n, end)| (n, end.to_owned())));
    for record in records(&folder).iter().filter(|record| record["stage"] == "final") {
        assert_eq!(
            (&record["status"], &record["out"], &record["reason"]),
            (&200.into(), &512.into(), &"allowed".into())
        );
    }
}
