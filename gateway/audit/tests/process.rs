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
        "fill" => fill(&folder),
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
                    let open = journal.begin(&entry(n)).unwrap();
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
    for n in &begun {
        assert!(finals.contains_key(n), "request {n} was begun and has no record");
    }
    for n in &finished {
        assert_eq!(finals[n], "complete", "request {n}");
    }
}

/// The disk takes no byte more than a limit, for a while: `RLIMIT_FSIZE` says EFBIG where a full disk says ENOSPC.
fn fill(folder: &Path) {
    let settings = Settings { segment_bytes: 64 << 20, in_flight: 1_024, ring_bytes: 1 << 20, ..settings(folder) };
    let (journal, committer) = Journal::open(settings, clock()).unwrap();
    let committing = start(committer);
    journal.begin(&entry(0)).unwrap().finish(&outcome()); // this thread has its lane
    let limit = |bytes| {
        let limit = Rlimit { current: bytes, maximum: None };
        setrlimit(Resource::Fsize, limit).unwrap();
    };
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
    writeln!(std::io::stdout(), "\nrequests {}", n + 2).unwrap();
}

#[test]
fn a_full_disk_stops_service_loses_nothing_and_is_got_over_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    // The shell has the signal ignored that comes with the error.
    let mut command = child("fill", folder.path());
    let program = command.get_program().to_owned();
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(program)
        .args(arguments)
        .envs(command.env(PART, "fill").get_envs().filter_map(|(name, value)| Some((name, value?))))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let requests = said.lines().find_map(|line| line.strip_prefix("requests "));
    let requests: usize = requests.unwrap().parse().unwrap();
    assert_eq!(finals(&folder).len(), requests);
    let report = verified(&folder);
    assert!(report.closed && report.torn.is_none() && report.segments >= 2);
    assert!(finals(&folder).iter().all(|(_, end)| end == "complete"));
}
