use std::hash::{BuildHasher, RandomState};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use terms::Clock;
use tokio::sync::Semaphore;

use crate::fetch::{FetchError, Source};
use crate::issuer::{Issuer, Last};
use crate::key_set::{InvalidKeySet, KeySet};
use crate::verify::sha256;

/// Why the keys of an issuer stay what they were.
#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error("the keys could not be fetched")]
    Fetch(#[source] FetchError),
    #[error("the keys could not be understood")]
    Keys(#[source] InvalidKeySet),
}

/// A file is read this often: it costs next to nothing, and catches every way in which files are replaced.
const FILE_POLL: Duration = Duration::from_secs(3);
/// But no more than so many in a second, of thousands: then each is read less often.
const FILES_PER_SECOND: u32 = 300;
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// How many issuers are asked side by side, of those that nobody waits for, and how long one may hold its place.
pub(crate) const PLACES: usize = 64;
const LONGEST_IN_PLACE: Duration = Duration::from_secs(1);

impl Issuer {
    /// Keeps the keys fresh until the issuer is let go, or is of a pattern and idle: reads them, waits, reads them again.
    pub(crate) async fn keep_fresh(&self, clock: &dyn Clock, places: &Semaphore, poll: Duration) {
        self.kept.store(!self.is_retired(), Ordering::Release);
        let random = RandomState::new();
        for round in 0_u64.. {
            if self.is_retired() || self.is_idle(clock.unix_seconds()) {
                return;
            }
            let failures = self.refresh_in_turn(clock, places).await;
            let wait = spread(self.wait(failures, poll), random.hash_one((&self.name, round)));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.nudge.notified() => {}
            }
        }
    }

    /// Reads the keys once there is a place: thousands of issuers are not all asked at the same moment. What a token
    /// waits for has no need of one; and one that hangs does not keep it, so that it is in nobody's way.
    async fn refresh_in_turn(&self, clock: &dyn Clock, places: &Semaphore) -> u32 {
        let place = match self.asked.load(Ordering::Acquire) {
            true => None,
            false => tokio::select! {
                place = places.acquire() => place.ok(),
                () = self.nudge.notified() => None,
            },
        };
        let mut refresh = std::pin::pin!(self.refresh(clock));
        match tokio::time::timeout(LONGEST_IN_PLACE, &mut refresh).await {
            Ok(failures) => failures,
            Err(_) => {
                drop(place);
                refresh.await
            }
        }
    }

    /// Reads the keys once, and says how many reads in a row have failed.
    pub(crate) async fn refresh(&self, clock: &dyn Clock) -> u32 {
        let mut in_a_row = self.turn.lock().await;
        let fetched = self.source.read().await;
        *in_a_row = match self.adopt(fetched, clock.unix_seconds()) {
            true => 0,
            false => in_a_row.saturating_add(1),
        };
        self.asked.store(false, Ordering::Release);
        self.fetched.send_modify(|count| *count += 1); // ORDER: last, so that whoever waits finds what was fetched
        *in_a_row
    }

    /// Takes what was read for the keys, or keeps those that are known and says why.
    pub(crate) fn adopt(&self, fetched: Result<Vec<u8>, FetchError>, now: u64) -> bool {
        let read = fetched.as_ref().ok().map(|bytes| sha256(bytes));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if read.is_some() && last.read == read {
            self.confirm(now);
            return true;
        }
        let known = self.keys.snapshot();
        let reading = fetched
            .map_err(RefreshError::Fetch)
            .and_then(|bytes| KeySet::parse(&bytes, &known).map_err(RefreshError::Keys));
        let (issuer, good) = (&self.name, reading.is_ok());
        let problem = match reading {
            Ok(reading) => {
                if !reading.set.equals(&known) {
                    tracing::info!(%issuer, keys = reading.set.len(), "the keys of an issuer have changed");
                    self.succeed(&known, reading.set);
                }
                self.confirm(now);
                (!reading.refused.is_empty()).then(|| reading.refused.join(", "))
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                Some(terms::chain(&error))
            }
        };
        if let Some(problem) = &problem
            && last.error.as_ref() != Some(problem)
        {
            tracing::warn!(%issuer, problem, "the keys of an issuer are not as they should be");
        }
        *last = Last { error: problem, read: read.filter(|_| good) };
        good
    }

    /// Until the next read: four fifths of the time the keys are good for, or, while reads fail, a second and twice that
    /// each time, up to half a minute.
    fn wait(&self, failures: u32, poll: Duration) -> Duration {
        let regular = match self.source {
            Source::File(_) => self.settings.refresh.min(poll),
            Source::Discovery { .. } | Source::Url(..) => self.settings.refresh * 4 / 5,
        };
        match failures.checked_sub(1) {
            None => regular,
            Some(again) => (Duration::from_secs(1) * 2_u32.pow(again.min(5))).min(LONGEST_BACKOFF).min(regular),
        }
    }
}

/// How often each of so many files is read.
pub(crate) fn file_poll(files: usize) -> Duration {
    FILE_POLL.max(Duration::from_secs(1) * u32::try_from(files).unwrap_or(u32::MAX) / FILES_PER_SECOND)
}

/// A tenth more or less, so that many gateways and many issuers do not fetch at the same moment.
fn spread(wait: Duration, random: u64) -> Duration {
    wait * 9 / 10 + wait * u32::from(random.to_le_bytes()[0]) / 1_280
}

#[cfg(test)]
mod tests;
