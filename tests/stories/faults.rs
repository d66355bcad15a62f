//! What can be wrong with a log: each has its own words, with file, place and record, and its own exit code. The gateway goes on
//! with none that it could not prove.

mod slow;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use audit::{Decision, Entry, Journal, Outcome, Settings};
use tempfile::TempDir;
use terms::{Reason, RequestId, SystemClock};

use crate::harness::{Gateway, PATIENCE, Process, run};

/// A log of several segments, signed for, with the state folder and the settings of its gateway.
struct World {
    folder: TempDir,
    policy: String,
}

/// Puts records into a log without serving anybody, in small segments.
fn fill(log: &Path, records: u64, came: u64) {
    let settings = Settings { segment_bytes: 65_536, ..Settings::new(log.to_owned(), "gateway".into()) };
    let (journal, committer) = Journal::open(settings, Arc::new(SystemClock)).unwrap();
    let committer = std::thread::spawn(|| committer.run());
    (0..came).for_each(|_| journal.arrived());
    for n in 0..records {
        let id = RequestId::new(n, fastrand::u128(..));
        let entry =
            Entry::new(id, UNIX_EPOCH + Duration::from_secs(1_790_000_000), Decision::Deny, Reason::AuthMissing);
        journal.whole(&entry, &Outcome { status: Some(401), ..Outcome::default() }).unwrap();
        if n.is_multiple_of(50) {
            let told = journal.stats().records;
            while journal.stats().records == told {
                std::thread::sleep(Duration::from_millis(1)); // so that each segment has several batches
            }
        }
    }
    journal.flush_and_close(PATIENCE).unwrap();
    committer.join().unwrap().unwrap();
}

impl World {
    async fn new() -> Self {
        let mut gateway = Gateway::test().start().await;
        let stop = |gateway: &mut Gateway| {
            gateway.process().signal("TERM");
            assert!(gateway.process().wait().success());
        };
        assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
        stop(&mut gateway);
        fill(gateway.log(), 1_200, 1_200);
        gateway.start_again();
        stop(&mut gateway);
        let config = gateway.folder.path().join("cloister.yaml");
        let (code, policy, said) =
            run(&["audit", "trust", "--config", &config.display().to_string()], gateway.folder.path());
        assert_eq!(code, 0, "{said}");
        let folder = tempfile::tempdir().unwrap();
        copy(gateway.folder.path(), folder.path(), gateway.folder.path());
        fs::write(folder.path().join("trust"), &policy).unwrap();
        gateway.leave_with_gaps();
        Self { folder, policy }
    }

    /// The same once more, in which something may be spoilt.
    fn copy(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path(), self.folder.path());
        folder
    }
}

/// Copies a folder, and lets the files of it that name the first folder name the second.
fn copy(from: &Path, to: &Path, named: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target, named);
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
    let config = to.join("cloister.yaml");
    if let Ok(text) = fs::read_to_string(&config) {
        let new = config.parent().unwrap().display().to_string();
        fs::write(&config, text.replace(&named.display().to_string(), &new)).unwrap();
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> =
        fs::read_dir(folder.join("audit/segments")).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    assert!(all.len() >= 4, "{all:?}");
    all
}

/// Changes a file that may be read-only.
fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    how(&mut bytes);
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn verify(folder: &Path) -> (i32, String) {
    let (log, policy) = (folder.join("audit").display().to_string(), folder.join("trust").display().to_string());
    let (code, out, err) = run(&["audit", "verify", "--dir", &log, "--policy", &policy], folder);
    (code, out + &err)
}

fn gateway(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloister"));
    let (config, policies) = (folder.join("cloister.yaml"), folder.join("policies"));
    command.arg("run").arg("--config").arg(config).arg("--policies").arg(policies);
    command
}

/// What a start comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Start {
    /// It ends with this exit code, and these words.
    Ends(i32, &'static str),
    /// It serves until the whole log was read again, and then no more.
    Finds(&'static str),
}

fn begins(folder: &Path, expected: Start, what: &str) {
    let mut process = Process::of(gateway(folder));
    match expected {
        Start::Ends(code, words) => {
            let status = process.wait();
            let said = process.said();
            assert!(status.code() == Some(code) && said.contains(words), "{what}: {status:?} {said}");
        }
        Start::Finds(words) => {
            process.await_line(|line| line["level"] == "ERROR" && line.to_string().contains(words));
            let admin = process.said().lines().find_map(admin_address).unwrap();
            let deadline = std::time::Instant::now() + PATIENCE;
            while !readiness(&admin).starts_with("HTTP/1.1 503") {
                assert!(std::time::Instant::now() < deadline, "{what}: it serves on");
            }
            process.signal("KILL");
            process.wait();
        }
    }
}

fn admin_address(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let is_admin = line["message"] == "listening" && line["listener"] == "admin";
    is_admin.then(|| line["address"].as_str().unwrap().to_owned())
}

fn readiness(admin: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(admin).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer));
    answer
}

/// How a log is spoilt, in a folder that is a copy.
type Spoil = fn(&Path);

fn swap_bytes_of(folder: &Path, at: usize) {
    change(&segments(folder)[at], |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
}

fn of_another_log(folder: &Path) {
    let other = tempfile::tempdir().unwrap();
    fill(&other.path().join("audit"), 1_200, 1_200);
    let (here, there) = (segments(folder), segments(other.path()));
    change(&here[2], |bytes| *bytes = fs::read(&there[2]).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_log_has_its_own_words_and_its_own_exit_code() {
    use Start::{Ends, Finds};
    let world = World::new().await;
    assert!(world.policy.starts_with("log cloister/gateway/"));
    let untouched = world.copy();
    let (code, said) = verify(untouched.path());
    assert!(code == 0 && said.contains("the log is whole") && said.contains("signed for"), "{said}");
    let cases: [(&str, Spoil, i32, &str, Option<Start>); 9] = [
        ("a flipped bit", |it| swap_bytes_of(it, 1), 20, ".seg`, byte ", Some(Finds("is damaged at byte"))),
        (
            "a flipped bit at the end",
            |it| swap_bytes_of(it, segments(it).len() - 1),
            20,
            ".seg`, byte ",
            Some(Ends(20, ".seg` is damaged at byte")),
        ),
        (
            "an end that was cut off",
            |it| change(segments(it).last().unwrap(), |bytes| bytes.truncate(bytes.len() - 100)),
            21,
            "records are missing at the end",
            Some(Ends(21, "it was cut off, or set back to an earlier day")),
        ),
        (
            "an end that is missing with its segment",
            |it| fs::remove_file(segments(it).last().unwrap()).unwrap(),
            21,
            "records are missing at the end",
            Some(Ends(21, "it was cut off, or set back to an earlier day")),
        ),
        (
            "a segment that is missing",
            |it| fs::remove_file(&segments(it)[2]).unwrap(),
            22,
            "one is missing before it",
            Some(Finds("where")),
        ),
        (
            "a segment of another log",
            of_another_log,
            23,
            "this segment is of another log",
            Some(Finds("is of another log")),
        ),
        (
            "a file that is no segment",
            |it| change(&segments(it)[2], |bytes| *bytes = b"not a segment, but a text that lies there\n".repeat(9)),
            23,
            "this is not a segment of an audit log",
            Some(Finds("is not a readable segment")),
        ),
        (
            "a tile that was changed",
            |it| change(&it.join("audit/tlog/tile/0/000"), |bytes| bytes[70] ^= 1),
            25,
            "`tlog/tile/0/000` is not what the records make of it",
            Some(Finds("is not what the records make of it")),
        ),
        (
            "a checkpoint that is gone",
            |it| fs::remove_file(it.join("audit/tlog/checkpoint")).unwrap(),
            26,
            "there is no checkpoint",
            // It is signed again, for what the copy of it in the state folder shows to be right.
            None,
        ),
    ];
    for (what, spoil, code, words, start) in cases {
        let spoilt = world.copy();
        spoil(spoilt.path());
        let (found, said) = verify(spoilt.path());
        assert!(found == code && said.contains(words), "{what}: {found} {said}");
        if let Some(start) = start {
            begins(spoilt.path(), start, what);
        }
    }
    // With everything as it was, it goes on.
    let mut process = Process::of(gateway(untouched.path()));
    process.address("admin");
    // Whoever comes second is sent away.
    let mut second = Process::of(gateway(untouched.path()));
    assert_eq!(second.wait().code(), Some(27), "{}", second.said());
    assert!(second.said().contains("another process writes to the audit log in"), "{}", second.said());
    process.signal("TERM");
    assert!(process.wait().success(), "{}", process.said());
}

#[test]
fn a_log_that_lacks_a_request_says_so_itself() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit");
    fill(&log, 3, 4);
    let (code, out, _) = run(&["audit", "verify", "--dir", &log.display().to_string()], folder.path());
    let words = "4 requests came in since the gateway took the log up, and 3 of them are on record";
    assert!(code == 24 && out.contains(words), "{code} {out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_is_not_the_logs_own() {
    let (world, other) = tokio::join!(World::new(), World::new());
    let spoilt = world.copy();
    fs::write(spoilt.path().join("trust"), &other.policy).unwrap();
    let (code, said) = verify(spoilt.path());
    assert!(code == 26 && said.contains("not signed by a log of the policy"), "{code} {said}");
    let key = |folder: &Path| {
        let files = fs::read_dir(folder.join("state/ledger")).unwrap().map(|entry| entry.unwrap().path());
        files.into_iter().find(|path| path.extension().is_some_and(|it| it == "key")).unwrap()
    };
    fs::copy(key(other.folder.path()), key(spoilt.path())).unwrap();
    let mut process = Process::of(gateway(spoilt.path()));
    let (status, said) = (process.wait(), process.said());
    assert!(status.code() == Some(26) || said.contains("key"), "{status:?} {said}");
    assert_ne!(status.code(), Some(0));
}

/// Starts the gateway behind a shell that prepares the folder of the log.
fn prepared(folder: &Path, prepare: &str) -> Process {
    let plain = gateway(folder);
    let mut command = Command::new("unshare");
    let script = format!("{prepare} || {{ echo cannot mount >&2; exit 99; }}\nexec \"$0\" \"$@\"");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script]).arg(plain.get_program()).args(plain.get_args());
    command.env("LOG", folder.join("audit"));
    Process::of(command)
}

/// Where nobody may mount, there is nothing to see; `audit` has a test of a limit in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_or_read_only_ends_the_start_and_says_which() {
    let world = World::new().await;
    for (prepare, code, words) in [
        (
            "mkdir -p \"$LOG.kept\" && cp -a \"$LOG/.\" \"$LOG.kept\" && mount -t tmpfs -o size=2m tmpfs \"$LOG\" && cp -a \"$LOG.kept/.\" \"$LOG\" && { cat /dev/zero > \"$LOG/rest\" 2>/dev/null || true; }",
            28,
            "No space left on device",
        ),
        ("mount --bind -o ro \"$LOG\" \"$LOG\" && mount -o remount,bind,ro \"$LOG\"", 29, "Read-only file system"),
    ] {
        let folder = world.copy();
        let mut process = prepared(folder.path(), prepare);
        let (status, said) = (process.wait(), process.said());
        let forbidden = said.contains("cannot mount") || said.contains("unshare failed");
        assert!(forbidden || (status.code() == Some(code) && said.contains(words)), "{status:?} {said}");
    }
}
