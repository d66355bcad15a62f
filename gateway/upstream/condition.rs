use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::streak::Streak;
use crate::{CheckSettings, EjectionSettings};

/// How well one address is. What requests look at is in atomics; times are in milliseconds since the upstream was made.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    pub(crate) streak: Streak,
    checked: AtomicU8,
    /// Until when it is left out or, once that is past, since when it is back. 0: it was never out.
    back: AtomicU64,
    /// How long it was left out the last time, and how often in a row.
    out_for: AtomicU64,
    in_a_row: AtomicU32,
    /// Whether it was left out, and no request was answered since.
    missed: AtomicBool,
    checks: Mutex<Checks>,
}

/// What only the task that checks, and those who ask for figures, look at.
#[derive(Debug, Default)]
struct Checks {
    /// How many checks in a row said otherwise than what is believed.
    contrary: u32,
    /// Why the last one failed, if it did.
    error: Option<String>,
}

/// What becomes of requests for an address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum State {
    /// It gets its share.
    Available,
    /// It was out, and gets this part of its share.
    Returning(f64),
    /// It is left out for what became of requests.
    Ejected,
    /// It is out for what became of checks.
    Unhealthy,
}

/// What a check has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// It is out.
    Out,
    /// It is back.
    Back,
}

const UNCHECKED: u8 = 0;
const WELL: u8 = 1;
const ILL: u8 = 2;

/// The part of its share that an address begins with when it returns: enough to show soon whether it can.
const FIRST_PART: f64 = 0.1;

impl Condition {
    pub(crate) fn state(&self, now: u64, slow_return: u64) -> State {
        if self.checked.load(Ordering::Relaxed) == ILL {
            return State::Unhealthy;
        }
        match self.back.load(Ordering::Relaxed) {
            0 => State::Available,
            back if now < back => State::Ejected,
            back if now - back < slow_return => State::Returning(part(now - back, slow_return)),
            _ => State::Available,
        }
    }

    /// Takes the result of a check. The first one decides at once, since until then nothing is known.
    pub(crate) fn check(&self, result: Result<(), String>, settings: &CheckSettings, now: u64) -> Option<Turn> {
        let mut checks = self.checks();
        let well = result.is_ok();
        checks.error = result.err();
        let before = self.checked.load(Ordering::Relaxed);
        let needed = match (before, well) {
            (WELL, true) | (ILL, false) => {
                checks.contrary = 0;
                return None;
            }
            (WELL, false) => settings.unhealthy.get(),
            (ILL, true) => settings.healthy.get(),
            (_, _) => 1,
        };
        checks.contrary = checks.contrary.saturating_add(1);
        if checks.contrary < needed {
            return None;
        }
        checks.contrary = 0;
        if before == ILL {
            self.back.fetch_max(now.max(1), Ordering::Relaxed); // ORDER: before it counts as well, or it had no slow return
        }
        self.checked.store(if well { WELL } else { ILL }, Ordering::Relaxed);
        match (before, well) {
            (UNCHECKED, true) => None,
            (_, true) => Some(Turn::Back),
            (_, false) => Some(Turn::Out),
        }
    }

    /// Leaves it out for a while: for longer, if that comes soon after the last time. Says for how long, and how often in a
    /// row.
    pub(crate) fn eject(&self, settings: &EjectionSettings, slow_return: u64, now: u64) -> (Duration, u32) {
        let (back, out_for) = (self.back.load(Ordering::Relaxed), self.out_for.load(Ordering::Relaxed));
        // It begins anew once it was back with its whole share for as long as it was out.
        let soon = out_for > 0 && now < back.saturating_add(slow_return).saturating_add(out_for);
        let in_a_row = if soon { self.in_a_row.load(Ordering::Relaxed).saturating_add(1) } else { 1 };
        let span = settings.span.saturating_mul(in_a_row).min(settings.longest);
        self.in_a_row.store(in_a_row, Ordering::Relaxed);
        self.out_for.store(milliseconds(span), Ordering::Relaxed);
        self.back.store(now.saturating_add(milliseconds(span)), Ordering::Relaxed);
        self.missed.store(true, Ordering::Relaxed);
        self.streak.forget();
        (span, in_a_row)
    }

    /// Whether this is the first that went well since it was left out.
    pub(crate) fn answers_again(&self, now: u64) -> bool {
        self.missed.load(Ordering::Relaxed)
            && now >= self.back.load(Ordering::Relaxed)
            && self.missed.swap(false, Ordering::Relaxed)
    }

    /// Why the last check failed, if it did.
    pub(crate) fn error(&self) -> Option<String> {
        self.checks().error.clone()
    }

    fn checks(&self) -> MutexGuard<'_, Checks> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether it gets no requests.
    pub(crate) const fn is_out(self) -> bool {
        match self {
            Self::Ejected | Self::Unhealthy => true,
            Self::Available | Self::Returning(_) => false,
        }
    }
}

pub(crate) fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "no address returns for 2^52 milliseconds")]
fn part(since: u64, slow_return: u64) -> f64 {
    (1.0 - FIRST_PART).mul_add(since as f64 / slow_return as f64, FIRST_PART)
}
