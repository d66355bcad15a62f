//! The same promise under the load of a tool that knows nothing of us.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::{Gateway, verify};

/// How many answers are seen in all, over both lives of the gateway.
const ANSWERS: u64 = 200_000;
const THREADS: usize = 2;
/// The length of an id and the end of its line.
const LINE: u64 = 33;

/// Many requests at once, until it is told to end.
struct Wrk {
    child: Child,
    seen: PathBuf,
}

impl Wrk {
    fn start(address: SocketAddr, token: &str, folder: &Path) -> Self {
        let seen = folder.join("seen");
        let child = Command::new("wrk")
            .args([&format!("-t{THREADS}"), "-c32", "-d600s", "--timeout", "30s"])
            .args(["-s", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stories/crash/seen.lua")])
            .args(["-H", "Host: acme.example.test", "-H", &format!("Authorization: Bearer {token}")])
            .args([&format!("http://{address}/orders/1"), "--"])
            .arg(&seen)
            .stdout(Stdio::null())
            .spawn()
            .expect("this story needs wrk: `apt-get install wrk`, or run `tests/run`, which does that");
        Self { child, seen }
    }

    /// How many answers were seen so far, short of the last few.
    fn count(&self) -> u64 {
        let length = |file| std::fs::metadata(file).map_or(0, |file| file.len());
        self.files().map(length).sum::<u64>() / LINE
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        (1..=THREADS).map(|thread| self.seen.with_extension(thread.to_string()))
    }

    /// Ends it, and gives the ids of all answers that were seen.
    fn end(mut self) -> Vec<String> {
        let told = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()));
        assert!(self.child.wait().unwrap().success());
        self.files()
            .flat_map(|file| std::fs::read_to_string(file).unwrap().lines().map(str::to_string).collect::<Vec<_>>())
            .collect()
    }
}

impl Drop for Wrk {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn every_one_of_200_000_answers_around_a_kill_9_has_exactly_one_record() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut gateway = runtime.block_on(Gateway::test().upstream(backend()).start());
    let wrk = Wrk::start(gateway.address, &gateway.token("acme", "ada", &["viewer"]), gateway.folder.path());
    gateway.eventually_within(Duration::from_secs(300), "half of it is done", || wrk.count() >= ANSWERS / 2);
    gateway.process().signal("KILL");
    gateway.process().wait();
    let before = wrk.count();
    gateway.start_again_in_place();
    gateway.eventually_within(Duration::from_secs(300), "all of it is done", || wrk.count() >= ANSWERS);
    let ids = wrk.end();
    assert!(before < ANSWERS, "{before} of {} answers came before the kill", ids.len());

    let records = gateway.records(&[]);
    let mut recorded: HashMap<&str, u32> = HashMap::new();
    for record in records.finals() {
        *recorded.entry(record["id"].as_str().unwrap()).or_default() += 1;
    }
    let unrecorded: Vec<_> = ids.iter().filter(|id| recorded.get(id.as_str()) != Some(&1)).collect();
    assert!(unrecorded.is_empty(), "{} of {} without exactly one record: {unrecorded:?}", unrecorded.len(), ids.len());
    let (code, report) = verify(gateway.log());
    assert_eq!(code, 0, "{report}");
}

/// A backend that costs next to nothing: the same few bytes to everyone, a thread per connection.
fn backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(16_384).read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        if line == b"\r\n" {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ok()?;
        }
    }
}
