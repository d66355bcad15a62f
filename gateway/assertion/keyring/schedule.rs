use std::time::Duration;

use super::{Algorithm, Key, Keyring, KeyringError, State};
use crate::Lifetime;

/// When keys take their turns.
///
/// A key is published before it signs for twice as long as backends may keep what was published: one time for another gateway
/// that has not read the file yet, one for the cache in front of its backend. When it has signed its last assertion, it stays
/// until that has expired for every clock, and until the last gateway has noticed.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    rotate_after: u64,
    max_age: u64,
    lifetime: u64,
}

/// Why there is no such schedule.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidSchedule {
    /// Backends that may keep keys for no time at all, or for too long to wait for.
    #[error("keys may be kept for `1s` to `1d`, in whole seconds")]
    MaxAge,
    /// The next key would not have been published for long enough.
    #[error("a key signs for at least four times as long as backends may keep the published ones (`max_age`)")]
    RotateAfter,
}

/// How far the clocks of backends may be behind ours, in seconds.
const LEEWAY: u64 = 30;

/// What is asked of a keyring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// What is due.
    Due,
    /// The next key signs from now on, if backends can know it.
    Now,
    /// The same at once, and the key that has signed so far is not published any more: somebody else has it.
    Withdraw,
}

/// What became of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Which key.
    pub kid: std::sync::Arc<str>,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// What it is now; `None`: removed.
    pub state: Option<State>,
}

impl Schedule {
    /// Keys sign for `rotate_after`, and backends may keep those that are published for `max_age`.
    ///
    /// # Errors
    /// Backends could not know a key in time.
    pub fn new(rotate_after: Duration, max_age: Duration, lifetime: Lifetime) -> Result<Self, InvalidSchedule> {
        let whole = max_age.subsec_nanos() == 0 && (1..=86_400).contains(&max_age.as_secs());
        if !whole {
            return Err(InvalidSchedule::MaxAge);
        }
        if rotate_after < max_age.saturating_mul(4) {
            return Err(InvalidSchedule::RotateAfter);
        }
        let (rotate_after, max_age) = (rotate_after.as_secs(), max_age.as_secs());
        Ok(Self { rotate_after, max_age, lifetime: lifetime.seconds() })
    }

    /// How long backends may keep the published keys, in seconds.
    #[must_use]
    pub const fn max_age(&self) -> u64 {
        self.max_age
    }

    /// For how long a key signs, in seconds.
    #[must_use]
    pub const fn rotate_after(&self) -> u64 {
        self.rotate_after
    }

    /// From when on a key that is next may sign, in seconds since the Unix epoch.
    pub(super) const fn ready_at(&self, next: &Key) -> u64 {
        next.since().saturating_add(2 * self.max_age + 1) // one for what whole seconds leave out
    }

    const fn gone_at(&self, retiring: &Key) -> u64 {
        retiring.since().saturating_add(self.max_age + self.lifetime + LEEWAY + 1)
    }

    /// Whether all keys are where they should be at `now`.
    pub(super) fn has_nothing_due(&self, ring: &Keyring, used: &[Algorithm], now: u64) -> bool {
        let of = |algorithm: Algorithm, state: State| {
            ring.keys().iter().find(|key| (key.algorithm(), key.state()) == (algorithm, state))
        };
        let retiring = ring.keys().iter().filter(|key| key.state() == State::Retiring);
        let turns = |algorithm: &Algorithm| match (of(*algorithm, State::Active), of(*algorithm, State::Next)) {
            (Some(active), Some(next)) => now >= self.ready_at(next) && now >= self.old_at(active),
            (None, _) | (_, None) => true,
        };
        retiring.into_iter().all(|key| now < self.gone_at(key)) && !used.iter().any(turns)
    }

    const fn old_at(&self, active: &Key) -> u64 {
        active.since().saturating_add(self.rotate_after)
    }

    /// Takes keys to where they should be at `now`, for every algorithm that is used.
    pub(super) fn advance(
        &self,
        keys: Vec<Key>,
        used: &[Algorithm],
        now: u64,
        turn: Turn,
    ) -> Result<(Vec<Key>, Vec<Change>), KeyringError> {
        let mut changes = Vec::new();
        let mut note = |key: &Key, state| changes.push(change(key, state));
        let (gone, mut keys): (Vec<Key>, Vec<Key>) =
            keys.into_iter().partition(|key| key.state() == State::Retiring && now >= self.gone_at(key));
        gone.iter().for_each(|key| note(key, None));
        for algorithm in used {
            let of = |keys: &mut Vec<Key>, state| {
                let place = keys.iter().position(|key| (key.algorithm(), key.state()) == (*algorithm, state));
                place.map(|place| keys.swap_remove(place))
            };
            let fresh = |state| Key::generate(*algorithm, state, now);
            let active = match of(&mut keys, State::Active) {
                Some(active) => active,
                None => {
                    let active = fresh(State::Active)?;
                    note(&active, Some(State::Active));
                    active
                }
            };
            let next = match of(&mut keys, State::Next) {
                Some(next) => next,
                None => {
                    let next = fresh(State::Next)?;
                    note(&next, Some(State::Next));
                    next
                }
            };
            let (ready, old) = (now >= self.ready_at(&next), now >= self.old_at(&active));
            match turn {
                Turn::Due if !(ready && old) => keys.extend([active, next]),
                Turn::Now if !ready => return Err(KeyringError::Unready { until: self.ready_at(&next) }),
                Turn::Due | Turn::Now | Turn::Withdraw => {
                    let successor = fresh(State::Next)?;
                    let next = next.becomes(State::Active, now);
                    note(&next, Some(State::Active));
                    note(&successor, Some(State::Next));
                    if turn == Turn::Withdraw {
                        note(&active, None);
                    } else {
                        note(&active, Some(State::Retiring));
                        keys.push(active.becomes(State::Retiring, now));
                    }
                    keys.extend([next, successor]);
                }
            }
        }
        Ok((keys, changes))
    }
}

fn change(key: &Key, state: Option<State>) -> Change {
    Change { kid: std::sync::Arc::clone(key.kid()), algorithm: key.algorithm(), state }
}
