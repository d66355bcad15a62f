//! `cloister keys derive|list|rotate`: the keys that sign what backends receive.

use std::path::{Path, PathBuf};

use assertion::{Change, Key, Keyring, KeyringError, Keys, State, Turn};
use secrets::Purpose;
use serde_json::json;
use terms::{Clock as _, SystemClock};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::{self, DerivedFor, Format, KeySet};
use crate::asking::Asking;
use crate::failure::Failure;
use crate::settings::{KeySource, Settings};
use crate::{derived, load, print, signing};

/// Runs one of the commands.
pub(crate) fn run(command: args::Keys) -> Result<(), Failure> {
    match command {
        args::Keys::Derive { upstream, of, config } => {
            derive(&load::config_with(&config, Asking::Vault)?.0, &upstream, of)
        }
        args::Keys::List { config, format } => list(&load::config(&config)?.0, format),
        args::Keys::Rotate { set, config, withdraw } => {
            let turn = if withdraw { Turn::Withdraw } else { Turn::Now };
            rotate(&load::config(&config)?.0, set, turn)
        }
    }
}

/// The file of a set; `None`: the gateway has none.
fn file(settings: &Settings, set: KeySet) -> Result<Option<PathBuf>, Failure> {
    match (set, &settings.keys.source) {
        (KeySet::Assertion, KeySource::Given(_) | KeySource::Kept(..)) => {
            Err(Failure::setup("`assertion.keys.secret`", &KeyringError::Given))
        }
        (KeySet::Assertion, KeySource::State) => Ok(Some(settings.state.join(signing::ASSERTION))),
        (KeySet::Signature, _) if signing::used(&settings.backends).1.is_empty() => Ok(None),
        (KeySet::Signature, _) => Ok(Some(settings.state.join(signing::SIGNATURE))),
    }
}

fn read(path: &Path) -> Result<Keyring, Failure> {
    Keys::read(path).map_err(|error| Failure::setup("the keys that sign", &error))
}

fn list(settings: &Settings, format: Format) -> Result<(), Failure> {
    let mut keys = Vec::new();
    for set in [KeySet::Assertion, KeySet::Signature] {
        let Some(path) = file(settings, set)? else { continue };
        for key in read(&path)?.keys() {
            let (algorithm, state) = (key.algorithm().as_str(), key.state().as_str());
            if format == Format::Json {
                keys.push(json!({ "set": set.as_str(), "kid": &**key.kid(), "algorithm": algorithm, "state": state,
                                  "created": key.created(), "since": key.since() }));
            } else {
                let (set, kid, since) = (set.as_str(), key.kid(), since(key));
                print::line(format_args!("{kid}  {set:<9}  {algorithm:<5}  {state:<8}  since {since}"));
            }
        }
    }
    if format == Format::Json {
        print::line(json!({ "keys": keys }));
    }
    Ok(())
}

fn rotate(settings: &Settings, set: KeySet, turn: Turn) -> Result<(), Failure> {
    let Some(path) = file(settings, set)? else {
        return Err(Failure::Setup("no upstream has signatures of a pair, so there are no keys for them".into()));
    };
    // Those that the file has: a key takes its turn whether or not a backend asks for it now.
    let ring = read(&path)?;
    let active = ring.keys().iter().filter(|key| key.state() == State::Active);
    let used: Vec<_> = active.map(Key::algorithm).collect();
    let now = SystemClock.unix_seconds();
    match Keys::turn(&path, &used, &settings.keys.schedule, now, turn) {
        Ok(changes) => {
            for Change { kid, algorithm, state } in changes {
                print::line(format_args!("{kid}  {:<5}  {}", algorithm.as_str(), state.map_or("gone", State::as_str)));
            }
            print::notice("gateways that run take it over within seconds");
            Ok(())
        }
        Err(KeyringError::Unready { until }) => {
            let wait = until.saturating_sub(now);
            print::notice(format_args!(
                "the next key was published too short a time ago for every backend to know it: try again in {wait} s. \
                 If the key that signs has leaked, say --withdraw"
            ));
            Err(Failure::No)
        }
        Err(error) => Err(Failure::broke("the keys that sign", &error)),
    }
}

/// Prints the key that comes of the root for one upstream.
fn derive(settings: &Settings, upstream: &str, of: DerivedFor) -> Result<(), Failure> {
    let Some(root) = &settings.root else {
        return Err(Failure::Setup("there is no `root` under `assertion` for keys to come of".into()));
    };
    if !settings.backends.iter().any(|backend| backend.upstream().id().as_str() == upstream) {
        return Err(Failure::Setup(format!("there is no upstream `{upstream}`")));
    }
    let purpose = match of {
        DerivedFor::Database => Purpose::DatabaseContext(upstream),
        DerivedFor::Signature => Purpose::RequestSignature(upstream),
    };
    let key = derived::text(root, purpose);
    let key = key.ok_or_else(|| Failure::Broke("the key could not be derived".into()))?;
    print::line(String::from_utf8_lossy(key.expose()));
    Ok(())
}

fn since(key: &Key) -> String {
    let seconds = i64::try_from(key.since()).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&Rfc3339).ok());
    time.unwrap_or_else(|| seconds.to_string())
}
