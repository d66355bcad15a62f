//! Signs checkpoints of the audit log, on a thread of its own that may wait for the disk.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use audit::{Doubt, Journal, Reader};
use ledger::{KeyFile, LedgerError, Published, Publisher};
use terms::Clock;
use tlog::Name;

use crate::failure::Failure;
use crate::log_fault::{self, LogFault};
use crate::log_keys::LogKeys;
use crate::reckoning::Reckoning;
use crate::retaining::{Growth, Keeping, Retaining};
use crate::scrubbing::Scrubbing;
use crate::settings::{Retention, Rotation};

/// How long after a failure it is tried again, and how often it is looked whether another process has let go.
const RETRY: Duration = Duration::from_secs(1);

/// What the thread works with.
pub(crate) struct Publishing {
    log: PathBuf,
    id: [u8; 16],
    state: PathBuf,
    origin: Name,
    every: Duration,
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
    publisher: Option<Publisher>,
    keys: LogKeys,
}

/// How far it is.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// How many records the last checkpoint has.
    pub(crate) size: AtomicU64,
    /// When it was signed, in seconds since the Unix epoch.
    pub(crate) signed_at: AtomicU64,
    /// Times that none could be signed.
    pub(crate) failures: AtomicU64,
    /// Since when the key signs that does, in seconds since the Unix epoch.
    pub(crate) key_since: AtomicU64,
    /// How many keys sign.
    pub(crate) keys: AtomicU64,
    /// After how many seconds another one should.
    pub(crate) rotate_after: AtomicU64,
    /// Whether the keys cannot be looked after.
    pub(crate) keys_faulty: AtomicBool,
}

/// The thread. To drop it lets it sign once more, and end.
pub(crate) struct Running {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// Which log is published, and as what.
pub(crate) struct Wanted {
    pub(crate) log: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) instance: String,
    pub(crate) origin: Option<Name>,
    /// The retention class of which it is, if that is not the default one.
    pub(crate) class: Option<String>,
    pub(crate) every: Duration,
    pub(crate) rotation: Rotation,
}

impl Publishing {
    /// Shows that the log is the one that was signed for, before anything is added to it.
    pub(crate) fn open(wanted: Wanted, journal: Arc<Journal>, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let Wanted { log, state, instance, origin, class, every, rotation } = wanted;
        let failed =
            |error: &(dyn std::error::Error + 'static)| Failure::setup("the audit log cannot be signed", error);
        let id = Reader::log_id(&log).map_err(|error| failed(&error))?;
        let id = id.ok_or_else(|| Failure::Setup(format!("`{}` has no audit log", log.display())))?;
        let origin = match origin {
            Some(origin) => origin,
            None => usual_name(&instance, id).map_err(|error| failed(&error))?,
        };
        let origin = match class {
            Some(class) => format!("{origin}/{class}").parse().map_err(|error: tlog::InvalidName| failed(&error))?,
            None => origin,
        };
        let counts: Arc<Counts> = Arc::default();
        let keys = LogKeys::new(KeyFile::of(&state, id), rotation, &counts);
        let mut publishing = Self { log, id, state, origin, every, journal, clock, counts, publisher: None, keys };
        match publishing.open_again() {
            Ok(publisher) => publishing.publisher = Some(publisher),
            Err(Failed::Ledger(LedgerError::Busy(_))) => {} // the process before this one lets go when it ends
            Err(Failed::Ledger(error)) => {
                let fault = LogFault::of_ledger(&error);
                return Err(log_fault::failure("the audit log cannot be signed", Some(fault), &error));
            }
            Err(Failed::Key(error)) => return Err(failed(&error)),
        }
        Ok(publishing)
    }

    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Reads the whole log again beside it.
    pub(crate) fn scrubbing(
        &self,
        settings: Retention,
        reckoning: Arc<Reckoning>,
        growth: Arc<Growth>,
        keeping: Vec<Arc<dyn Keeping>>,
    ) -> Scrubbing {
        Scrubbing {
            log: self.log.clone(),
            state: self.state.clone(),
            id: self.id,
            key: KeyFile::of(&self.state, self.id),
            asked: ledger::recheck_path(&self.state, self.id),
            retaining: Retaining {
                log: self.log.clone(),
                settings,
                keeping,
                journal: Arc::clone(&self.journal),
                reckoning,
                published: Arc::clone(&self.counts),
                counts: Arc::default(),
                growth: growth.of_one_more(),
                sizes: VecDeque::new(),
            },
            journal: Arc::clone(&self.journal),
            clock: Arc::clone(&self.clock),
            counts: Arc::default(),
        }
    }

    fn open_again(&self) -> Result<Publisher, Failed> {
        let keys = KeyFile::of(&self.state, self.id).read_or_make(&self.origin, self.clock.unix_seconds());
        let keys = keys.map_err(Failed::Key)?;
        let settings = ledger::Settings { log: self.log.clone(), id: self.id, state: self.state.clone(), keys };
        Publisher::open(settings).map_err(Failed::Ledger)
    }

    /// Begins the thread.
    pub(crate) fn start(self) -> Result<Running, Failure> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name("ledger".into()).spawn(move || self.run(&stopped));
        let thread = thread.map_err(|error| Failure::broke("the thread that signs the audit log", &error))?;
        Ok(Running { stop, thread })
    }

    fn run(mut self, stopped: &Receiver<()>) {
        loop {
            let well = self.step();
            let pause = if well { self.every } else { RETRY };
            match stopped.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                    self.step();
                    return;
                }
            }
        }
    }

    /// Answers whether all is well.
    fn step(&mut self) -> bool {
        if !self.journal.writes() {
            self.publisher = None; // who writes signs
            return true;
        }
        let durable = self.journal.stats().records;
        let publisher = match self.publisher.take() {
            Some(publisher) => Ok(publisher),
            None => self.open_again(),
        };
        let published = publisher.and_then(|mut publisher| {
            let published = publisher.publish(durable).map_err(Failed::Ledger)?;
            Ok((publisher, published))
        });
        match published {
            Ok((mut publisher, published)) => {
                self.keys.tend(&mut publisher, &self.journal, self.clock.unix_seconds());
                self.publisher = Some(publisher);
                self.tell(published);
                true
            }
            Err(Failed::Ledger(LedgerError::Busy(_))) => false,
            Err(Failed::Ledger(error)) => {
                if error.is_of_the_log() {
                    self.journal.distrust(Doubt::Reread);
                }
                self.fail(&error)
            }
            Err(Failed::Key(error)) => self.fail(&error),
        }
    }

    fn tell(&self, published: Published) {
        if self.counts.size.swap(published.size, Ordering::Relaxed) != published.size {
            let now = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.counts.signed_at.store(now.as_secs(), Ordering::Relaxed);
        }
    }

    fn fail(&self, error: &(dyn std::error::Error + 'static)) -> bool {
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
        tracing::error!(error = terms::chain(error), "no checkpoint of the audit log can be signed");
        false
    }
}

/// Shows that the log has all that was signed for, before it is opened: what is opened is added to.
pub(crate) fn reaches(log: &Path, state: &Path) -> Result<(), Failure> {
    ledger::reaches(log, state).map_err(|error| {
        log_fault::failure("the audit log cannot be gone on with", Some(LogFault::of_ledger(&error)), &error)
    })
}

enum Failed {
    Key(ledger::KeyError),
    Ledger(LedgerError),
}

impl Running {
    /// Lets it sign for the last records, and waits for that.
    pub(crate) fn end(self) -> Result<(), Failure> {
        let Self { stop, thread } = self;
        drop(stop);
        thread.join().map_err(|_| Failure::Broke("the thread that signs the audit log broke".into()))
    }
}

/// What a log is called that was given no name: no other log has it.
pub(crate) fn usual_name(instance: &str, id: [u8; 16]) -> Result<Name, tlog::InvalidName> {
    let [a, b, c, d, e, f, g, h, ..] = id;
    format!("cloister/{instance}/{:016x}", u64::from_be_bytes([a, b, c, d, e, f, g, h])).parse()
}
