//! One process takes over from another while both serve.

mod h2;
mod slow;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::harness::{Gateway, Records, verify};

/// Whether a client uses its connection again.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Manner {
    Keeps,
    Renews,
}

/// Clients that ask again and again, and count what became of it.
pub(super) struct Load {
    clients: Vec<JoinHandle<Vec<String>>>,
    pub(super) answered: Arc<AtomicU64>,
    ids: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    pub(super) fn start(address: SocketAddr, token: &str, path: &'static str, manners: &[Manner]) -> Self {
        let (answered, ids, stop) = (Arc::<AtomicU64>::default(), Arc::default(), Arc::<AtomicBool>::default());
        let client = |manner: &Manner| {
            let (answered, stop, token, manner) = (Arc::clone(&answered), Arc::clone(&stop), token.to_owned(), *manner);
            let all: Arc<Mutex<Vec<String>>> = Arc::clone(&ids);
            std::thread::spawn(move || {
                let (mut failures, mut ids) = (Vec::new(), Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    if let Err(failure) = converse(address, &token, path, manner, &answered, &mut ids, &stop) {
                        let gone = failure.starts_with(GONE);
                        failures.push(failure);
                        if gone {
                            break; // it would only be told the same again
                        }
                    }
                }
                all.lock().unwrap().append(&mut ids);
                failures
            })
        };
        let clients = manners.iter().map(client).collect();
        Self { clients, answered, ids, stop }
    }

    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// How many requests were answered with 200. All were: that is the promise.
    pub(super) fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let failures: Vec<String> = self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        let answered = self.answered.load(Ordering::Relaxed);
        assert!(
            failures.is_empty(),
            "{} of {answered} failed: {:?}",
            failures.len(),
            &failures[..failures.len().min(5)]
        );
        answered
    }
}

impl Load {
    /// As [`Load::end`], where a gateway goes and nobody comes: each client asks until it finds nobody.
    fn end_with_the_gateway(self) -> u64 {
        let join = |client: JoinHandle<Vec<String>>| client.join().unwrap();
        let failures: Vec<Vec<String>> = self.clients.into_iter().map(join).collect();
        let gone = |failures: &Vec<String>| failures.len() == 1 && failures[0].starts_with(GONE);
        assert!(failures.iter().all(gone), "{failures:?}");
        self.answered.load(Ordering::Relaxed)
    }

    /// As [`Load::end`], where requests fail as somebody was killed: the ids of those that were answered.
    pub(super) fn give_up(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            drop(client.join().unwrap());
        }
        std::mem::take(&mut *self.ids.lock().unwrap())
    }
}

/// Nobody listens any more.
const GONE: &str = "connect: Connection refused";

/// One connection, until an answer says that it ends.
fn converse(
    address: SocketAddr,
    token: &str,
    path: &str,
    manner: Manner,
    answered: &AtomicU64,
    ids: &mut Vec<String>,
    stop: &AtomicBool,
) -> Result<(), String> {
    let failed = |what: &'static str| move |error: std::io::Error| format!("{what}: {error}");
    let stream = TcpStream::connect(address).map_err(failed("connect"))?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    let close = if manner == Manner::Renews { "Connection: close\r\n" } else { "" };
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: acme.example.test\r\n{close}Authorization: Bearer {token}\r\n\r\n");
    while !stop.load(Ordering::Relaxed) {
        stream.get_mut().write_all(request.as_bytes()).map_err(failed("write"))?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).map_err(failed("read"))? == 0 {
                return Err(format!("the connection ended in the middle of an answer: {head:?}"));
            }
        }
        if !head.starts_with("HTTP/1.1 200") {
            return Err(head);
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        stream.read_exact(&mut vec![0; length.unwrap_or(0)]).map_err(failed("read a body"))?;
        answered.fetch_add(1, Ordering::Relaxed);
        ids.extend(head.lines().find_map(|line| line.strip_prefix("x-request-id: ").map(str::to_owned)));
        if head.contains("connection: close") {
            return Ok(());
        }
    }
    Ok(())
}

/// Final records, and whether the log is well.
pub(super) fn finals(gateway: &Gateway) -> Vec<serde_json::Value> {
    let (code, report) = verify(gateway.log());
    assert_eq!(code, 0, "{report}");
    Records::query(gateway.log(), &[]).finals().into_iter().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_lets_no_request_fail_and_misses_no_record() {
    let mut gateway = Gateway::test().shutdown("idle: 2s").start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let (keeps, renews) = ([Manner::Keeps; 4], [Manner::Renews; 2]);
    let load = Load::start(gateway.address, &token, "/orders/1", &[&keeps[..], &renews].concat());
    let strict = Load::start(gateway.address, &token, "/strict/1", &[Manner::Keeps, Manner::Renews]);
    let mut before = Vec::new();
    for _ in 0..2 {
        let count = load.answered();
        gateway.eventually("there is load", || load.answered() > count + 200);
        let mut old = gateway.upgrade();
        assert!(old.wait().success(), "{}", old.said());
        before.push(old);
        let count = (load.answered(), strict.answered());
        gateway.eventually("the new one serves", || load.answered() > count.0 + 200 && strict.answered() > count.1);
    }
    let answered = load.end() + strict.end();
    let id = gateway.process().id();
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success(), "{}", gateway.process().said());
    let finals = finals(&gateway);
    assert_eq!(finals.len() as u64, answered);
    assert!(finals.iter().all(|record| record["end"] == "complete" && record["status"] == 200));
    assert!(before.iter().all(|old| old.id() != id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_under_load_fails_no_request_that_found_a_connection() {
    let mut gateway = Gateway::test().shutdown("idle: 2s").start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let (keeps, renews) = ([Manner::Keeps; 6], [Manner::Renews; 2]);
    let load = Load::start(gateway.address, &token, "/orders/1", &[&keeps[..], &renews].concat());
    gateway.eventually("there is load", || load.answered() > 500);
    gateway.process().signal("TERM");
    let answered = load.end_with_the_gateway();
    assert!(gateway.process().wait().success(), "{}", gateway.process().said());
    let finals = finals(&gateway);
    assert_eq!(finals.len() as u64, answered);
    assert!(finals.iter().all(|record| record["end"] == "complete" && record["status"] == 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_cannot_start_changes_nothing() {
    let mut gateway = Gateway::test().start().await;
    let config = gateway.folder.path().join("cloister.yaml");
    let good = std::fs::read_to_string(&config).unwrap();
    // It does not even say hello.
    std::fs::write(&config, good.replace("workers: 2", "workers: two")).unwrap();
    let mut next = gateway.successor();
    assert_eq!(next.wait().code(), Some(2));
    // It gets the sockets, and an address that it cannot have.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = format!("listeners:\n  - {{ bind: \"{}\" }}", taken.local_addr().unwrap());
    std::fs::write(&config, good.replacen("listeners:", &bind, 1)).unwrap();
    let mut next = gateway.successor();
    gateway.process().signal("QUIT");
    assert_eq!(next.wait().code(), Some(2), "{}", next.said());
    gateway.process().await_line(|line| line["message"] == "nobody has taken over; serving as before");
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    // It gets the log, too, and dies: a log of another shape is not for it.
    std::fs::write(&config, good.replacen("audit: {", "audit: { instance: \"no name\",", 1)).unwrap();
    let mut next = gateway.successor();
    gateway.process().signal("QUIT");
    assert_eq!(next.wait().code(), Some(2), "{}", next.said());
    gateway.process().await_line(|line| line["message"] == "the audit log is back");
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    // And then one that is as it should be, past a socket that a killed process has left.
    std::fs::write(&config, good).unwrap();
    std::fs::write(gateway.folder.path().join("state/upgrade.sock"), "").unwrap();
    let mut old = gateway.upgrade();
    assert!(old.wait().success());
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_one_before_still_drains_there_is_no_other_upgrade() {
    let mut gateway = Gateway::test().shutdown("grace: 20s").start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let request = gateway.request("GET", "acme", "/orders/hangs").bearer_auth(&token);
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    let asking = tokio::spawn(request.send());
    gateway.eventually("the request is in flight", || gateway.metric("cloister_journal_open") == 1.0);
    let mut first = gateway.upgrade();
    first.signal("QUIT"); // of no use any more
    let mut third = gateway.successor();
    gateway.process().signal("QUIT");
    assert_eq!(third.wait().code(), Some(2));
    assert!(third.said().contains("the process before this one has not ended yet"), "{}", third.said());
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    for _ in 0..2 {
        first.signal("TERM"); // once more than it was told already: now
    }
    assert!(asking.await.unwrap().is_err());
    assert_eq!(first.wait().code(), Some(3));
    gateway.eventually("the record of the request that was cut", || {
        Records::query(gateway.log(), &[]).finals().iter().any(|record| record["end"] == "shutdown")
    });
    let mut second = gateway.upgrade();
    assert!(second.wait().success());
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
}
