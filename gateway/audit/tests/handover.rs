//! The log goes from one process to the next. Here both are journals in one process, each with what a process has: its
//! lanes, its committer's thread, its descriptor of the lock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

const SOON: Duration = Duration::from_secs(10);

fn join(folder: &TempDir, old: &Journal) -> (Arc<Journal>, Committer, Predecessor) {
    let handed = old.hand_over(SOON).unwrap();
    Journal::take_over(settings(folder.path()), clock(), handed).unwrap()
}

fn strictly(journal: &Journal, n: u64) -> Result<Open, Unavailable> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(journal.begin_strict(&entry(n)))
}

fn ended(committer: JoinHandle<Result<(), NotClosed>>) {
    committer.join().unwrap().unwrap();
}

#[test]
fn requests_go_on_in_the_old_process_while_the_new_one_writes_for_both() {
    let folder = tempfile::tempdir().unwrap();
    let (old, committer) = open(&folder);
    let old_committer = start(committer);
    old.begin(&entry(1)).unwrap().finish(&outcome());
    let over_the_end = old.begin(&entry(2)).unwrap();

    let (new, committer, predecessor) = join(&folder, &old);
    let new_committer = start(committer);

    old.begin(&entry(3)).unwrap().finish(&outcome());
    strictly(&old, 4).unwrap().finish(&outcome());
    strictly(&new, 5).unwrap().finish(&outcome());
    over_the_end.finish(&outcome());
    // From a thread that had no lane when the log was handed over.
    let journal = Arc::clone(&old);
    thread::spawn(move || strictly(&journal, 6).unwrap().finish(&outcome())).join().unwrap();
    old.flush_and_close(SOON).unwrap();
    ended(old_committer);
    let expected: Vec<_> = (1..=6).map(|n| (n, "complete".to_owned())).collect();
    assert_eq!(finals(&folder), expected, "all of the old one is on disk when it says that it is");

    predecessor.is_gone();
    until("the lanes of the old one are gone", || {
        let names = std::fs::read_dir(folder.path().join("audit/lanes")).unwrap();
        names.count() == new.shared.lanes().all.len()
    });
    new.flush_and_close(SOON).unwrap();
    ended(new_committer);
    let report = verified(&folder);
    assert_eq!((report.closed, report.finals, report.decided, report.undetermined), (true, 6, 3, 0));
    let kinds: Vec<_> = records(&folder).iter().filter_map(|it| it["kind"].as_str().map(str::to_owned)).collect();
    assert_eq!(kinds, ["log.opened", "log.taken_over", "log.closed"]);
}

#[test]
fn under_load_over_several_hand_overs_no_record_is_lost_or_doubled_and_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let counter = Arc::new(AtomicU64::new(0));
    let (first, committer) = open(&folder);
    let mut journal = first;
    let mut committer = start(committer);
    let mut load = Load::start(&journal, &counter);
    for _ in 0..5 {
        let before = counter.load(Ordering::Relaxed);
        until("some load", || counter.load(Ordering::Relaxed) > before + 2_000);
        let (next, next_committer, predecessor) = join(&folder, &journal);
        let next_committer = start(next_committer);
        let next_load = Load::start(&next, &counter);
        let before = counter.load(Ordering::Relaxed);
        until("load on both", || counter.load(Ordering::Relaxed) > before + 2_000);
        load.end();
        journal.flush_and_close(SOON).unwrap();
        ended(committer);
        predecessor.is_gone();
        until("the old one is buried", || next.hand_over(SOON).map(|_| next.take_back(SOON).unwrap()).is_ok());
        (journal, committer, load) = (next, next_committer, next_load);
    }
    load.end();
    journal.flush_and_close(SOON).unwrap();
    ended(committer);
    let report = verified(&folder); // also: no two final records
    let begun = counter.load(Ordering::Relaxed);
    assert_eq!((report.finals, report.unrecorded), (begun, 0));
    assert!(finals(&folder).iter().all(|(_, end)| end == "complete"));
}

/// Threads that begin and finish requests until told to end.
struct Load(Vec<JoinHandle<()>>, Arc<AtomicBool>);

impl Load {
    fn start(journal: &Arc<Journal>, counter: &Arc<AtomicU64>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..3).map(|number| {
            let (journal, counter, stop) = (Arc::clone(journal), Arc::clone(counter), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let n = counter.fetch_add(1, Ordering::Relaxed) + 1;
                    let open = if number == 0 {
                        strictly(&journal, n).expect("a strict request waits for no more than the disk")
                    } else {
                        loop {
                            match journal.begin(&entry(n)) {
                                Ok(open) => break open,
                                Err(Unavailable::Ring) => thread::yield_now(), // small rings, a slow disk
                                Err(error) => panic!("{error}"),
                            }
                        }
                    };
                    open.finish(&outcome());
                }
            })
        });
        Self(threads.collect(), stop)
    }

    fn end(&mut self) {
        self.1.store(true, Ordering::Relaxed);
        for thread in self.0.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// The old process has requests 1 (finished before), 2 (open) and 3 (finished after the hand-over), the new one 4
/// (finished) and 5 (open). Somebody dies, as after `kill -9`.
#[test]
fn whoever_dies_at_whatever_point_each_request_has_exactly_one_final_record() {
    let (complete, interrupted) = ("complete", "interrupted");
    let cases = [
        (
            "the new one dies before it has begun",
            New::Never,
            Dies::New,
            vec![(1, complete), (2, complete), (3, complete)],
        ),
        (
            "the new one dies before it has committed anything",
            New::Begun,
            Dies::New,
            vec![(1, complete), (2, complete), (3, complete), (4, complete), (5, interrupted)],
        ),
        (
            "the new one dies in the middle",
            New::Works,
            Dies::New,
            vec![(1, complete), (2, complete), (3, complete), (4, complete), (5, interrupted)],
        ),
        (
            "the old one dies before the new one has begun",
            New::Never,
            Dies::Both,
            vec![(1, complete), (2, interrupted), (3, complete)],
        ),
        (
            "the old one dies in the middle",
            New::Works,
            Dies::Old,
            vec![(1, complete), (2, interrupted), (3, complete), (4, complete), (5, complete)],
        ),
        (
            "both die before the new one has committed anything",
            New::Begun,
            Dies::Both,
            vec![(1, complete), (2, interrupted), (3, complete), (4, complete), (5, interrupted)],
        ),
        (
            "both die in the middle",
            New::Works,
            Dies::Both,
            vec![(1, complete), (2, interrupted), (3, complete), (4, complete), (5, interrupted)],
        ),
    ];
    for (case, new, dies, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        play(&folder, new, dies);
        let expected: Vec<_> = expected.into_iter().map(|(n, end)| (n, end.to_owned())).collect();
        assert_eq!(finals(&folder), expected, "{case}");
        let report = verified(&folder);
        assert!(report.closed && report.torn.is_none(), "{case}");
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum New {
    Never,
    Begun,
    Works,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Dies {
    Both,
    New,
    Old,
}

fn play(folder: &TempDir, how: New, dies: Dies) {
    let (old, mut old_committer) = open(folder);
    old.begin(&entry(1)).unwrap().finish(&outcome());
    old_committer.turn();
    let second = old.begin(&entry(2)).unwrap();
    assert_eq!(old_committer.give_up(), crate::handover::Given::Away);
    old.shared.becomes(crate::handover::Role::Watching);
    old.begin(&entry(3)).unwrap().finish(&outcome());
    let lock = old.shared.lock.try_clone().unwrap().into();
    let handed = Handed { lock, run: old.shared.epoch };
    let mut new = None;
    if how != New::Never {
        let (journal, mut committer, predecessor) =
            Journal::take_over(settings(folder.path()), clock(), handed).unwrap();
        journal.begin(&entry(4)).unwrap().finish(&outcome());
        let fifth = journal.begin(&entry(5)).unwrap();
        if how == New::Works {
            committer.turn();
        }
        new = Some((journal, committer, predecessor, fifth));
    } else {
        drop(handed);
    }
    match (dies, new) {
        (Dies::New, new) => {
            if let Some((journal, committer, _, fifth)) = new {
                std::mem::forget(fifth);
                drop((journal, committer));
            }
            let thread = start(old_committer);
            old.take_back(SOON).unwrap();
            second.finish(&outcome());
            old.flush_and_close(SOON).unwrap();
            ended(thread);
        }
        (Dies::Old, Some((journal, committer, predecessor, fifth))) => {
            std::mem::forget(second);
            drop((old, old_committer));
            predecessor.is_gone();
            let thread = start(committer);
            fifth.finish(&outcome());
            until("the old one is buried", || {
                journal.hand_over(SOON).map(|_| journal.take_back(SOON).unwrap()).is_ok()
            });
            journal.flush_and_close(SOON).unwrap();
            ended(thread);
        }
        (_, new) => {
            std::mem::forget(second);
            drop((old, old_committer));
            if let Some((journal, committer, _, fifth)) = new {
                std::mem::forget(fifth);
                drop((journal, committer));
            }
            let (journal, committer) = open(folder);
            let thread = start(committer);
            journal.flush_and_close(SOON).unwrap();
            ended(thread);
        }
    }
}

#[test]
fn a_new_process_that_ends_before_the_old_one_gives_the_log_back() {
    let folder = tempfile::tempdir().unwrap();
    let (old, committer) = open(&folder);
    let old_committer = start(committer);
    let second = old.begin(&entry(2)).unwrap();
    let (new, committer, _) = join(&folder, &old);
    let new_committer = start(committer);
    new.begin(&entry(1)).unwrap().finish(&outcome());
    new.flush_and_close(SOON).unwrap();
    ended(new_committer);
    drop(new);
    old.take_back(SOON).unwrap();
    second.finish(&outcome());
    old.flush_and_close(SOON).unwrap();
    ended(old_committer);
    assert_eq!(finals(&folder), [(1, "complete".into()), (2, "complete".into())]);
    let closed = records(&folder).iter().filter(|record| record["kind"] == "log.closed").count();
    assert!(verified(&folder).closed && closed == 1, "the log is closed once, by the last");
}

#[test]
fn what_is_open_when_the_old_process_ends_was_cut_by_its_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let (old, committer) = open(&folder);
    let old_committer = start(committer);
    let cut = old.begin(&entry(1)).unwrap();
    let (new, committer, predecessor) = join(&folder, &old);
    let new_committer = start(committer);
    old.flush_and_close(SOON).unwrap();
    ended(old_committer);
    // The new one has it, and brings it to disk.
    until("it is on record", || finals(&folder) == [(1, "shutdown".to_owned())]);
    cut.finish(&outcome()); // too late: it has its record
    predecessor.is_gone();
    new.flush_and_close(SOON).unwrap();
    ended(new_committer);
    assert_eq!(finals(&folder), [(1, "shutdown".to_owned())]);
    verified(&folder);
}

#[test]
fn nobody_else_can_have_the_log_while_it_is_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let (old, committer) = open(&folder);
    let old_committer = start(committer);
    let handed = old.hand_over(SOON).unwrap();
    let refused = || matches!(Journal::open(settings(folder.path()), clock()), Err(OpenError::Locked(_)));
    assert!(refused());
    assert_eq!(old.hand_over(SOON).unwrap_err(), NotHandedOver::Busy, "it cannot be given away twice");
    let (new, committer, predecessor) = Journal::take_over(settings(folder.path()), clock(), handed).unwrap();
    let new_committer = start(committer);
    assert_eq!(new.hand_over(SOON).unwrap_err(), NotHandedOver::Busy, "the one before is still there");
    old.flush_and_close(SOON).unwrap();
    ended(old_committer);
    drop(old);
    assert!(refused());
    predecessor.is_gone();
    new.flush_and_close(SOON).unwrap();
    ended(new_committer);
    drop(new);
    assert!(!refused());
}
