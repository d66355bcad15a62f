use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use terms::Clock;

use crate::feeding::Committed;
use crate::settings::Name;
use crate::sink::Class;

/// The words of the label `class`.
pub const CLASSES: [&str; Class::ALL.len()] = {
    let mut words = [""; Class::ALL.len()];
    let mut at = 0;
    while at < words.len() {
        #[expect(clippy::indexing_slicing, reason = "both have this length; checked when it is compiled")]
        {
            words[at] = Class::ALL[at].as_str();
        }
        at += 1;
    }
    words
};

/// How far a sink is, as its feed says and a scrape reads it.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The record that comes next.
    pub(crate) next: AtomicU64,
    /// When the oldest record happened that is not delivered, in milliseconds; 0, if there is none.
    pub(crate) oldest: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) set_aside: AtomicU64,
    pub(crate) holding: AtomicU64,
    pub(crate) failures: [AtomicU64; Class::ALL.len()],
    /// The class of the failure since the last success, from 1 on; 0, if there was none.
    failing: AtomicU8,
    /// When it began to fail, in milliseconds; 0, if it does not.
    failing_since: AtomicU64,
}

impl State {
    pub(crate) fn failed(&self, class: Class, clock: &Arc<dyn Clock>) {
        let now = clock.now().duration_since(UNIX_EPOCH).map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(0));
        let first = self.failing_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        first.unwrap_or_default(); // the one before stays
        if let Some(at) = Class::ALL.iter().position(|other| *other == class) {
            if let Some(count) = self.failures.get(at) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            self.failing.store(u8::try_from(at + 1).unwrap_or(u8::MAX), Ordering::Relaxed);
        }
    }

    pub(crate) fn well(&self) {
        self.failing.store(0, Ordering::Relaxed);
        self.failing_since.store(0, Ordering::Relaxed);
    }
}

/// How a sink is doing.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Which sink.
    pub name: Name,
    /// Records in the log that are not delivered.
    pub lag_records: u64,
    /// How old the oldest of them is.
    pub lag: Duration,
    /// Records that were delivered since the start.
    pub delivered: u64,
    /// Records that were refused, and set aside, since the start.
    pub set_aside: u64,
    /// Whether it waits for somebody to look at a record that is refused.
    pub is_holding: bool,
    /// Failures since the start, in the order of [`CLASSES`].
    pub failures: [u64; CLASSES.len()],
    /// The class of what keeps it from delivering now.
    pub failing: Option<&'static str>,
}

/// One sink, as a scrape sees it.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) name: Name,
    pub(crate) state: Arc<State>,
    pub(crate) committed: Committed,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Watched {
    pub(crate) fn condition(&self) -> Condition {
        let state = &*self.state;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // While another process writes the log, it alone delivers, and it says how far that is.
        let lag_records = self.committed.now().map_or(0, |committed| committed.saturating_sub(read(&state.next)));
        let now = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // What cannot even be read has at least the age of the failure.
        let oldest = [read(&state.oldest), read(&state.failing_since)].into_iter().find(|millis| *millis > 0);
        let oldest = Duration::from_millis(oldest.unwrap_or(0));
        let lag = if lag_records == 0 || oldest.is_zero() { Duration::ZERO } else { now.saturating_sub(oldest) };
        let failing = state.failing.load(Ordering::Relaxed).checked_sub(1);
        Condition {
            name: self.name.clone(),
            lag_records,
            lag,
            delivered: read(&state.delivered),
            set_aside: read(&state.set_aside),
            is_holding: read(&state.holding) > 0,
            failures: state.failures.each_ref().map(read),
            failing: failing.and_then(|at| CLASSES.get(usize::from(at)).copied()),
        }
    }
}
