//! What only a process of its own can show: `kill -9`, and a disk that is full.

use std::collections::HashSet;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::*;

const PART: &str = "CLOISTER_AUDIT_TEST_PART";
const FOLDER: &str = "CLOISTER_AUDIT_TEST_FOLDER";

/// Runs this test binary again, as one of the programs below.
fn child(part: &str, folder: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "tests::process::programs", "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .env(FOLDER, folder)
        .stdout(Stdio::piped());
    command
}

/// Not a test by itself: the program that `child` starts.
#[test]
fn programs() {
    let Some(part) = env::var_os(PART) else {
        return;
    };
    let folder = PathBuf::from(env::var_os(FOLDER).unwrap());
    match part.to_str().unwrap() {
        "serve" => serve(&folder),
        "limit" => limited(&folder),
        "mount" => mounted(&folder),
        other => panic!("{other}"),
    }
}

/// Four threads begin and finish requests for ever, and say so on standard output: `b` before a backend would be asked,
/// `f` when the response is over.
fn serve(folder: &Path) {
    let settings = Settings { segment_bytes: 1 << 20, ring_bytes: 1 << 20, ..settings(folder) };
    let (journal, committer) = Journal::open(settings, clock()).unwrap();
    let _committing = start(committer);
    let base = u64::from(std::process::id()) << 32;
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let journal = Arc::clone(&journal);
            thread::spawn(move || {
                let mut held = Vec::new();
                for n in (base + number..).step_by(4) {
                    journal.arrived();
                    let open = loop {
                        match journal.begin(&entry(n)) {
                            Ok(open) => break open,
                            Err(_) => thread::yield_now(), // the disk is slow
                        }
                    };
                    writeln!(std::io::stdout(), "b {n}").unwrap();
                    held.push((n, open));
                    if held.len() > 3 {
                        let (n, open) = held.remove(0);
                        open.finish(&outcome());
                        writeln!(std::io::stdout(), "f {n}").unwrap();
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn kill_9_loses_no_request_that_was_begun_and_doubles_none() {
    let folder = tempfile::tempdir().unwrap();
    let (mut begun, mut finished) = (HashSet::new(), HashSet::new());
    for round in 0..8 {
        let mut process: Child = child("serve", folder.path()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        let mut lines = 0;
        while output.read_line(&mut line).unwrap() > 0 {
            if let Some((mark, n)) = line.trim_end().split_once(' ')
                && line.ends_with('\n')
                && let Ok(n) = n.parse::<u64>()
            {
                match mark {
                    "b" => assert!(begun.insert(n)),
                    "f" => assert!(finished.insert(n)),
                    _ => {}
                }
            }
            line.clear();
            lines += 1;
            if lines == 1_500 + 997 * round {
                process.kill().unwrap(); // SIGKILL; what is still in the pipe was said before it
            }
        }
        process.wait().unwrap();
    }
    let (journal, committer) = open(&folder);
    let thread = start(committer);
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    thread.join().unwrap().unwrap();
    let report = verified(&folder); // also: no two final records
    let finals: std::collections::HashMap<u64, String> = finals(&folder).into_iter().collect();
    assert_eq!(finals.len() as u64, report.finals);
    assert!(begun.len() > 10_000);
    // Each run that was cut off has its account: what came in is on record, or was being judged on one of the four threads.
    let (closed, cut) = report.runs.split_last().unwrap();
    assert_eq!((cut.len(), closed.ended, closed.requests), (8, Ended::Closed, Some(0)));
    for run in cut {
        assert_eq!((run.ended, run.requests), (Ended::CutOff, Some(run.finals + run.unrecorded)), "{run:?}");
        assert!(run.unrecorded <= 4, "{run:?}");
    }
    for n in &begun {
        assert!(finals.contains_key(n), "request {n} was begun and has no record");
    }
    for n in &finished {
        assert_eq!(finals[n], "complete", "request {n}");
    }
}

/// `RLIMIT_FSIZE` says EFBIG where a full disk says ENOSPC: no file grows beyond so many bytes.
fn limited(folder: &Path) {
    fill(folder, |room| {
        let limit = Rlimit { current: room, maximum: None };
        setrlimit(Resource::Fsize, limit).unwrap();
    });
}

/// A small file system of its own, on which another file takes all but so many bytes.
fn mounted(folder: &Path) {
    let ballast = folder.join("ballast");
    fill(folder, |room| {
        drop(std::fs::remove_file(&ballast));
        if let Some(room) = room {
            let mut file = std::fs::File::create(&ballast).unwrap();
            while file.write_all(&[1; 4096]).is_ok() {}
            let taken = file.metadata().unwrap().len();
            file.set_len(taken.saturating_sub(room)).unwrap();
        }
    });
}

/// Fills the disk while requests are in flight, waits, and makes room again. Ends by looking at the log.
fn fill(folder: &Path, limit: impl Fn(Option<u64>)) {
    let settings = Settings { segment_bytes: 64 << 20, in_flight: 1_024, ring_bytes: 1 << 20, ..settings(folder) };
    let (journal, committer) = Journal::open(settings, clock()).unwrap();
    let committing = start(committer);
    journal.begin(&entry(0)).unwrap().finish(&outcome()); // this thread has its lane
    limit(Some(100_000));
    let held: Vec<_> = (1..100).map(|n| journal.begin(&entry(n)).unwrap()).collect();
    let mut n = 100;
    until("full disk", || {
        for _ in 0..50 {
            if let Ok(open) = journal.begin(&entry(n)) {
                open.finish(&outcome());
                n += 1;
            }
        }
        !journal.stats().healthy
    });
    limit(Some(10)); // not even a new segment can be begun now
    let failures = journal.stats().failures;
    until("more failures", || journal.stats().failures > failures + 3);
    assert_eq!(journal.begin(&entry(n)).map(|_| ()), Err(Unavailable::Failing));
    held.into_iter().for_each(|open| open.finish(&outcome()));
    journal.whole(&refusal(n), &outcome()).unwrap();
    assert!(!journal.stats().healthy);
    limit(None);
    until("health", || journal.stats().healthy);
    journal.begin(&entry(n + 1)).unwrap().finish(&outcome());
    journal.flush_and_close(Duration::from_secs(10)).unwrap();
    committing.join().unwrap().unwrap();
    let report = verify(&folder.join("audit")).unwrap();
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    assert!(report.closed && report.torn.is_none() && report.segments >= 2);
    assert_eq!(report.finals, n + 2);
    let lost = |stored: &Stored| stored.row().unwrap().end.is_some_and(|end| end != "complete");
    let reader = Reader::open(&folder.join("audit")).unwrap();
    assert_eq!(reader.map(Result::unwrap).filter(lost).count(), 0);
    writeln!(std::io::stdout(), "\nnothing lost").unwrap();
}

/// Runs a program through a shell that prepares its surroundings.
fn through_shell(prepare: &[&str], part: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let command = child(part, folder.path());
    let output = Command::new(prepare[0])
        .args(&prepare[1..])
        .arg(command.get_program())
        .args(command.get_args())
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .output()
        .unwrap();
    [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat()
}

#[test]
fn a_limited_disk_stops_service_loses_nothing_and_is_got_over_without_a_restart() {
    // The signal that comes with the error is ignored.
    let said = through_shell(&["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""], "limit");
    assert!(said.contains("nothing lost"), "{said}");
}

#[test]
fn a_full_disk_stops_service_loses_nothing_and_is_got_over_without_a_restart() {
    let mount = "mount -t tmpfs -o size=8m tmpfs \"$CLOISTER_AUDIT_TEST_FOLDER\" || { echo cannot mount; exit; }
        exec \"$0\" \"$@\"";
    let said = through_shell(&["unshare", "--map-root-user", "--mount", "sh", "-c", mount], "mount");
    // Where nobody may mount, the limit of the test before this one has to do.
    let forbidden = said.contains("cannot mount") || said.contains("unshare failed");
    assert!(said.contains("nothing lost") || forbidden, "{said}");
}
