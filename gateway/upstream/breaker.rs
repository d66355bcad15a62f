use std::hash::BuildHasher as _;
use std::hash::RandomState;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use terms::TenantId;

use crate::window::{LANES, Window};

/// Keeps requests from a backend that cannot answer them, so that they fail at once and it can recover.
///
/// *Closed*, it counts. It opens when too many attempts in a row failed, or too large a share of those within a window;
/// for both it leaves out the tenant with the most failures, so that what one tenant asks for never closes a backend to
/// the others. Only a connection that did not stand says something about the backend whoever asked.
///
/// *Open*, it lets nobody through for a while. *Half open*, it lets a few try: if all of them are answered, it closes; if
/// no connection stands, or the tries of two tenants fail, it opens again.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    origin: Instant,
    /// Read without the lock by every request; written under it.
    phase: AtomicU8,
    /// How many failures there were in a row. A success looks whether there is anything to forget.
    streak: AtomicU32,
    /// What went well in the current step of the window.
    good: [AtomicU32; LANES],
    step: AtomicU64,
    lanes: RandomState,
    state: Mutex<State>,
    opened: AtomicU64,
}

/// When a breaker opens, and how it closes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BreakerSettings {
    /// Opens after so many failures in a row.
    pub consecutive: NonZeroU32,
    /// Opens when this share of the attempts in the window failed, in percent.
    pub percent: u32,
    /// But not for fewer attempts than these.
    pub minimum: NonZeroU32,
    /// How far back it looks.
    pub window: Duration,
    /// How long it stays open.
    pub open: Duration,
    /// How many tries must go well until it closes.
    pub tries: NonZeroU32,
}

/// How an attempt went, as far as it says something about the backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It broke off, was late, or said that it is not available. That may be due to what was asked.
    Failed,
    /// It answered, whatever the answer: what it says about a request is its own business.
    Fine,
    /// No connection stood. That is due to the backend alone.
    Unconnected,
}

/// What a breaker does now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Phase {
    /// It lets everybody through, and counts.
    Closed = 0,
    /// It lets a few try.
    HalfOpen = 1,
    /// It lets nobody through.
    Open = 2,
}

/// The breaker lets nobody through.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the circuit breaker is open")]
pub struct Open {
    /// When it is worth to ask again.
    pub retry_after: Duration,
}

/// The right to one attempt. Who holds it says how it went; one that is dropped says nothing.
#[derive(Debug)]
pub struct Pass {
    breaker: Arc<Breaker>,
    lane: usize,
    /// The number of the half-open phase that this is a try of.
    attempt: Option<u64>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    window: Window,
    /// The failures in a row, by lane, and those of connections.
    streak: [u32; LANES],
    unconnected: u32,
    /// Until when it is open; half open, until when a lane whose try failed has no other.
    until: Instant,
    /// Which half-open phase this is.
    round: u64,
    trying: u32,
    passed: u32,
    suspects: u64,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(settings: BreakerSettings, now: Instant) -> Self {
        Self {
            settings,
            origin: now,
            phase: AtomicU8::new(Phase::Closed as u8),
            streak: AtomicU32::new(0),
            good: [const { AtomicU32::new(0) }; LANES],
            step: AtomicU64::new(0),
            lanes: RandomState::new(),
            state: Mutex::new(State {
                phase: Phase::Closed,
                window: Window::new(settings.window),
                streak: [0; LANES],
                unconnected: 0,
                until: now,
                round: 0,
                trying: 0,
                passed: 0,
                suspects: 0,
            }),
            opened: AtomicU64::new(0),
        }
    }

    /// Asks for one attempt.
    ///
    /// # Errors
    /// It is open, or half open and enough are trying.
    pub fn pass(self: &Arc<Self>, tenant: Option<&TenantId>, now: Instant) -> Result<Pass, Open> {
        let lane = (self.lanes.hash_one(tenant) % LANES as u64) as usize;
        let pass = |attempt| Pass { breaker: Arc::clone(self), lane, attempt };
        if self.phase.load(Ordering::Relaxed) == Phase::Closed as u8 {
            return Ok(pass(None));
        }
        let mut state = self.state();
        match state.phase {
            Phase::Closed => return Ok(pass(None)),
            Phase::Open if now < state.until => return Err(Open { retry_after: state.until - now }),
            Phase::Open => {
                (state.trying, state.passed, state.suspects) = (0, 0, 0);
                state.round += 1;
                self.enter(&mut state, Phase::HalfOpen);
            }
            Phase::HalfOpen => {}
        }
        let suspect = state.suspects & bit(lane) != 0;
        if suspect && now >= state.until {
            state.suspects = 0; // nobody else has come to tell better
        } else if suspect {
            return Err(Open { retry_after: state.until - now });
        }
        if state.trying + state.passed >= self.settings.tries.get() {
            return Err(Open { retry_after: Duration::from_secs(1) });
        }
        state.trying += 1;
        Ok(pass(Some(state.round)))
    }

    /// Whether there is any use in waiting for a place: while it is open there is none.
    ///
    /// # Errors
    /// It is open.
    pub fn check(&self, now: Instant) -> Result<(), Open> {
        if self.phase.load(Ordering::Relaxed) != Phase::Open as u8 {
            return Ok(());
        }
        let state = self.state();
        match state.phase {
            Phase::Open if now < state.until => Err(Open { retry_after: state.until - now }),
            Phase::Closed | Phase::HalfOpen | Phase::Open => Ok(()),
        }
    }

    /// What it does now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.state().phase
    }

    /// How often it has opened.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Counts an attempt of a closed breaker.
    fn count(&self, lane: usize, verdict: Verdict, now: Instant) {
        let fine = verdict == Verdict::Fine;
        if let Some(good) = self.good.get(lane).filter(|_| fine) {
            good.fetch_add(1, Ordering::Relaxed);
        }
        let since = now.saturating_duration_since(self.origin);
        if fine && self.streak.load(Ordering::Relaxed) == 0 {
            // All is well. Once in a step of the window, whoever gets the lock moves it on; nobody waits for that.
            if let Ok(mut state) = self.state.try_lock()
                && state.window.number(since) != self.step.load(Ordering::Relaxed)
            {
                self.turn(&mut state, since);
            }
            return;
        }
        let mut state = self.state();
        if state.phase != Phase::Closed {
            return;
        }
        if fine {
            self.forget_streak(&mut state);
            return;
        }
        self.turn(&mut state, since);
        let lane = (verdict == Verdict::Failed).then_some(lane);
        state.window.fail(lane);
        match lane.and_then(|lane| state.streak.get_mut(lane)) {
            Some(count) => *count = count.saturating_add(1),
            None => state.unconnected = state.unconnected.saturating_add(1),
        }
        self.streak.fetch_add(1, Ordering::Relaxed);
        if self.is_bad(&state) {
            self.open(&mut state, now);
        }
    }

    fn is_bad(&self, state: &State) -> bool {
        let worst = state.streak.iter().max().copied().unwrap_or(0);
        let in_a_row = state.streak.iter().sum::<u32>() - worst + state.unconnected;
        if in_a_row >= self.settings.consecutive.get() {
            return true;
        }
        let seen = state.window.without_worst();
        seen.all >= self.settings.minimum.get()
            && u64::from(seen.bad) * 100 >= u64::from(seen.all) * u64::from(self.settings.percent)
    }

    /// Notes how a try went.
    fn judge(&self, lane: usize, round: u64, verdict: Option<Verdict>, now: Instant) {
        let mut state = self.state();
        if state.phase != Phase::HalfOpen || state.round != round {
            return; // it was decided without this one
        }
        state.trying = state.trying.saturating_sub(1);
        match verdict {
            None => {}
            Some(Verdict::Fine) => {
                state.passed += 1;
                if state.passed >= self.settings.tries.get() {
                    self.forget_streak(&mut state);
                    state.window.clear();
                    self.enter(&mut state, Phase::Closed);
                }
            }
            Some(Verdict::Unconnected) => self.open(&mut state, now),
            Some(Verdict::Failed) => {
                state.suspects |= bit(lane);
                state.until = now + self.settings.open;
                if state.suspects.count_ones() > 1 {
                    self.open(&mut state, now);
                }
            }
        }
    }

    fn open(&self, state: &mut State, now: Instant) {
        state.until = now + self.settings.open;
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.enter(state, Phase::Open);
    }

    fn enter(&self, state: &mut State, phase: Phase) {
        state.phase = phase;
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn forget_streak(&self, state: &mut State) {
        state.streak = [0; LANES];
        state.unconnected = 0;
        self.streak.store(0, Ordering::Relaxed);
    }

    fn turn(&self, state: &mut State, since: Duration) {
        let number = state.window.number(since);
        state.window.turn(number, self.good.iter().map(|count| count.swap(0, Ordering::Relaxed)));
        self.step.store(number, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn bit(lane: usize) -> u64 {
    1 << (lane % LANES)
}

impl Pass {
    /// Says how the attempt went. What is said later, when a response breaks off, counts as well, but decides no try.
    pub fn report(&mut self, verdict: Verdict, now: Instant) {
        match self.attempt.take() {
            None => self.breaker.count(self.lane, verdict, now),
            Some(round) => self.breaker.judge(self.lane, round, Some(verdict), now),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(round) = self.attempt {
            self.breaker.judge(self.lane, round, None, self.breaker.origin);
        }
    }
}

#[cfg(test)]
mod tests;
