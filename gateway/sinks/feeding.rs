//! The threads of all sinks.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use terms::Clock;
use tokio::sync::watch;

use crate::batch::LogId;
use crate::feed::{Doubt, Feed};
use crate::settings::{Name, Settings};
use crate::sink::{Class, Sink};
use crate::state::{Condition, State, Watched};

/// How long a delivery may take to be given up.
const GIVE_UP: Duration = Duration::from_secs(1);

/// The log that is delivered from.
#[derive(Clone, Debug)]
pub struct Log {
    /// What names it.
    pub id: LogId,
    /// Where its segments are.
    pub directory: PathBuf,
    /// The state folder: what is remembered of the sinks lies in `sinks` there.
    pub state: PathBuf,
}

/// Says how many records of the log are on disk for good, if this is the process that writes it.
#[derive(Clone)]
pub struct Committed(Arc<dyn Fn() -> Option<u64> + Send + Sync>);

impl Committed {
    /// Asks this for it.
    pub fn new(now: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Option<u64> {
        (self.0)()
    }
}

impl fmt::Debug for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Committed")
    }
}

/// When the feeds end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    Not,
    /// When they have delivered what there is, or cannot.
    WhenDone,
    /// At once. What is under way comes again.
    Now,
}

impl Stop {
    /// What is wanted now: who is told by nobody any more, ends.
    pub(crate) fn told(by: &watch::Receiver<Self>) -> Self {
        if by.has_changed().is_err() { Self::Now } else { *by.borrow() }
    }
}

/// Why no thread can be had.
#[derive(Debug, thiserror::Error)]
#[error("the thread of sink `{0}` cannot begin")]
pub struct StartError(Name, #[source] io::Error);

/// All sinks, each to have a thread of its own.
#[derive(Debug)]
pub struct Feeding {
    sinks: Vec<(Arc<Settings>, Arc<State>)>,
    clock: Arc<dyn Clock>,
    log: Log,
    committed: Committed,
}

/// All sinks at work. To drop it gives up what is under way, without waiting for it.
#[derive(Debug)]
pub struct Running {
    stop: watch::Sender<Stop>,
    ended: (Sender<()>, Receiver<()>),
    count: usize,
}

impl Feeding {
    /// From this log to these sinks. Nothing is delivered yet.
    #[must_use]
    pub fn new(log: Log, committed: Committed, clock: Arc<dyn Clock>, sinks: Vec<Arc<Settings>>) -> Self {
        let sinks = sinks.into_iter().map(|settings| (settings, Arc::default())).collect();
        Self { sinks, clock, log, committed }
    }

    /// How each sink is doing, whenever it is asked.
    pub fn conditions(&self) -> impl Fn() -> Vec<Condition> + Send + Sync + use<> {
        let watched = self.sinks.iter().map(|(settings, state)| Watched {
            name: settings.name.clone(),
            state: Arc::clone(state),
            committed: self.committed.clone(),
            clock: Arc::clone(&self.clock),
        });
        let watched: Vec<_> = watched.collect();
        move || watched.iter().map(Watched::condition).collect()
    }

    /// Begins to deliver.
    ///
    /// # Errors
    /// When the system has no threads for it.
    pub fn start(self) -> Result<Running, StartError> {
        let clock = Arc::clone(&self.clock);
        self.start_with(move |settings| settings.target.open(settings.rendering, &clock))
    }

    pub(crate) fn start_with(
        self,
        open: impl Fn(&Settings) -> Box<dyn Sink> + Clone + Send + 'static,
    ) -> Result<Running, StartError> {
        let Self { sinks, clock, log, committed } = self;
        let running = Running { stop: watch::Sender::new(Stop::Not), ended: channel(), count: sinks.len() };
        for (settings, state) in sinks {
            let name = settings.name.clone();
            let (log, committed, stop) = (log.clone(), committed.clone(), running.stop.subscribe());
            let (ended, open, clock) = (running.ended.0.clone(), open.clone(), Arc::clone(&clock));
            let run = move || {
                let sink = settings.name.clone();
                match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => {
                        let sink = runtime.block_on(async { open(&settings) });
                        let feed = Feed {
                            settings,
                            log,
                            committed,
                            state,
                            clock,
                            stop,
                            sink,
                            at: None,
                            doubt: Doubt::default(),
                        };
                        runtime.block_on(feed.run());
                        runtime.shutdown_background();
                    }
                    Err(error) => {
                        state.failed(Class::Local, &clock);
                        tracing::error!(sink = sink.as_str(), error = terms::chain(&error), "a sink cannot begin");
                    }
                }
                ended.send(()).unwrap_or_default(); // nobody may wait for it
            };
            let thread = std::thread::Builder::new().name("sink".into()).spawn(run);
            thread.map_err(|error| StartError(name, error))?;
        }
        Ok(running)
    }
}

impl Running {
    /// Lets the sinks deliver what there is, for as long as this. What is not delivered by then goes out after the next
    /// start. Answers whether all have ended.
    #[must_use]
    pub fn end(self, within: Duration) -> bool {
        let Self { stop, ended, count: mut left } = self;
        let mut wait_until = |until: Instant| {
            while left > 0 && ended.1.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {
                left -= 1;
            }
            left == 0
        };
        stop.send_replace(Stop::WhenDone);
        if wait_until(Instant::now() + within) {
            return true;
        }
        stop.send_replace(Stop::Now);
        wait_until(Instant::now() + GIVE_UP)
    }
}
