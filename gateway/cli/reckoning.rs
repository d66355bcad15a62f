//! What time it is for records that grow old. Whoever has the clock of the machine (by NTP, say) could have all of them removed
//! by a jump of some years. So time passes here as it is seen to pass: by the oscillator of the machine, which nobody sets. It
//! stands still while the machine is off; records are kept for longer by that, until somebody says that the clock is right.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use audit::{Journal, Note};
use serde::{Deserialize, Serialize};
use terms::{Author, Clock};
use time::OffsetDateTime;

use crate::background::Shutdown;

/// How often it is looked how much time has passed, and whether somebody says that the clock is right.
const LOOK: Duration = Duration::from_secs(5);

/// How many looks there are to one that is remembered.
const KEPT: u64 = 12;

/// From when on it is worth a word that the clock is ahead.
const AHEAD: Duration = Duration::from_secs(3_600);

/// How long this machine has run, by what nobody sets.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Uptime {
    /// Since when: another boot has another name. Nothing, where it cannot be told.
    boot: String,
    seconds: u64,
}

impl Uptime {
    /// Of this machine.
    pub(crate) fn now() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        // RAW: neither set nor made slower or faster by who sets the clock.
        let raw = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicRaw);
        Self { boot: boot.trim().to_owned(), seconds: u64::try_from(raw.tv_sec).unwrap_or(0) }
    }

    /// Nothing, if the machine was started since.
    fn since(&self, earlier: &Self) -> u64 {
        let same = !self.boot.is_empty() && self.boot == earlier.boot;
        if same { self.seconds.saturating_sub(earlier.seconds) } else { 0 }
    }
}

/// So late it was at least.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    /// In seconds since the Unix epoch.
    time: u64,
    uptime: Uptime,
}

impl Seen {
    /// As it goes on, where the clock says this.
    fn on(&self, clock: u64, uptime: Uptime) -> Self {
        let passed = self.time.saturating_add(uptime.since(&self.uptime));
        Self { time: clock.min(passed).max(self.time), uptime }
    }
}

/// Somebody says that the clock was right then.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    seen: Seen,
    by: String,
    why: String,
}

type Running = Box<dyn Fn() -> Uptime + Send + Sync>;

/// How much time has passed.
pub(crate) struct Reckoning {
    state: PathBuf,
    clock: Arc<dyn Clock>,
    running: Running,
    seen: Mutex<Seen>,
}

fn path(state: &Path) -> PathBuf {
    state.join("ledger").join("time.json")
}

fn accepted_path(state: &Path) -> PathBuf {
    state.join("ledger").join("time.accepted.json")
}

fn read<T: for<'t> Deserialize<'t>>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    ledger::replace_durably(path, &serde_json::to_vec(value).map_err(io::Error::other)?)
}

/// When the last of these logs' records was written, as it says itself.
pub(crate) fn last_record(log: &Path) -> Option<SystemTime> {
    let last = audit::Reader::last(log).ok().flatten()?;
    let time = OffsetDateTime::parse(last.row().ok()?.time, &time::format_description::well_known::Rfc3339);
    time.ok().map(SystemTime::from)
}

impl Reckoning {
    /// Goes on where it was. Where nothing is remembered, it begins with the last record that was written before, or now, if
    /// there is none.
    pub(crate) fn open(
        state: &Path,
        clock: Arc<dyn Clock>,
        running: Running,
        last: impl FnOnce() -> Option<SystemTime>,
    ) -> Self {
        let (now, uptime) = (clock.unix_seconds(), running());
        let kept = read::<Seen>(&path(state)).unwrap_or_else(|error| {
            tracing::warn!(%error, "when the audit log was looked at last cannot be read");
            None
        });
        let seen = match kept {
            Some(seen) => seen.on(now, uptime),
            None => {
                let last = last().and_then(|last| last.duration_since(UNIX_EPOCH).ok()).map(|last| last.as_secs());
                Seen { time: last.unwrap_or(now).min(now), uptime }
            }
        };
        Self { state: state.to_owned(), clock, running, seen: Mutex::new(seen) }
    }

    /// What time it is, and how far the machine's clock is ahead of that.
    pub(crate) fn now(&self) -> (SystemTime, Duration) {
        let (clock, uptime) = (self.clock.unix_seconds(), (self.running)());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = seen.on(clock, uptime);
        let ahead = Duration::from_secs(clock.saturating_sub(seen.time));
        // Where the clock is behind, it is not known who is wrong: the earlier of both makes nothing old.
        (UNIX_EPOCH + Duration::from_secs(seen.time.min(clock)), ahead)
    }

    /// Looks again and again how much time has passed, until `shutdown`.
    pub(crate) async fn run(self: Arc<Self>, journal: Arc<Journal>, mut shutdown: Shutdown) {
        let mut told = false;
        for look in 0_u64.. {
            let (this, journal) = (Arc::clone(&self), Arc::clone(&journal));
            // Away from the tasks that must not wait for a disk.
            drop(tokio::task::spawn_blocking(move || this.look(look, &journal)).await);
            let (_, ahead) = self.now();
            if ahead > AHEAD && !told {
                tracing::warn!(
                    seconds = ahead.as_secs(),
                    "the machine's clock is ahead of the time that has passed here: records are kept for longer until `cloister \
                     audit clock --accept` says that it is right"
                );
            }
            told = ahead > AHEAD;
            tokio::select! {
                () = &mut shutdown => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn look(&self, look: u64, journal: &Journal) {
        if !journal.writes() {
            return; // who writes the log looks
        }
        let keep = || if look.is_multiple_of(KEPT) { self.keep() } else { Ok(()) };
        if let Err(error) = self.accept(journal).and_then(|()| keep()) {
            tracing::warn!(%error, "how much time has passed cannot be remembered: records may be kept for longer");
        }
    }

    /// Remembers it, for the next start.
    fn keep(&self) -> io::Result<()> {
        self.now();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        write(&path(&self.state), &seen)
    }

    /// Takes the clock for right where somebody has said that it is.
    fn accept(&self, journal: &Journal) -> io::Result<()> {
        let Some(Accepted { seen, by, why }) = read::<Accepted>(&accepted_path(&self.state))? else { return Ok(()) };
        let by: Author = by.parse().map_err(io::Error::other)?;
        let before = self.seen.lock().unwrap_or_else(PoisonError::into_inner).time;
        let note = Note::Clock { before, done: seen.time, why: &why, by };
        // ORDER: it is on record, then it is so, then it is done with.
        journal.note(&note).map_err(io::Error::other)?;
        let now = seen.on(self.clock.unix_seconds(), (self.running)());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
        self.keep()?;
        tracing::info!(seconds = seen.time.saturating_sub(before), "somebody says that the machine's clock is right");
        std::fs::remove_file(accepted_path(&self.state))
    }
}

/// Has a gateway take the clock for right: the one that runs, or the next that is started.
pub(crate) fn accept(state: &Path, clock: &dyn Clock, by: Author, why: &str) -> io::Result<()> {
    let seen = Seen { time: clock.unix_seconds(), uptime: Uptime::now() };
    write(&accepted_path(state), &Accepted { seen, by: by.to_string(), why: why.to_owned() })
}

/// What is remembered: what time it was at least, as it goes on by now. `None`: nothing is.
pub(crate) fn remembered(state: &Path, clock: &dyn Clock) -> io::Result<Option<SystemTime>> {
    let seen = read::<Seen>(&path(state))?;
    Ok(seen.map(|seen| UNIX_EPOCH + Duration::from_secs(seen.on(clock.unix_seconds(), Uptime::now()).time)))
}

#[cfg(test)]
mod tests;
