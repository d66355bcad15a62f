use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn a_strict_request_waits_for_the_disk_and_then_has_two_records() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut committer) = open(&folder);
    runtime().block_on(async {
        let request = entry(1);
        let mut begun = std::pin::pin!(journal.begin_strict(&request));
        let early = tokio::time::timeout(Duration::from_millis(50), begun.as_mut()).await;
        assert!(early.is_err(), "nothing is on disk yet");
        assert!(finals(&folder).is_empty());
        committer.turn();
        let open = begun.await.unwrap();
        assert_eq!(records(&folder).last().unwrap()["stage"], "decided");
        open.finish(&outcome());
    });
    committer.turn();
    let report = verified(&folder);
    assert_eq!((report.decided, report.finals), (1, 1));
}

#[test]
fn strict_requests_of_many_threads_share_the_syncs() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, committer) = open(&folder);
    let committing = start(committer);
    let threads: Vec<_> = (0..4_u64)
        .map(|number| {
            let journal = Arc::clone(&journal);
            thread::spawn(move || {
                runtime().block_on(async {
                    for n in 0..25 {
                        let open = journal.begin_strict(&entry(number * 100 + n)).await.unwrap();
                        open.finish(&outcome());
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    committing.join().unwrap().unwrap();
    let report = verified(&folder);
    assert_eq!((report.decided, report.finals, report.undetermined), (100, 100, 0));
}

#[test]
fn a_disk_that_does_not_answer_in_time_refuses_the_request_which_then_has_one_final_record() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { strict_timeout: Duration::from_millis(20), ..settings(folder.path()) };
    let (journal, mut committer) = Journal::open(settings, clock()).unwrap();
    let begun = runtime().block_on(journal.begin_strict(&entry(1)));
    assert_eq!(begun.map(|_| ()), Err(Unavailable::Timeout));
    let denied = Entry { decision: Decision::Deny, reason: Reason::AuditUnavailable, ..entry(1) };
    journal.whole(&denied, &outcome()).unwrap();
    committer.turn();
    let report = verified(&folder);
    assert_eq!((report.decided, report.finals), (1, 1));
    assert_eq!(journal.stats().open, 0);
}

#[test]
fn a_client_that_leaves_while_the_disk_works_is_recorded_as_abandoned() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut committer) = open(&folder);
    runtime().block_on(async {
        let request = entry(1);
        let begun = journal.begin_strict(&request);
        assert!(tokio::time::timeout(Duration::from_millis(10), begun).await.is_err());
    });
    committer.turn();
    assert_eq!(finals(&folder), [(1, "abandoned".to_owned())]);
}
