//! Whatever happens to the bytes of a log is found.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;

/// A closed log of several segments: its files, from which each case makes its own copy.
fn log() -> &'static [(PathBuf, Vec<u8>)] {
    static LOG: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    LOG.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (journal, mut committer) = open(&folder);
        for n in 0..300 {
            journal.begin(&entry(n)).unwrap().finish(&outcome());
            if n % 7 == 0 {
                committer.turn();
            }
        }
        let thread = start(committer);
        journal.flush_and_close(Duration::from_secs(10)).unwrap();
        thread.join().unwrap().unwrap();
        let segments = folder.path().join("audit/segments");
        let mut files: Vec<_> = fs::read_dir(segments).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 3);
        files.into_iter().map(|path| (PathBuf::from(path.file_name().unwrap()), fs::read(&path).unwrap())).collect()
    })
}

fn copy(change: impl Fn(usize, &mut Vec<u8>)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let segments = folder.path().join("audit/segments");
    fs::create_dir_all(&segments).unwrap();
    for (at, (name, bytes)) in log().iter().enumerate() {
        let mut bytes = bytes.clone();
        change(at, &mut bytes);
        fs::write(segments.join(name), bytes).unwrap();
    }
    folder
}

fn report(folder: &TempDir) -> Report {
    verify(&folder.path().join("audit")).unwrap()
}

/// A log is found whole only if nothing is wrong, nothing is torn, and it ends as a log ends that was closed.
fn whole(report: &Report) -> bool {
    report.problems.is_empty() && report.torn.is_none() && report.closed
}

#[test]
fn the_untouched_log_is_whole() {
    let report = report(&copy(|_, _| {}));
    assert!(whole(&report), "{report:#?}");
    assert_eq!(report.finals, 300);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_changed_byte_anywhere_is_found(segment in 0_usize..3, at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let folder = copy(|index, bytes| {
            if index == segment {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
            }
        });
        prop_assert!(!whole(&report(&folder)));
        // And no start of the gateway makes it look whole by cutting off what was promised.
        let before = report(&folder);
        if let Ok((journal, committer)) = Journal::open(settings(folder.path()), clock()) {
            let thread = start(committer);
            journal.flush_and_close(Duration::from_secs(10)).unwrap();
            thread.join().unwrap().unwrap();
            let after = report(&folder);
            let last_batch = after.problems.is_empty();
            prop_assert!(!last_batch || records(&folder).iter().any(|record| record["kind"] == "log.recovered"));
            prop_assert!(after.finals + 8 >= before.finals);
        }
    }

    #[test]
    fn a_cut_anywhere_is_found(segment in 0_usize..3, at in any::<prop::sample::Index>()) {
        let folder = copy(|index, bytes| if index == segment { bytes.truncate(at.index(bytes.len())) });
        prop_assert!(!whole(&report(&folder)));
    }

    #[test]
    fn a_frame_that_is_gone_twice_or_elsewhere_is_found(segment in 0_usize..3, from in 0_usize..20, to in 0_usize..20) {
        let folder = copy(|index, bytes| {
            if index == segment {
                let mut frames = Vec::new();
                let mut at = crate::segment::HEADER;
                while at < bytes.len() {
                    let word = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) & 0xff_ffff;
                    let next = at + 8 + usize::try_from(word).unwrap();
                    frames.push(bytes[at..next].to_vec());
                    at = next;
                }
                let frame = frames.remove(from);
                match to {
                    0 => {}
                    to if to == from => frames.splice(to..to, [frame.clone(), frame]).for_each(drop),
                    to => frames.insert(to, frame),
                }
                bytes.truncate(crate::segment::HEADER);
                bytes.extend(frames.concat());
            }
        });
        prop_assert!(!whole(&report(&folder)));
    }
}

#[test]
fn a_segment_that_is_missing_or_from_another_log_is_found() {
    for at in [0, 1] {
        let folder = copy(|_, _| {});
        fs::remove_file(folder.path().join("audit/segments").join(&log()[at].0)).unwrap();
        let report = report(&folder);
        // Also without its first segment: the log says nothing of records that were to go.
        assert!(!whole(&report), "{report:#?}");
        assert_eq!(report.first.unwrap().0 > 0, at == 0);
    }
    let folder = copy(|_, _| {});
    let other = tempfile::tempdir().unwrap();
    drop(open(&other));
    let foreign = fs::read(crate::segment::path(&other.path().join("audit"), 0)).unwrap();
    fs::write(folder.path().join("audit/segments").join(&log()[1].0), foreign).unwrap();
    assert!(report(&folder).problems.iter().any(|problem| matches!(problem.what, Fault::Foreign)));
}

#[test]
fn damage_in_the_middle_is_never_cut_off_as_a_torn_tail() {
    let last = log().len() - 1;
    let folder = copy(|index, bytes| {
        if index == last {
            bytes[crate::segment::HEADER + 3] ^= 0x40; // the length of the first frame
        }
    });
    let opened = Journal::open(settings(folder.path()), clock());
    assert!(matches!(opened, Err(OpenError::Corrupt { .. })));
    let untouched = fs::read(folder.path().join("audit/segments").join(&log()[last].0)).unwrap();
    assert_eq!(untouched.len(), log()[last].1.len());
}

#[test]
fn around_damage_the_rest_is_still_read() {
    let folder = copy(|index, bytes| {
        if index == 1 {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
    });
    let reader = Reader::open(&folder.path().join("audit")).unwrap();
    let (good, bad): (Vec<_>, Vec<_>) = reader.partition(Result::is_ok);
    assert_eq!(bad.len(), 1);
    assert!(good.len() >= 285, "{}", good.len());
    assert_eq!(good.last().unwrap().as_ref().unwrap().row().unwrap().kind, Some("log.closed"));
}

#[test]
fn a_request_with_two_final_records_and_a_decision_without_one_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, committer) = open(&folder);
    journal.whole(&refusal(1), &outcome()).unwrap();
    journal.whole(&refusal(1), &outcome()).unwrap();
    crate::lane::local::with(&journal.shared.me, |writer| writer.decided("edge-1", &entry(2)).unwrap()).unwrap();
    let thread = start(committer);
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    thread.join().unwrap().unwrap();
    let problems = report(&folder).problems;
    assert_eq!(problems.len(), 2);
    assert!(problems.iter().any(|problem| matches!(&problem.what, Fault::Duplicate(n) if *n == id(1).to_string())));
    assert!(problems.iter().any(|problem| matches!(&problem.what, Fault::Unfinished(n) if *n == id(2).to_string())));
}
