use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use terms::Clock;

use crate::fetch::{FetchError, Source};
use crate::issuer::Issuer;
use crate::key_set::{InvalidKeySet, KeySet};

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
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

impl Issuer {
    /// Keeps the keys fresh for ever: reads them, waits, reads them again.
    pub(crate) async fn keep_fresh(&self, clock: &dyn Clock) -> Infallible {
        self.kept.store(true, Ordering::Release);
        let random = RandomState::new();
        for round in 0_u64.. {
            let failures = self.refresh(clock).await;
            let wait = spread(self.wait(failures), random.hash_one((&self.settings.id, round)));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.nudge.notified() => {}
            }
        }
        std::future::pending().await
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
        let known = self.keys.snapshot();
        let reading = fetched
            .map_err(RefreshError::Fetch)
            .and_then(|bytes| KeySet::parse(&bytes, &known).map_err(RefreshError::Keys));
        let (issuer, good) = (&self.settings.id, reading.is_ok());
        let problem = match reading {
            Ok(reading) => {
                if !reading.set.equals(&known) {
                    tracing::info!(%issuer, keys = reading.set.len(), "the keys of an issuer have changed");
                    self.keys.replace(reading.set);
                }
                // ORDER: keys, then the time. Whoever sees the time sees the keys.
                self.confirmed.store(now, Ordering::Release);
                (!reading.refused.is_empty()).then(|| reading.refused.join(", "))
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                Some(terms::chain(&error))
            }
        };
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = &problem
            && last.as_ref() != Some(problem)
        {
            tracing::warn!(%issuer, problem, "the keys of an issuer are not as they should be");
        }
        *last = problem;
        good
    }

    /// Until the next read: four fifths of the time the keys are good for, or, while reads fail, a second and twice that
    /// each time, up to half a minute.
    fn wait(&self, failures: u32) -> Duration {
        let regular = match self.source {
            Source::File(_) => self.settings.refresh.min(FILE_POLL),
            Source::Discovery { .. } | Source::Url(..) => self.settings.refresh * 4 / 5,
        };
        match failures.checked_sub(1) {
            None => regular,
            Some(again) => (Duration::from_secs(1) * 2_u32.pow(again.min(5))).min(LONGEST_BACKOFF).min(regular),
        }
    }
}

/// A tenth more or less, so that many gateways and many issuers do not fetch at the same moment.
fn spread(wait: Duration, random: u64) -> Duration {
    wait * 9 / 10 + wait * u32::from(random.to_le_bytes()[0]) / 1_280
}

#[cfg(test)]
mod tests;
