use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use terms::ManualClock;

use super::*;

const DAY: u64 = 24 * 3_600;
const START: u64 = 1_790_000_000;

/// A machine whose clock somebody else sets.
struct Machine {
    state: TempDir,
    clock: Arc<AtomicU64>,
    /// Boot and seconds since.
    up: Arc<Mutex<(u64, u64)>>,
}

#[derive(Debug)]
struct Set(Arc<AtomicU64>);

impl Clock for Set {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

impl Machine {
    fn new() -> Self {
        let (clock, up) = (Arc::new(AtomicU64::new(START)), Arc::new(Mutex::new((1, 1_000))));
        Self { state: tempfile::tempdir().unwrap(), clock, up }
    }

    fn gateway(&self, last: Option<u64>) -> Reckoning {
        let up = Arc::clone(&self.up);
        let running = move || {
            let (boot, seconds) = *up.lock().unwrap();
            Uptime { boot: format!("boot-{boot}"), seconds }
        };
        let clock = Arc::new(Set(Arc::clone(&self.clock)));
        let last = last.map(|last| UNIX_EPOCH + Duration::from_secs(last));
        Reckoning::open(self.state.path(), clock, Box::new(running), || last)
    }

    /// Time passes, and the clock goes on with it.
    fn runs(&self, seconds: u64) {
        self.up.lock().unwrap().1 += seconds;
        self.jumps(i64::try_from(seconds).unwrap());
    }

    fn jumps(&self, seconds: i64) {
        self.clock.store(self.clock.load(Ordering::SeqCst).saturating_add_signed(seconds), Ordering::SeqCst);
    }

    /// It is off for so long.
    fn is_off(&self, seconds: u64) {
        let mut up = self.up.lock().unwrap();
        *up = (up.0 + 1, 10);
        drop(up);
        self.jumps(i64::try_from(seconds).unwrap());
    }
}

/// What time it is, in seconds since the start, and how far the clock is ahead.
fn now(reckoning: &Reckoning) -> (u64, u64) {
    let (now, ahead) = reckoning.now();
    (now.duration_since(UNIX_EPOCH).unwrap().as_secs() - START, ahead.as_secs())
}

#[test]
fn time_passes_with_a_clock_that_is_right() {
    let machine = Machine::new();
    let reckoning = machine.gateway(None);
    for minute in 1..=3 * 1_440 {
        machine.runs(60);
        assert_eq!(now(&reckoning), (minute * 60, 0));
    }
}

#[test]
fn a_clock_that_jumps_makes_nothing_old() {
    let machine = Machine::new();
    let reckoning = machine.gateway(None);
    machine.runs(60);
    let ten_years = 3_650 * DAY;
    machine.jumps(ten_years.cast_signed());
    assert_eq!(now(&reckoning), (60, ten_years));
    machine.runs(DAY);
    assert_eq!(now(&reckoning), (60 + DAY, ten_years), "what has passed counts, the jump does not");
    // It is the same for the next process, of this boot or another.
    reckoning.keep().unwrap();
    machine.runs(100);
    assert_eq!(now(&machine.gateway(None)), (160 + DAY, ten_years));
    machine.is_off(0);
    assert_eq!(
        now(&machine.gateway(None)),
        (60 + DAY, ten_years + 100),
        "what has passed since it was kept is not known"
    );
    // Set right again, it is at most a little behind.
    machine.jumps(-ten_years.cast_signed());
    assert_eq!(now(&machine.gateway(None)), (60 + DAY, 100));
}

#[test]
fn jumps_that_come_little_by_little_add_up_to_nothing() {
    let machine = Machine::new();
    let reckoning = machine.gateway(None);
    for _ in 0..1_000 {
        machine.runs(60);
        machine.jumps(50);
        now(&reckoning);
    }
    assert_eq!(now(&reckoning), (60_000, 50_000));
    // Nor does one that goes back and forth.
    for _ in 0..1_000 {
        machine.jumps(-100_000);
        now(&reckoning);
        machine.jumps(100_000);
        now(&reckoning);
    }
    assert_eq!(now(&reckoning), (60_000, 50_000));
}

#[test]
fn a_clock_that_goes_back_makes_everything_younger_for_as_long() {
    let machine = Machine::new();
    let reckoning = machine.gateway(None);
    machine.runs(10 * DAY);
    assert_eq!(now(&reckoning), (10 * DAY, 0));
    machine.jumps(-(9 * DAY).cast_signed());
    assert_eq!(now(&reckoning), (DAY, 0));
    machine.jumps((9 * DAY).cast_signed());
    machine.runs(60);
    assert_eq!(
        now(&reckoning),
        (10 * DAY + 60, 0),
        "and leaves nothing behind: a machine may not know the time when it starts"
    );
}

#[test]
fn a_year_that_the_machine_was_off_counts_when_somebody_says_so() {
    let machine = Machine::new();
    machine.gateway(None).keep().unwrap();
    machine.is_off(365 * DAY);
    let reckoning = machine.gateway(None);
    assert_eq!(now(&reckoning), (0, 365 * DAY));
    let log = tempfile::tempdir().unwrap();
    let settings = audit::Settings::new(log.path().join("audit"), "edge-1".into());
    let (journal, committer) = Journal::open(settings, Arc::new(ManualClock::at(START))).unwrap();
    let committer = std::thread::spawn(|| committer.run());
    let (boot, seconds) = *machine.up.lock().unwrap();
    let seen = Seen { time: START + 365 * DAY, uptime: Uptime { boot: format!("boot-{boot}"), seconds } };
    let accepted = Accepted { seen, by: "command:7".into(), why: "it was in the cellar".into() };
    write(&accepted_path(machine.state.path()), &accepted).unwrap();
    machine.runs(30);
    reckoning.look(1, &journal);
    assert_eq!(now(&reckoning), (365 * DAY + 30, 0));
    assert!(!accepted_path(machine.state.path()).exists());
    assert_eq!(now(&machine.gateway(None)), (365 * DAY + 30, 0), "for good");
    journal.flush_and_close(Duration::from_secs(20)).unwrap();
    committer.join().unwrap().unwrap();
    let said = audit::Reader::open(&log.path().join("audit")).unwrap().map(|stored| stored.unwrap());
    let said: Vec<_> = said.filter(|stored| stored.row().unwrap().kind == Some("clock.accepted")).collect();
    let row = said[0].row().unwrap();
    assert_eq!((row.before, row.done, row.uid), (Some(START), Some(START + 365 * DAY), Some(7)));
}

#[test]
fn where_nothing_is_remembered_the_last_record_says_what_time_it_was() {
    let machine = Machine::new();
    assert_eq!(machine.gateway(Some(START - 400 * DAY)).now().1, Duration::from_secs(400 * DAY));
}

#[test]
fn the_last_record_cannot_say_that_it_is_later_than_the_clock() {
    let machine = Machine::new();
    assert_eq!(now(&machine.gateway(Some(START + 400 * DAY))), (0, 0));
    std::fs::create_dir_all(machine.state.path().join("ledger")).unwrap();
    std::fs::write(path(machine.state.path()), "{").unwrap();
    assert_eq!(now(&machine.gateway(Some(START))), (0, 0), "what cannot be read is not remembered");
}

#[test]
fn the_last_record_of_a_log_says_when_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit");
    assert_eq!(last_record(&log), None);
    let (journal, committer) =
        Journal::open(audit::Settings::new(log.clone(), "edge-1".into()), Arc::new(ManualClock::at(START))).unwrap();
    let committer = std::thread::spawn(|| committer.run());
    journal.flush_and_close(Duration::from_secs(20)).unwrap();
    committer.join().unwrap().unwrap();
    assert_eq!(last_record(&log), Some(UNIX_EPOCH + Duration::from_secs(START)));
}
