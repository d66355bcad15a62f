//! Requests in = records, and the log says so itself.

use super::*;

fn closed(journal: &Journal, committer: JoinHandle<Result<(), NotClosed>>) {
    journal.flush_and_close(Duration::from_secs(20)).unwrap();
    committer.join().unwrap().unwrap();
}

fn serve(journal: &Journal, n: u64) {
    journal.arrived();
    journal.begin(&entry(n)).unwrap().finish(&outcome());
}

fn of_kind(folder: &TempDir, kind: &str) -> Vec<Value> {
    records(folder).into_iter().filter(|record| record["kind"] == kind).collect()
}

fn problems(folder: &TempDir) -> Vec<String> {
    let report = verify(&folder.path().join("audit")).unwrap();
    report.problems.iter().map(|problem| terms::chain(&problem.what).to_string()).collect()
}

#[test]
fn what_came_in_and_what_is_on_record_are_told_and_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for start_of in 0..2 {
        let (journal, committer) = open(&folder);
        let committer = start(committer);
        for n in 0..3 {
            serve(&journal, start_of * 10 + n);
        }
        journal.arrived();
        journal.whole(&refusal(start_of * 10 + 3), &outcome()).unwrap();
        journal.arrived();
        let cut = journal.begin(&entry(start_of * 10 + 4)).unwrap();
        closed(&journal, committer);
        drop(cut);
    }
    for told in of_kind(&folder, "log.closed") {
        assert_eq!((&told["requests"], &told["finals"]), (&5.into(), &5.into()));
    }
    let report = verified(&folder);
    let runs: Vec<_> = report.runs.iter().map(|run| (run.requests, run.finals, run.under_way(), run.ended)).collect();
    assert_eq!(runs, [(Some(5), 5, Some(0), Ended::Closed); 2]);
}

#[test]
fn a_request_that_has_no_record_is_missed_and_one_that_is_owned_up_to_is_not() {
    for (owned_up, expected) in
        [(0, vec!["3 requests came in since the gateway took the log up, and 2 of them are on record"]), (1, vec![])]
    {
        let folder = tempfile::tempdir().unwrap();
        let (journal, committer) = open(&folder);
        let committer = start(committer);
        (0..2).for_each(|n| serve(&journal, n));
        journal.arrived();
        journal.shared.counters.unrecorded.fetch_add(owned_up, std::sync::atomic::Ordering::Relaxed);
        closed(&journal, committer);
        assert_eq!(problems(&folder), expected);
    }
}

#[test]
fn a_heartbeat_counts_what_is_under_way_and_comes_whether_or_not_anything_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { heartbeat: Duration::from_millis(1), ..settings(folder.path()) };
    let (journal, committer) = Journal::open(settings, clock()).unwrap();
    let committer = start(committer);
    until("it beats", || of_kind(&folder, "log.heartbeat").len() > 3);
    serve(&journal, 1);
    journal.arrived();
    let under_way = journal.begin(&entry(2)).unwrap();
    until("it tells of both", || {
        let beats = of_kind(&folder, "log.heartbeat");
        beats.last().is_some_and(|beat| beat["requests"] == 2 && beat["finals"] == 1)
    });
    assert_eq!(verified(&folder).runs[0].under_way(), Some(1));
    under_way.finish(&outcome());
    closed(&journal, committer);
    assert_eq!(verified(&folder).runs[0].under_way(), Some(0));
}

/// One request is under way in the old process when the log goes to the next, and one comes in and is never judged.
#[test]
fn a_process_that_takes_over_counts_for_both() {
    let folder = tempfile::tempdir().unwrap();
    let (old, committer) = open(&folder);
    let old_committer = start(committer);
    serve(&old, 1);
    old.arrived();
    let under_way = old.begin(&entry(2)).unwrap();
    let handed = old.hand_over(Duration::from_secs(20)).unwrap();
    let (new, committer, predecessor) = Journal::take_over(settings(folder.path()), clock(), handed).unwrap();
    let new_committer = start(committer);
    serve(&old, 3);
    old.arrived();
    serve(&new, 4);
    under_way.finish(&outcome());
    closed(&old, old_committer);
    predecessor.is_gone();
    until("the lanes of the old one are gone", || {
        let names = std::fs::read_dir(folder.path().join("audit/lanes")).unwrap();
        names.count() == new.shared.lanes().all.len()
    });
    closed(&new, new_committer);
    assert_eq!(of_kind(&folder, "log.gap")[0]["unrecorded"], 1, "nobody was answered who was not judged");
    let report = verified(&folder);
    let runs: Vec<_> = report.runs.iter().map(|run| (run.requests, run.finals, run.unrecorded, run.ended)).collect();
    assert_eq!(runs, [(None, 1, 0, Ended::TakenOver), (Some(4), 3, 1, Ended::Closed)]);
}

/// Ends the run without a word.
fn kill(journal: Arc<Journal>, committer: Committer) {
    drop((journal, committer));
}

fn restart(folder: &TempDir) {
    let (journal, committer) = open(folder);
    closed(&journal, start(committer));
}

/// What the log has of the run that was cut off.
fn cut_off(folder: &TempDir) -> Run {
    let cut: Vec<_> = verified(folder).runs.into_iter().filter(|run| run.ended == Ended::CutOff).collect();
    let [cut] = <[Run; 1]>::try_from(cut).unwrap();
    cut
}

#[test]
fn a_run_that_was_cut_off_is_accounted_for_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut committer) = open(&folder);
    (0..3).for_each(|n| serve(&journal, n));
    committer.turn();
    journal.shared.counters.unrecorded.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    journal.arrived();
    committer.turn();
    serve(&journal, 3); // in its lane
    journal.arrived();
    std::mem::forget(journal.begin(&entry(4)).unwrap()); // under way
    journal.arrived(); // being judged
    journal.shared.first_lane(crate::lane::Lane::one_more_elsewhere); // being judged, on a thread without a lane
    kill(journal, committer);
    restart(&folder);
    let cut = cut_off(&folder);
    assert_eq!((cut.requests, cut.finals, cut.unrecorded, cut.under_way()), (Some(8), 5, 3, Some(0)));
    let gaps: Vec<_> = of_kind(&folder, "log.gap").iter().map(|gap| gap["unrecorded"].clone()).collect();
    assert_eq!(gaps, [1, 2]);
}

#[test]
fn whoever_takes_records_from_a_run_that_was_cut_off_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut committer) = open(&folder);
    (0..3).for_each(|n| serve(&journal, n));
    committer.turn();
    kill(journal, committer);
    let lane = |number: u16| {
        let paths = crate::recover::lane_files(&folder.path().join("audit")).unwrap();
        let lanes = paths.iter().map(|path| (path, crate::lane::Lane::left_behind(path).unwrap().unwrap()));
        let (path, lane) = lanes.into_iter().find(|(_, lane)| lane.owner.number == number).unwrap();
        (path.clone(), lane)
    };
    // As if the log had had one final record more.
    let (_, first) = lane(0);
    let sequence =
        (0..100).find(|sequence| first.kept(sequence + 1).is_some() && first.kept(*sequence).is_some()).unwrap();
    let kept = first.kept(sequence + 1).unwrap();
    assert_eq!(kept.finals, 3);
    first.keep(sequence + 1, crate::lane::Kept { finals: 4, ..kept });
    restart(&folder);
    assert_eq!(problems(&folder), ["the gateway counts 4 final records since it took the log up, and the log has 3"]);
}

#[test]
fn nothing_is_claimed_of_a_run_whose_counts_may_be_of_the_past() {
    for what in ["another boot", "a lane is gone", "two commits without a count"] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, mut committer) = open(&folder);
        serve(&journal, 1);
        committer.turn();
        match what {
            "another boot" => journal.shared.lanes().all[1].pretend_other_boot(),
            "a lane is gone" => {
                let owner = journal.shared.lanes().all[1].owner;
                std::fs::remove_file(journal.shared.lane_path(owner)).unwrap();
            }
            _ => {
                for n in 2..4 {
                    serve(&journal, n);
                    committer.collect();
                    committer.commit_only();
                }
            }
        }
        kill(journal, committer);
        restart(&folder);
        assert_eq!(cut_off(&folder).requests, None, "{what}");
    }
}

/// The process that took the log over is cut off: before the one that it took it from is gone, and after.
#[test]
fn a_run_that_took_over_is_accounted_for_once_it_is_alone() {
    for alone in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (old, committer) = open(&folder);
        let old_committer = start(committer);
        serve(&old, 1);
        let handed = old.hand_over(Duration::from_secs(20)).unwrap();
        let (new, mut committer, predecessor) = Journal::take_over(settings(folder.path()), clock(), handed).unwrap();
        serve(&old, 2);
        serve(&new, 3);
        while committer.turn() {}
        closed(&old, old_committer);
        if alone {
            predecessor.is_gone();
            while committer.turn() || !committer.beside.is_empty() {}
        }
        serve(&new, 4);
        kill(new, committer);
        drop(old);
        restart(&folder);
        let cut = cut_off(&folder);
        assert_eq!((cut.requests, cut.finals), (alone.then_some(3), 3));
    }
}

#[test]
fn a_segment_is_closed_for_good_when_it_is_old_and_never_while_it_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let (journal, mut committer) = Journal::open(settings(folder.path()), Arc::clone(&clock) as _).unwrap();
    let segments = || std::fs::read_dir(folder.path().join("audit/segments")).unwrap().count();
    for day in 1..4 {
        serve(&journal, day);
        committer.turn();
        assert_eq!(segments(), usize::try_from(day).unwrap());
        clock.advance(Duration::from_secs(24 * 3_600));
        while committer.turn() {}
        assert_eq!(segments(), usize::try_from(day).unwrap() + 1);
        clock.advance(Duration::from_secs(3_600));
        committer.turn();
    }
    let sealed = of_kind(&folder, "segment.sealed");
    assert_eq!(sealed.len(), 3);
    assert_eq!((&sealed[0]["first"], &sealed[0]["records"]), (&0.into(), &2.into()));
    verified(&folder);
}
