use secrets::Secret;
use tlog::{SigningKey, VerifierKey};

use crate::{KeyError, Turn};

/// The keys of a log: the one that signs, perhaps one that is to sign next, and those that are about to be retired.
#[derive(Debug)]
pub struct Keys {
    /// INVARIANT: all have the name of the log, exactly one [`State::Signs`], and one at most is next.
    held: Vec<Held>,
}

/// One of them.
#[derive(Debug)]
pub struct Held {
    pub(crate) key: SigningKey,
    pub(crate) state: State,
    /// Since when it is in that state, in seconds since the Unix epoch.
    pub(crate) since: u64,
    /// Which user asked for it, if it was not time.
    pub(crate) asked: Option<u32>,
}

/// Where in its life a key is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It was withdrawn: it signs until that is on record.
    Leaving,
    /// It signs once that is on record.
    Next,
    /// It signs beside the one that replaces it, for a while.
    Retiring,
    /// It signs.
    Signs,
    /// As [`State::Next`], and the one that it replaces is withdrawn.
    Urgent,
}

impl State {
    const ALL: [Self; 5] = [Self::Leaving, Self::Next, Self::Retiring, Self::Signs, Self::Urgent];

    /// The word in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Leaving => "leaving",
            Self::Next => "next",
            Self::Retiring => "retiring",
            Self::Signs => "signs",
            Self::Urgent => "urgent",
        }
    }

    pub(crate) fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    const fn is_next(self) -> bool {
        matches!(self, Self::Next | Self::Urgent)
    }
}

impl Held {
    /// Its public part.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        self.key.verifier()
    }

    /// Where in its life it is.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Since when, in seconds since the Unix epoch.
    #[must_use]
    pub const fn since(&self) -> u64 {
        self.since
    }

    /// Which user asked for it, if it was not time.
    #[must_use]
    pub const fn asked(&self) -> Option<u32> {
        self.asked
    }
}

impl Keys {
    pub(crate) fn of(mut held: Vec<Held>) -> Option<Self> {
        held.sort_by_key(|one| match one.state {
            State::Signs => 0,
            State::Next | State::Urgent => 1,
            State::Retiring | State::Leaving => 2,
        });
        let count = |of: fn(State) -> bool| held.iter().filter(|one| of(one.state)).count();
        let is_whole = count(|state| state == State::Signs) == 1 && count(State::is_next) <= 1;
        let name = held.first()?.verifier().name().clone();
        (is_whole && held.iter().all(|one| *one.verifier().name() == name)).then_some(Self { held })
    }

    pub(crate) fn first(key: SigningKey, now: u64) -> Self {
        Self { held: vec![Held { key, state: State::Signs, since: now, asked: None }] }
    }

    pub(crate) fn to_text(&self) -> Secret<Vec<u8>> {
        // Enough for every key, so that no copy is left behind by growing.
        let mut text = Vec::with_capacity(self.held.len() * 512);
        for Held { key, state, since, asked } in &self.held {
            text.extend_from_slice(key.to_text().as_bytes());
            text.extend_from_slice(format!(" {} {since}", state.as_str()).as_bytes());
            if let Some(user) = asked {
                text.extend_from_slice(format!(" {user}").as_bytes());
            }
            text.push(b'\n');
        }
        Secret::new(text)
    }

    /// All of them; the one that signs is the first.
    #[must_use]
    pub fn all(&self) -> &[Held] {
        &self.held
    }

    /// The key that signs.
    ///
    /// # Panics
    /// Never: there is one.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        #[expect(clippy::indexing_slicing, reason = "the invariant: one signs, and it is the first")]
        &self.held[0].key
    }

    /// Since when it signs, in seconds since the Unix epoch.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.held.first().map_or(0, |one| one.since)
    }

    /// The one that is to sign next.
    #[must_use]
    pub fn next(&self) -> Option<&Held> {
        self.held.iter().find(|one| one.state.is_next())
    }

    /// Those that sign for a while yet.
    pub fn retiring(&self) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(|one| matches!(one.state, State::Retiring | State::Leaving))
    }

    /// Those that sign today, as whoever verifies must know them.
    pub fn verifiers(&self) -> impl Iterator<Item = &VerifierKey> + Clone {
        self.held.iter().filter(|one| !one.state.is_next()).map(Held::verifier)
    }

    pub(crate) fn turn(&mut self, turn: Turn, asked: Option<u32>, now: u64) -> Result<VerifierKey, KeyError> {
        let state = match turn {
            Turn::Now => State::Next,
            Turn::Withdraw => State::Urgent,
        };
        let under_way = self.held.iter().find(|one| one.state != State::Signs).map(|one| one.verifier().clone());
        match (turn, under_way) {
            (Turn::Now, Some(key)) => return Err(KeyError::Busy(key)),
            (Turn::Now, None) | (Turn::Withdraw, _) => {}
        }
        for one in &mut self.held {
            match one.state {
                State::Retiring => one.state = State::Leaving, // whoever has the one that signs may have had that before it
                State::Next => one.state = State::Urgent,
                State::Leaving | State::Signs | State::Urgent => {}
            }
        }
        if let Some(next) = self.next() {
            return Ok(next.verifier().clone());
        }
        let key = SigningKey::generate(self.signing().verifier().name().clone())?;
        let verifier = key.verifier().clone();
        self.held.push(Held { key, state, since: now, asked });
        Ok(verifier)
    }

    pub(crate) fn take_over(&mut self, next: &VerifierKey, now: u64) {
        let Some(at) = self.held.iter().position(|one| one.state.is_next() && one.verifier() == next) else { return };
        let Some(after) = self.held.get(at).map(|one| one.state) else { return };
        for one in &mut self.held {
            (one.state, one.since) = match one.state {
                State::Signs if after == State::Urgent => (State::Leaving, now),
                State::Signs => (State::Retiring, now),
                State::Next | State::Urgent => (State::Signs, now),
                State::Leaving | State::Retiring => (one.state, one.since),
            };
        }
        self.held.sort_by_key(|one| one.state != State::Signs);
    }

    pub(crate) fn forget(&mut self, retired: &VerifierKey) {
        self.held.retain(|one| one.state == State::Signs || one.verifier() != retired);
    }
}
