//! Measures what renderings cost, and how many records a sink delivers: `cargo run --profile bench -p sinks --example measure`.
//! Where they are set, `NATS` (`host:port`) and `POSTGRESQL` (the path of a socket) are measured, too.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement says what it finds"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Decision, Digest, Entry, Journal, Outcome, Protocol, Reader};
use sinks::{
    Committed, Endpoint, Feeding, Http, Limits, Log, LogId, Nats, OnRefusal, Plaintext, Rendering, Server, Settings,
    Source, Start, Target, WebhookKey,
};
use terms::{Clock, Reason, RequestId, SystemClock};

const RECORDS: u64 = 100_000;

fn main() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("audit");
    write(&directory);
    let id = LogId(Reader::log_id(&directory).unwrap().unwrap());
    let records: Vec<_> = Reader::open(&directory).unwrap().map(Result::unwrap).collect();
    let bytes: usize = records.iter().map(|record| record.json.len()).sum();
    println!("{} records of {} bytes", records.len(), bytes / records.len());
    let begun = Instant::now();
    let leaves: Vec<_> = records.iter().map(|record| tlog::leaf_hash(&record.json)).collect();
    println!("leaf hash: {:?} a record", begun.elapsed() / u32::try_from(records.len()).unwrap());
    for rendering in [Rendering::Native, Rendering::Ocsf, Rendering::Cef] {
        let (begun, mut length) = (Instant::now(), 0);
        for (record, leaf) in records.iter().zip(&leaves) {
            let source = Source { log: id, index: record.index, leaf: *leaf, json: &record.json };
            length += rendering.render(&source).len();
        }
        let each = begun.elapsed() / u32::try_from(records.len()).unwrap();
        println!("{rendering:?}: {each:?} a record, {} bytes", length / records.len());
    }
    let count = records.len() as u64;
    let deliver = |name: &str, target: Target| {
        let log = Log { id, directory: directory.clone(), state: folder.path().join("state") };
        let settings = Settings {
            name: name.parse().unwrap(),
            rendering: Rendering::Native,
            tenants: None,
            limits: Limits {
                records: 500,
                bytes: 1 << 20,
                wait: Duration::from_millis(1),
                timeout: Duration::from_secs(30),
            },
            start: Start::First,
            refused: OnRefusal::Hold,
            target,
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let feeding =
            Feeding::new(log, Committed::new(move || Some(count)), clock, vec![std::sync::Arc::new(settings)]);
        let (conditions, begun, used) = (feeding.conditions(), Instant::now(), used());
        let running = feeding.start().unwrap();
        while conditions().iter().any(|it| it.lag_records > 0) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let took = begun.elapsed();
        let cost = (self::used() - used) / u32::try_from(count).unwrap();
        assert!(running.end(Duration::from_secs(5)));
        println!("{name}: {:.0} records/s, {cost:?} of CPU a record", count as f64 / took.as_secs_f64());
    };
    deliver("file", Target::File(folder.path().join("out")));
    let endpoint = Endpoint::new(&format!("http://127.0.0.1:{}/", receiver()), None, Plaintext::Refused).unwrap();
    let key = WebhookKey::new(&[7; 32]).unwrap();
    deliver("http", Target::Http(Http { endpoint: endpoint.clone(), key: Some(key.into()), authorization: None }));
    deliver("otlp", Target::Otlp(sinks::Otlp { endpoint, authorization: None }));
    if let Ok(address) = std::env::var("NATS") {
        let server = Server { address: address.parse().unwrap(), security: directory::Security::Plain };
        deliver("nats", Target::Nats(Nats { server, subject: "audit.records".into(), user: None, password: None }));
    }
    if let Ok(socket) = std::env::var("POSTGRESQL") {
        let server = directory::Server {
            addresses: vec![socket.parse().unwrap()],
            database: "postgres".into(),
            user: "cloister_audit_writer".into(),
            password: None,
            security: directory::Security::Plain,
            connect: Duration::from_secs(5),
            wait: Duration::from_secs(5),
        };
        deliver("postgresql", Target::Postgresql(Arc::new(server)));
    }
}

/// The CPU time of this process.
fn used() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let words: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = words.get(11..13).unwrap().iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn write(directory: &std::path::Path) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (journal, committer) =
        Journal::open(audit::Settings::new(directory.to_owned(), "edge-1".into()), clock).unwrap();
    let committer = std::thread::spawn(|| committer.run());
    let (tenant, issuer, route, upstream) =
        ("acme".parse().unwrap(), "main".parse().unwrap(), "invoices".parse().unwrap(), "billing".parse().unwrap());
    for n in 0..RECORDS {
        let entry = Entry {
            tenant: Some(&tenant),
            issuer: Some(&issuer),
            client: Some("203.0.113.77".parse().unwrap()),
            method: Some("GET"),
            host: Some("acme.app.example.com"),
            protocol: Some(Protocol::Http11),
            route: Some(&route),
            rule: Some("billing_reader"),
            policy: Some(Digest::from([0xab; 32])),
            upstream: Some(&upstream),
            deciding: Some(Duration::from_micros(4)),
            trace: Some(7),
            ..Entry::new(RequestId::new(1, u128::from(n)), SystemClock.now(), Decision::Allow, Reason::Allowed)
        };
        loop {
            match journal.begin(&entry) {
                Ok(open) => break open.finish(&Outcome { status: Some(200), attempts: 1, ..Outcome::default() }),
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
    journal.flush_and_close(Duration::from_secs(60)).unwrap();
    committer.join().unwrap().unwrap();
}

/// Answers everything with 204, on whichever port.
fn receiver() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let (mut stream, mut read) = (stream.unwrap(), Vec::new());
                let mut part = vec![0; 1 << 16];
                loop {
                    let text = String::from_utf8_lossy(read.get(..read.len().min(4096)).unwrap()).to_ascii_lowercase();
                    if let Some(head) = text.find("\r\n\r\n") {
                        let length = text.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
                        let all = head + 4 + length.parse::<usize>().unwrap();
                        if read.len() >= all {
                            read.drain(..all);
                            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
                            continue;
                        }
                    }
                    match stream.read(&mut part) {
                        Ok(0) | Err(_) => return,
                        Ok(count) => read.extend_from_slice(part.get(..count).unwrap()),
                    }
                }
            });
        }
    });
    port
}
