use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a part takes the time from. It is given, never taken, so that a test can hold it still.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// The wall clock: for `exp`, records, file names. It may step.
    fn now(&self) -> SystemTime;

    /// Seconds since the Unix epoch, as RFC 7519 §2 `NumericDate` counts them (whole seconds). A clock before 1970 is 0.
    fn unix_seconds(&self) -> u64 {
        self.now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

/// The clock of the machine. Only `cli` makes one.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is told to take")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that stands still until it is moved: for tests and for `cloister explain --at`.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Stands at this many seconds after the Unix epoch.
    #[must_use]
    pub const fn at(unix_seconds: u64) -> Self {
        Self(AtomicU64::new(unix_seconds * 1_000))
    }

    /// Moves on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}
