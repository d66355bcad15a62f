//! The keys that sign what backends receive: opened at the start, and looked after until the end.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use admin::{KeySet, KeySetPage};
use assertion::{Algorithm, Hand, Keyring, Keys, Source, State, Tended};
use audit::{Cause, Digest, Files, Journal, KeyOf, Note};
use aws_lc_rs::digest::{SHA256, digest};
use proxy::Backend;
use secrets::{ProcessEnvironment, Secret};
use terms::Clock;
use tokio::time::sleep;

use crate::background::Shutdown;
use crate::failure::Failure;
use crate::hangup;
use crate::settings::{KeySettings, KeySource};

/// The files of the keys within the state folder: those that sign assertions, and those that sign requests.
pub(crate) const ASSERTION: &str = "assertion.jwks";
pub(crate) const SIGNATURE: &str = "signature.jwks";

/// How often the keys are looked at, at the least: others may have changed them, and one that leaked is to be out of use soon.
const SELDOM: Duration = Duration::from_secs(2);
/// And at the most.
const OFTEN: Duration = Duration::from_millis(250);

/// Every keyring that there is.
#[derive(Clone, Debug)]
pub(crate) struct Rings {
    pub(crate) assertion: Arc<Keys>,
    /// Where a backend wants signatures of a pair.
    pub(crate) signature: Option<Arc<Keys>>,
}

impl Rings {
    /// Opens the keys that backends need, and makes what is missing.
    pub(crate) fn open(
        settings: &KeySettings,
        state: &Path,
        backends: &[Backend],
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt as _;
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state);
        made.map_err(|error| Failure::setup(state.display(), &error))?;
        let source = match &settings.source {
            KeySource::State => Source::File(state.join(ASSERTION)),
            KeySource::Kept(place, kept) => {
                let kept = kept.clone();
                let fetch = Box::new(move || Ok(Secret::new(kept.glance().expose().clone())));
                Source::Given { place: place.clone(), fetch }
            }
            KeySource::Given(reference) => {
                let (place, reference) = (reference.to_string().into(), reference.clone());
                Source::Given { place, fetch: Box::new(move || secrets::resolve(&reference, &ProcessEnvironment)) }
            }
        };
        let open = |source, used: BTreeSet<Algorithm>| {
            let used: Vec<_> = used.into_iter().collect();
            let keys = Keys::open(source, &used, settings.schedule, Arc::clone(clock));
            keys.map(Arc::new).map_err(|error| Failure::setup("the keys that sign", &error))
        };
        let (assertions, signatures) = used(backends);
        let signature = (!signatures.is_empty()).then(|| open(Source::File(state.join(SIGNATURE)), signatures));
        Ok(Self { assertion: open(source, assertions)?, signature: signature.transpose()? })
    }

    /// Where backends find the public keys.
    pub(crate) fn pages(&self) -> Vec<KeySetPage> {
        let signature = self.signature.iter().map(|keys| page("/.well-known/cloister/signature-keys.json", keys));
        iter::once(page("/.well-known/cloister/jwks.json", &self.assertion)).chain(signature).collect()
    }

    /// Each with what it is for.
    pub(crate) fn each(&self) -> impl Iterator<Item = (KeyOf, &Arc<Keys>)> {
        iter::once((KeyOf::Assertion, &self.assertion))
            .chain(self.signature.iter().map(|keys| (KeyOf::Signature, keys)))
    }
}

/// The algorithms of assertions and of signatures that backends want. Somebody may want to see the first key before there is a
/// backend, so there is always one.
pub(crate) fn used(backends: &[Backend]) -> (BTreeSet<Algorithm>, BTreeSet<Algorithm>) {
    let of = |backend: &Backend| backend.assertion().algorithm();
    let mut assertions: BTreeSet<_> = backends.iter().map(of).collect();
    if assertions.is_empty() {
        assertions.insert(Algorithm::Es256);
    }
    let signers = backends.iter().filter_map(|backend| backend.assertion().signer());
    (assertions, signers.filter_map(assertion::Signer::algorithm).collect())
}

fn page(path: &'static str, keys: &Arc<Keys>) -> KeySetPage {
    let keys = Arc::clone(keys);
    let set = move || {
        let ring = keys.glance();
        let max_age = keys.schedule().max_age();
        KeySet { json: ring.jwks().to_owned(), etag: ring.etag().to_owned(), max_age }
    };
    KeySetPage { path, keys: Arc::new(set) }
}

/// Looks after the keys until the gateway ends, and on SIGHUP. What changes is logged and on record.
pub(crate) async fn tend(rings: Rings, journal: Arc<Journal>, mut shutdown: Shutdown) {
    let every = Duration::from_secs(rings.assertion.schedule().max_age()) / 8;
    let every = every.clamp(OFTEN, SELDOM);
    let Ok(mut hangup) = hangup::listen() else {
        tracing::error!("SIGHUP cannot be awaited");
        return shutdown.await;
    };
    let told: Arc<Mutex<BTreeMap<&str, String>>> = Arc::default();
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            _ = hangup.recv() => {}
            () = sleep(every) => {}
        }
        let (rings, journal, told) = (rings.clone(), Arc::clone(&journal), Arc::clone(&told));
        let look = move || {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            rings.each().for_each(|(of, keys)| look(of, keys, &journal, &mut told));
        };
        if tokio::task::spawn_blocking(look).await.is_err() {
            tracing::error!("looking after the keys broke; those in use stay");
        }
    }
}

/// `told` is what was wrong the last time, and is not told again.
fn look(of: KeyOf, keys: &Keys, journal: &Journal, told: &mut BTreeMap<&'static str, String>) {
    let what = of.as_str();
    let before = Arc::clone(&keys.glance());
    let old = digest_of(&before);
    match keys.tend() {
        Ok(Tended { changes, by }) => {
            let by = match by {
                Hand::Others => Cause::File(None), // a command of somebody, another gateway, or whoever gives them
                Hand::Ours => Cause::Schedule,
            };
            told.remove(what);
            for change in &changes {
                let state = change.state.map_or("gone", State::as_str);
                tracing::info!(what, kid = &*change.kid, algorithm = %change.algorithm, state, "a key took its turn");
            }
            for change in changes.iter().filter(|change| change.state == Some(State::Active)) {
                let replaced = before.active(change.algorithm).map(|key| &**key.kid());
                note(journal, &Note::KeyRotated { of, old: replaced, new: &change.kid, by });
            }
            if !changes.is_empty() {
                let new = digest_of(&keys.glance());
                note(journal, &Note::Changed { what: Files::Keys, old: Some(old), new, version: None, by });
            }
        }
        Err(error) => {
            let why = terms::chain(&error);
            if told.get(what) != Some(&why) {
                tracing::error!(what, "the keys that sign cannot be looked after, the last good ones stay: {why}");
                note(journal, &Note::Refused { what: Files::Keys, old: Some(old), why: &why, by: Cause::Unknown });
            }
            told.insert(what, why);
        }
    }
}

fn note(journal: &Journal, note: &Note<'_>) {
    if let Err(unavailable) = journal.note(note) {
        tracing::error!(error = terms::chain(&unavailable), "the change of keys is not on record");
    }
}

/// What was published, in short.
fn digest_of(ring: &Keyring) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, ring.jwks().as_bytes()).as_ref());
    Digest::from(out)
}
