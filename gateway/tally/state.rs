use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How it does, for metrics and readiness.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct State {
    /// Whether the store is asked.
    pub up: bool,
    /// Whether it is left alone, since it has failed again and again.
    pub open: bool,
    /// Questions that it has answered.
    pub round_trips: RoundTrips,
    /// Questions that it has not answered, or not in time.
    pub failed: u64,
    /// Questions that it was not asked.
    pub unasked: u64,
    /// What was due and has not reached it yet.
    pub owed: usize,
    /// What was due and never reached it.
    pub unsettled: u64,
    /// What went wrong last, while something does.
    pub problem: Option<String>,
}

/// Answers, by how long they took.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RoundTrips {
    /// How many took no longer than each of [`ROUND_TRIP_BOUNDS_MICROS`].
    pub within: [u64; ROUND_TRIP_BOUNDS_MICROS.len()],
    /// All of them.
    pub count: u64,
    /// How long all of them took together.
    pub took: Duration,
}

/// In microseconds.
pub const ROUND_TRIP_BOUNDS_MICROS: [u64; 8] = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000];

#[derive(Debug, Default)]
pub(crate) struct Counts {
    within: [AtomicU64; ROUND_TRIP_BOUNDS_MICROS.len()],
    answered: AtomicU64,
    took: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) unasked: AtomicU64,
    pub(crate) unsettled: AtomicU64,
    /// What is being told, or waits to be told again.
    pub(crate) underway: AtomicUsize,
}

impl Counts {
    pub(crate) fn answered(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.took.fetch_add(micros, Ordering::Relaxed);
        let place = ROUND_TRIP_BOUNDS_MICROS.iter().position(|bound| micros <= *bound);
        if let Some(count) = place.and_then(|place| self.within.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn round_trips(&self) -> RoundTrips {
        let mut within = [0; ROUND_TRIP_BOUNDS_MICROS.len()];
        let mut sum = 0;
        for (within, count) in within.iter_mut().zip(&self.within) {
            sum += count.load(Ordering::Relaxed);
            *within = sum;
        }
        let took = Duration::from_micros(self.took.load(Ordering::Relaxed));
        RoundTrips { within, count: self.answered.load(Ordering::Relaxed).max(sum), took }
    }
}

/// What is wrong, told once when it begins and once when it is over.
#[derive(Debug, Default)]
pub(crate) struct Health {
    is_ill: AtomicBool,
    why: Mutex<Option<String>>,
}

impl Health {
    pub(crate) fn problem(&self) -> Option<String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn ill(&self, why: String) {
        let before = self.why.lock().unwrap_or_else(PoisonError::into_inner).replace(why.clone());
        self.is_ill.store(true, Ordering::Release);
        if before.is_none() {
            tracing::warn!(error = why, "limits that gateways share cannot be asked: each says what it does then");
        }
    }

    /// Costs one look where nothing was wrong.
    pub(crate) fn well(&self) {
        if !self.is_ill.load(Ordering::Acquire) {
            return;
        }
        self.is_ill.store(false, Ordering::Release);
        let before = self.why.lock().unwrap_or_else(PoisonError::into_inner).take();
        if before.is_some() {
            tracing::info!("limits that gateways share are asked again");
        }
    }
}
