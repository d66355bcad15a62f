use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::{hmac, rand};

use crate::private::folder_of;
use crate::reference::Source;
use crate::{Kept, Reference, Secret, VaultPlace};

/// Every secret of the settings, with what is made of each, so that a change takes effect while the gateway runs.
///
/// A new value that cannot be had, or that its user refuses, changes nothing: the last good one stays in force.
pub struct Followed {
    secrets: Vec<Entry>,
    /// What values are told from each other by, made by chance.
    salt: [u8; 32],
    /// One that looks at a time: what is older must not replace what is newer.
    looking: Mutex<()>,
}

/// Whether a value may stand in more than one place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Use {
    /// It is a key, and no key serves two purposes.
    Alone,
    /// It is what somebody else has given us.
    Any,
}

/// Why a value is not used.
pub type Unfit = String;

/// Puts in place what was made of a new value.
type Apply = Box<dyn FnOnce()>;

/// Makes something of a new value, and does not put it in place yet.
type Prepare = Box<dyn Fn(Secret<Vec<u8>>) -> Result<Apply, Unfit> + Send + Sync>;

struct Entry {
    name: Arc<str>,
    reference: Reference,
    value: Use,
    prepare: Prepare,
    state: Mutex<State>,
}

struct State {
    fingerprint: [u8; 32],
    fault: Option<Arc<str>>,
}

/// What has become of a secret since it was looked at last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Turn {
    /// Its setting: `upstreams.orders.assertion.key`.
    pub name: Arc<str>,
    /// What it was.
    pub outcome: Outcome,
}

/// What may become of a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// What was wrong with it is not any longer, and it is what it was.
    Recovered,
    /// It cannot be had, or cannot be used. The last good one stays. Said once for each reason.
    Refused(Arc<str>),
    /// What is made of the new value is in force.
    Replaced,
}

/// How a secret is.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Its setting.
    pub name: Arc<str>,
    /// Why the value that is there is not in force, if it is not.
    pub fault: Option<Arc<str>>,
}

impl Followed {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        let mut salt = [0; 32];
        #[expect(clippy::expect_used, reason = "a gateway without randomness must not come up")]
        rand::fill(&mut salt).expect("randomness");
        Self { secrets: Vec::new(), salt, looking: Mutex::new(()) }
    }

    /// Makes something of a secret, and makes it again whenever [`Self::look`] finds another value. `make` is given what is in
    /// force, and says in words why a value does not do.
    ///
    /// # Errors
    /// The first value does not do.
    pub fn keep<T: Send + Sync + 'static>(
        &mut self,
        name: &str,
        reference: Reference,
        value: Use,
        secret: Secret<Vec<u8>>,
        make: impl Fn(Secret<Vec<u8>>, Option<&T>) -> Result<T, Unfit> + Send + Sync + 'static,
    ) -> Result<Kept<T>, Unfit> {
        let fingerprint = self.fingerprint(&secret);
        let kept = Kept::from(make(secret, None)?);
        let of_now = kept.clone();
        let prepare = move |secret| {
            let next = make(secret, Some(&of_now.glance()))?;
            let place = of_now.clone();
            Ok(Box::new(move || place.replace(next)) as Apply)
        };
        let state = Mutex::new(State { fingerprint, fault: None });
        self.secrets.push(Entry { name: name.into(), reference, value, prepare: Box::new(prepare), state });
        Ok(kept)
    }

    /// Watches over a secret that takes effect at the start alone; `why` says why. Another value is never in force, and that is
    /// known.
    pub fn pin(&mut self, name: &str, reference: Reference, secret: &Secret<Vec<u8>>, why: &'static str) {
        let state = Mutex::new(State { fingerprint: self.fingerprint(secret), fault: None });
        let prepare = Box::new(move |_| Err(why.to_owned()));
        self.secrets.push(Entry { name: name.into(), reference, value: Use::Alone, prepare, state });
    }

    /// Looks at every secret for which `read` has something, and puts in place what has changed. Gives what is new. Waits for
    /// whatever `read` waits for.
    pub fn look(&self, read: impl Fn(&Reference) -> Option<Result<Secret<Vec<u8>>, Unfit>>) -> Vec<Turn> {
        let _alone = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut turns, mut next) = (Vec::new(), Vec::new());
        for (index, entry) in self.secrets.iter().enumerate() {
            match read(&entry.reference) {
                None => {}
                Some(Err(error)) => turns.extend(entry.refuse(&error)),
                Some(Ok(secret)) => {
                    let fingerprint = self.fingerprint(&secret);
                    if fingerprint == entry.fingerprint() {
                        turns.extend(entry.recover());
                        continue;
                    }
                    match (entry.prepare)(secret) {
                        Ok(apply) => next.push(Next { index, fingerprint, apply }),
                        Err(why) => turns.extend(entry.refuse(&why)),
                    }
                }
            }
        }
        while let Some((at, why)) = self.second_purpose(&next) {
            let refused = next.remove(at);
            turns.extend(self.secrets.get(refused.index).and_then(|entry| entry.refuse(&why)));
        }
        for Next { index, fingerprint, apply } in next {
            let Some(entry) = self.secrets.get(index) else { continue };
            apply();
            turns.push(entry.replace(fingerprint));
        }
        turns
    }

    /// The first of the new values that is the key of another secret as well, when all that are new are in place.
    fn second_purpose(&self, next: &[Next]) -> Option<(usize, Unfit)> {
        let then = |index| {
            let new = next.iter().find(|next| next.index == index).map(|next| next.fingerprint);
            new.or_else(|| self.secrets.get(index).map(Entry::fingerprint))
        };
        let is_alone = |index: usize| self.secrets.get(index).is_some_and(|entry| entry.value == Use::Alone);
        next.iter().enumerate().filter(|(_, new)| is_alone(new.index)).find_map(|(at, new)| {
            let others = self.secrets.iter().enumerate().filter(|(index, _)| *index != new.index && is_alone(*index));
            let mut same = others.filter(|(index, _)| then(*index) == Some(new.fingerprint));
            same.next().map(|(_, other)| (at, format!("this is the key of `{}` as well; make another one", other.name)))
        })
    }

    /// How each of them is.
    pub fn conditions(&self) -> impl Iterator<Item = Condition> {
        self.secrets.iter().map(|entry| Condition { name: Arc::clone(&entry.name), fault: entry.state().fault.clone() })
    }

    /// The folders of those that are files. Files are replaced by others of their name, so their folders are to be watched.
    #[must_use]
    pub fn folders(&self) -> BTreeSet<PathBuf> {
        self.secrets.iter().filter_map(|entry| entry.reference.path()).map(|path| folder_of(path).to_owned()).collect()
    }

    /// The places of those that are in Vault.
    #[must_use]
    pub fn places(&self) -> Vec<VaultPlace> {
        let places: BTreeSet<_> = self.secrets.iter().filter_map(|entry| entry.reference.vault()).cloned().collect();
        places.into_iter().collect()
    }

    fn fingerprint(&self, secret: &Secret<Vec<u8>>) -> [u8; 32] {
        // The value is the key, and not what is signed: of that, a copy would be left behind on the stack.
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        let mut print = [0; 32];
        print.copy_from_slice(hmac::sign(&key, &self.salt).as_ref());
        print
    }
}

/// A value that is about to be in force.
struct Next {
    index: usize,
    fingerprint: [u8; 32],
    apply: Apply,
}

impl Entry {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fingerprint(&self) -> [u8; 32] {
        self.state().fingerprint
    }

    fn refuse(&self, why: &str) -> Option<Turn> {
        let mut state = self.state();
        if state.fault.as_deref() == Some(why) {
            return None;
        }
        let why: Arc<str> = why.into();
        state.fault = Some(Arc::clone(&why));
        Some(self.turn(Outcome::Refused(why)))
    }

    fn recover(&self) -> Option<Turn> {
        self.state().fault.take().map(|_| self.turn(Outcome::Recovered))
    }

    fn replace(&self, fingerprint: [u8; 32]) -> Turn {
        *self.state() = State { fingerprint, fault: None };
        self.turn(Outcome::Replaced)
    }

    fn turn(&self, outcome: Outcome) -> Turn {
        Turn { name: Arc::clone(&self.name), outcome }
    }
}

impl Reference {
    fn path(&self) -> Option<&Path> {
        match self.source() {
            Source::Environment(_) | Source::Vault(_) => None,
            Source::File(path) => Some(path),
        }
    }

    /// Whether it names a file, which may change while the process runs.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.path().is_some()
    }
}

impl Default for Followed {
    fn default() -> Self {
        Self::new()
    }
}

/// The settings and how they are, and nothing of the values.
impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.conditions()).finish()
    }
}

#[cfg(test)]
mod tests;
