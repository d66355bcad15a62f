//! Feeds over real logs, to files and to sinks that fail as they are told.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use audit::{Committer, Decision, Entry, Journal, Outcome, Reader};
use tempfile::TempDir;
use terms::{ManualClock, Reason, RequestId, TenantId};

use crate::batch::Batch;
use crate::sink::{Class, Delivery, Sink, SinkError};
use crate::*;

/// A log that can be written to, and where its sinks are remembered.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    journal: Option<Arc<Journal>>,
    committer: Option<std::thread::JoinHandle<()>>,
    clock: Arc<ManualClock>,
    written: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(1_790_000_000));
        let (journal, committer) = journal(folder.path(), &clock);
        let committer = Some(std::thread::spawn(|| committer.run().unwrap_or_default()));
        Self { journal: Some(journal), folder, committer, clock, written: 0 }
    }

    fn open(&mut self) {
        let (journal, committer) = journal(self.folder.path(), &self.clock);
        self.journal = Some(journal);
        self.committer = Some(std::thread::spawn(|| committer.run().unwrap_or_default()));
    }

    pub(crate) fn close(&mut self) {
        if let Some(committer) = self.committer.take() {
            self.journal().flush_and_close(Duration::from_secs(10)).unwrap();
            committer.join().unwrap();
            self.journal = None;
        }
    }

    fn journal(&self) -> &Arc<Journal> {
        self.journal.as_ref().unwrap()
    }

    /// Writes requests of this tenant, and waits until they are committed.
    pub(crate) fn write(&mut self, count: u64, tenant: &str) {
        let tenant: TenantId = tenant.parse().unwrap();
        let before = self.journal().stats().records;
        for _ in 0..count {
            self.written += 1;
            let id = RequestId::new(1_790_000_000_000, u128::from(self.written));
            let at = std::time::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
            let entry = Entry { tenant: Some(&tenant), ..Entry::new(id, at, Decision::Allow, Reason::Allowed) };
            self.journal().begin(&entry).unwrap().finish(&Outcome { status: Some(200), ..Outcome::default() });
        }
        until("the records are committed", || self.journal().stats().records >= before + count);
        // Among them may be what the log says of itself: whoever seals a segment says so afterwards.
        until("nothing more comes", || {
            let now = self.journal().stats();
            until("the committer has looked again", || self.journal().stats().beats > now.beats + 2);
            self.journal().stats().records == now.records
        });
    }

    pub(crate) fn records(&self) -> Vec<String> {
        let records = Reader::open(&self.log()).unwrap();
        records.map(|stored| String::from_utf8(stored.unwrap().json).unwrap()).collect()
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn feeding(&self, settings: Settings) -> Feeding {
        let id = LogId(Reader::log_id(&self.log()).unwrap().unwrap());
        let log = Log { id, directory: self.log(), state: self.path("state") };
        let journal = Arc::clone(self.journal());
        let committed = Committed::new(move || journal.writes().then(|| journal.stats().records));
        Feeding::new(log, committed, self.clock.clone(), vec![Arc::new(settings)])
    }

    /// Delivers to one sink until everything has arrived or nothing more will.
    pub(crate) fn deliver(&self, settings: Settings) -> Condition {
        let feeding = self.feeding(settings);
        let conditions = feeding.conditions();
        assert!(feeding.start().unwrap().end(Duration::from_secs(10)));
        conditions().remove(0)
    }

    /// The same to a sink that does as it is told.
    fn deliver_to(&self, settings: Settings, told: &Arc<Mutex<Told>>) -> (Running, impl Fn() -> Condition) {
        let feeding = self.feeding(settings);
        let (conditions, told) = (feeding.conditions(), Arc::clone(told));
        let running = feeding.start_with(move |_| Box::new(Obedient(Arc::clone(&told)))).unwrap();
        (running, move || conditions().remove(0))
    }

    pub(crate) fn cursor(&self, sink: &str) -> PathBuf {
        let id = LogId(Reader::log_id(&self.log()).unwrap().unwrap());
        self.path("state").join("sinks").join(format!("{id}.{sink}.cursor"))
    }
}

fn journal(folder: &Path, clock: &Arc<ManualClock>) -> (Arc<Journal>, Committer) {
    let settings = audit::Settings {
        commit_interval: Duration::from_millis(2),
        segment_bytes: 65_536,
        ..audit::Settings::new(folder.join("audit"), "edge-1".into())
    };
    Journal::open(settings, clock.clone()).unwrap()
}

pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn settings(name: &str, target: Target) -> Settings {
    Settings {
        name: name.parse().unwrap(),
        rendering: Rendering::Native,
        tenants: None,
        limits: Limits {
            records: 100,
            bytes: 1 << 20,
            wait: Duration::from_millis(1),
            timeout: Duration::from_secs(5),
        },
        start: Start::First,
        refused: OnRefusal::Hold,
        target,
    }
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn a_file_gets_the_exact_bytes_of_every_record_in_order_and_goes_on_after_a_restart() {
    let mut world = World::new();
    let out = world.path("out");
    world.write(250, "acme");
    let condition = world.deliver(settings("file", Target::File(out.clone())));
    assert_eq!(lines(&out), world.records());
    assert_eq!((condition.lag_records, condition.lag, condition.failing), (0, Duration::ZERO, None));
    world.close();
    world.open();
    world.write(30, "acme");
    let condition = world.deliver(settings("file", Target::File(out.clone())));
    assert_eq!(lines(&out), world.records());
    assert!(condition.delivered < 40, "{condition:?}");
}

#[test]
fn a_sink_of_one_tenant_gets_its_records_alone_and_passes_the_others() {
    let mut world = World::new();
    for tenant in ["acme", "globex", "acme", "globex"] {
        world.write(20, tenant);
    }
    let out = world.path("out");
    let only =
        |target| Settings { tenants: Some(BTreeSet::from(["globex".parse().unwrap()])), ..settings("one", target) };
    let condition = world.deliver(only(Target::File(out.clone())));
    assert_eq!(condition.lag_records, 0);
    let wanted: Vec<_> = world.records().into_iter().filter(|it| it.contains("\"tenant\":\"globex\"")).collect();
    assert_eq!((lines(&out), wanted.len()), (wanted, 40));
}

#[test]
fn a_sink_that_begins_now_leaves_out_what_was_before() {
    let mut world = World::new();
    world.write(10, "acme");
    let out = world.path("out");
    let now = || Settings { start: Start::Now, ..settings("late", Target::File(out.clone())) };
    world.deliver(now());
    assert!(lines(&out).is_empty());
    world.write(5, "acme");
    world.deliver(now());
    assert_eq!(lines(&out).len(), 5);
}

/// What is told of a cursor that is not to be believed.
#[test]
fn a_cursor_of_another_log_or_beyond_this_one_stops_the_sink_and_says_what_to_do() {
    let mut world = World::new();
    world.write(10, "acme");
    let out = world.path("out");
    world.deliver(settings("file", Target::File(out.clone())));
    let cursor = world.cursor("file");
    let good = fs::read_to_string(&cursor).unwrap();
    let delivered = lines(&out);
    world.write(10, "acme");
    let next = good.lines().find_map(|line| line.strip_prefix("next ")).unwrap();
    for (what, bad) in [
        ("ahead", good.replace(&format!("next {next}"), "next 1000")),
        ("another record", good.replace(&format!("next {next}"), "next 3")),
        ("another log", good.replace("log ", "log f")),
        ("another sink", good.replace("sink file", "sink fila")),
        ("half", good.chars().take(good.len() / 2).collect()),
        ("empty", String::new()),
    ] {
        fs::write(&cursor, &bad).unwrap();
        let condition = world.deliver(settings("file", Target::File(out.clone())));
        assert_eq!((condition.failing, condition.delivered), (Some("cursor"), 0), "{what}");
        assert_eq!(lines(&out), delivered, "{what}");
        assert_eq!(fs::read_to_string(&cursor).unwrap(), bad, "{what}");
    }
    fs::write(&cursor, &good).unwrap();
    world.deliver(settings("file", Target::File(out.clone())));
    assert_eq!(lines(&out), world.records());
}

#[test]
fn records_that_were_pruned_before_they_were_delivered_are_missed_and_not_skipped_in_silence() {
    let mut world = World::new();
    world.write(10, "acme");
    let out = world.path("out");
    world.deliver(settings("file", Target::File(out.clone())));
    let (cursor, delivered) = (world.cursor("file"), lines(&out));
    world.write(500, "acme");
    let mut segments: Vec<_> =
        fs::read_dir(world.log().join("segments")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    assert!(segments.len() > 1);
    fs::remove_file(&segments[0]).unwrap();

    let condition = world.deliver(settings("file", Target::File(out.clone())));
    assert_eq!((condition.failing, condition.delivered), (Some("cursor"), 0));
    assert_eq!(lines(&out), delivered);

    // As it says: whoever can do without them.
    fs::remove_file(&cursor).unwrap();
    world.deliver(settings("file", Target::File(out.clone())));
    assert_eq!(lines(&out), [delivered, world.records()].concat());
}

#[test]
fn a_process_that_does_not_write_the_log_delivers_nothing_from_it() {
    let mut world = World::new();
    world.write(10, "acme");
    let out = world.path("out");
    let id = LogId(Reader::log_id(&world.log()).unwrap().unwrap());
    let log = Log { id, directory: world.log(), state: world.path("state") };
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let committed = Committed::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
        None
    });
    let sinks = vec![Arc::new(settings("file", Target::File(out.clone())))];
    let feeding = Feeding::new(log, committed, world.clock.clone(), sinks).start().unwrap();
    until("it has looked", || asked.load(Ordering::Relaxed) > 2);
    assert!(feeding.end(Duration::from_secs(5)));
    assert!(!out.exists() && !world.cursor("file").exists());
}

#[test]
fn two_processes_never_deliver_for_one_sink_at_a_time() {
    let mut world = World::new();
    world.write(10, "acme");
    let (first, second) = (world.path("first"), world.path("second"));
    let holding = world.feeding(settings("file", Target::File(first.clone()))).start().unwrap();
    until("the first has delivered", || lines(&first).len() >= 10);
    world.write(10, "acme");
    world.deliver(settings("file", Target::File(second.clone())));
    assert!(!second.exists());
    assert!(holding.end(Duration::from_secs(5)));
    assert_eq!(lines(&first), world.records());
}

/// What a sink does, and what came to it.
#[derive(Debug, Default)]
struct Told {
    /// It refuses a batch with one of these in it.
    poison: BTreeSet<u64>,
    /// How often it fails before it takes anything, and how.
    failures: Vec<Class>,
    /// Of each batch it takes this many and then breaks.
    breaks_after: Option<usize>,
    /// It never answers.
    hangs: bool,
    took: Vec<u64>,
    largest: usize,
}

struct Obedient(Arc<Mutex<Told>>);

impl Sink for Obedient {
    fn deliver<'a>(&'a mut self, batch: &'a Batch) -> Delivery<'a> {
        Box::pin(async move {
            if self.0.lock().unwrap().hangs {
                std::future::pending::<()>().await;
            }
            let mut told = self.0.lock().unwrap();
            if let Some(class) = told.failures.pop() {
                return Err(SinkError::new(class, "told to fail"));
            }
            let indexes: Vec<_> = batch.items.iter().map(|item| item.index).collect();
            if indexes.iter().any(|index| told.poison.contains(index)) {
                return Err(SinkError::new(Class::Refused, "told to refuse"));
            }
            told.largest = told.largest.max(indexes.len());
            if let Some(count) = told.breaks_after.take() {
                told.took.extend(&indexes[..count.min(indexes.len())]);
                return Err(SinkError { delivered: count, ..SinkError::new(Class::Unreachable, "told to break") });
            }
            told.took.extend(&indexes);
            Ok(())
        })
    }
}

fn told(told: Told) -> Arc<Mutex<Told>> {
    Arc::new(Mutex::new(told))
}

fn everything(world: &World) -> Vec<u64> {
    (0..world.records().len() as u64).collect()
}

#[test]
fn a_record_that_is_refused_is_found_and_set_aside_and_the_others_arrive_once_and_in_order() {
    let mut world = World::new();
    world.write(400, "acme");
    let all = everything(&world);
    let sink = told(Told { poison: BTreeSet::from([57, 58, 333]), ..Told::default() });
    let aside = Settings { refused: OnRefusal::SetAside, ..settings("siem", Target::Stdout) };
    let (running, condition) = world.deliver_to(aside, &sink);
    until("all that can be has arrived", || condition().lag_records == 0);
    assert!(running.end(Duration::from_secs(5)));
    let wanted: Vec<_> = all.into_iter().filter(|index| ![57, 58, 333].contains(index)).collect();
    let told = sink.lock().unwrap();
    assert_eq!(told.took, wanted);
    assert!(told.largest <= 100);
    assert_eq!((condition().set_aside, condition().is_holding), (3, false));
    let aside = fs::read_to_string(world.cursor("siem").with_extension("refused")).unwrap();
    let aside: Vec<serde_json::Value> = aside.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(aside.iter().map(|line| line["index"].as_u64().unwrap()).collect::<Vec<_>>(), [57, 58, 333]);
    assert_eq!(aside[0]["record"].as_str().unwrap(), world.records()[57]);
}

#[test]
fn a_sink_that_holds_waits_at_the_record_that_is_refused_and_says_so() {
    let mut world = World::new();
    world.write(50, "acme");
    let sink = told(Told { poison: BTreeSet::from([20]), ..Told::default() });
    let (running, condition) = world.deliver_to(settings("siem", Target::Stdout), &sink);
    until("it holds", || condition().is_holding);
    assert_eq!(sink.lock().unwrap().took, (0..20).collect::<Vec<_>>());
    assert_eq!((condition().failing, condition().lag_records), (Some("refused"), everything(&world).len() as u64 - 20));
    sink.lock().unwrap().poison.clear();
    until("it goes on", || condition().lag_records == 0);
    assert!(running.end(Duration::from_secs(5)));
    assert_eq!(sink.lock().unwrap().took, everything(&world));
    assert!(!condition().is_holding);
}

#[test]
fn failures_are_tried_again_and_what_had_arrived_does_not_come_twice() {
    let mut world = World::new();
    world.write(150, "acme");
    let failures = vec![Class::Unreachable, Class::Busy];
    let sink = told(Told { failures, breaks_after: Some(7), ..Told::default() });
    let (running, condition) = world.deliver_to(settings("siem", Target::Stdout), &sink);
    until("all has arrived", || condition().lag_records == 0);
    assert!(running.end(Duration::from_secs(5)));
    assert_eq!(sink.lock().unwrap().took, everything(&world));
    assert_eq!((condition().failures.iter().sum::<u64>(), condition().failing), (3, None));
}

#[test]
fn a_sink_that_hangs_is_given_up_at_the_end_and_goes_on_with_the_next_start() {
    let mut world = World::new();
    world.write(10, "acme");
    let sink = told(Told { hangs: true, ..Told::default() });
    let (running, condition) = world.deliver_to(settings("siem", Target::Stdout), &sink);
    until("it lags", || condition().lag_records > 0);
    let begun = Instant::now();
    assert!(running.end(Duration::from_millis(50)));
    assert!(begun.elapsed() < Duration::from_secs(2));
    sink.lock().unwrap().hangs = false;
    let (running, _) = world.deliver_to(settings("siem", Target::Stdout), &sink);
    assert!(running.end(Duration::from_secs(5)));
    assert_eq!(sink.lock().unwrap().took, everything(&world));
}

#[test]
fn what_takes_too_long_is_late_and_the_lag_grows_meanwhile() {
    let mut world = World::new();
    world.write(10, "acme");
    let sink = told(Told { hangs: true, ..Told::default() });
    let mut quick = settings("siem", Target::Stdout);
    quick.limits.timeout = Duration::from_millis(20);
    let (running, condition) = world.deliver_to(quick, &sink);
    until("it is late", || condition().failing == Some("late"));
    world.clock.advance(Duration::from_secs(90));
    assert!(condition().lag >= Duration::from_secs(90), "{:?}", condition());
    drop(running);
}

#[test]
fn a_receiver_that_takes_nothing_at_all_does_not_have_everything_set_aside() {
    let mut world = World::new();
    world.write(40, "acme");
    let sink = told(Told { poison: (0..1_000).collect(), ..Told::default() });
    let mut aside = Settings { refused: OnRefusal::SetAside, ..settings("siem", Target::Stdout) };
    aside.limits.records = 1;
    let (running, condition) = world.deliver_to(aside, &sink);
    until("it holds", || condition().is_holding);
    assert_eq!(condition().set_aside, 10);
    drop(running);
}

#[test]
fn a_sink_that_cannot_even_begin_lags_by_the_time_that_it_has_failed() {
    let mut world = World::new();
    world.write(10, "acme");
    world.deliver(settings("file", Target::File(world.path("out"))));
    fs::write(world.cursor("file"), "nothing of ours").unwrap();
    let feeding = world.feeding(settings("file", Target::File(world.path("out"))));
    let conditions = feeding.conditions();
    let running = feeding.start().unwrap();
    until("it fails", || conditions()[0].failing == Some("cursor"));
    world.clock.advance(Duration::from_secs(600));
    assert!(conditions()[0].lag >= Duration::from_secs(600), "{:?}", conditions());
    drop(running);
}
