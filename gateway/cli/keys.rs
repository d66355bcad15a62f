//! `cloister keys derive|list|rotate`: the keys that sign what backends receive, and the checkpoints of the audit log.

use std::path::{Path, PathBuf};

use assertion::{Change, Key, Keyring, KeyringError, Keys, State, Turn};
use audit::Reader;
use ledger::KeyFile;
use secrets::Purpose;
use serde_json::json;
use terms::{Clock as _, SystemClock};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::{self, DerivedFor, Format, KeySet};
use crate::asking::Asking;
use crate::failure::Failure;
use crate::settings::{KeySource, Settings};
use crate::{derived, load, logs, operator, print, signing};

/// Runs one of the commands.
pub(crate) fn run(command: args::Keys) -> Result<(), Failure> {
    match command {
        args::Keys::Derive { upstream, of, config } => {
            derive(&load::config_with(&config, Asking::Vault)?.0, &upstream, of)
        }
        args::Keys::List { config, format } => list(&load::config(&config)?.0, format),
        args::Keys::Rotate { set: KeySet::Log, config, withdraw, class } => {
            let turn = if withdraw { ledger::Turn::Withdraw } else { ledger::Turn::Now };
            rotate_logs(&load::config(&config)?.0, class.as_deref(), turn)
        }
        args::Keys::Rotate { class: Some(_), .. } => {
            Err(Failure::Setup("--class: only the keys of the audit log (`--set log`) are those of a class".into()))
        }
        args::Keys::Rotate { set, config, withdraw, class: None } => {
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
        (KeySet::Log, _) => Ok(None),
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
    let logs = of_logs(settings, None)?;
    let several = logs.len() > 1;
    for OfLog { class, file } in logs {
        let of_log = file.read().map_err(|error| unusable(&error))?;
        for held in of_log.all() {
            let (key, state, since) = (held.verifier(), held.state().as_str(), held.since());
            if format == Format::Json {
                let mut value = json!({ "set": KeySet::Log.as_str(), "kid": key.to_string(), "algorithm": "Ed25519",
                                        "state": state, "since": since });
                if let Some(fields) = value.as_object_mut().filter(|_| several) {
                    fields.insert("class".to_owned(), class.as_str().into());
                }
                keys.push(value);
            } else {
                let (set, since) = (KeySet::Log.as_str(), time(since));
                print::line(format_args!("{key}  {set:<9}  {:<5}  {state:<8}  since {since}", "EdDSA"));
            }
        }
    }
    if format == Format::Json {
        print::line(json!({ "keys": keys }));
    }
    Ok(())
}

/// The keys that sign the checkpoints of one log.
struct OfLog {
    class: String,
    file: KeyFile,
}

/// Those of all logs that are there and have any, or of one of them.
fn of_logs(settings: &Settings, class: Option<&str>) -> Result<Vec<OfLog>, Failure> {
    let directory = &settings.audit.directory;
    let mut keys = Vec::new();
    for found in logs::on_disk(directory).map_err(|error| Failure::setup(directory.display(), &error))? {
        if class.is_some_and(|class| class != found.class) || !found.directory.join("segments").exists() {
            continue;
        }
        let id = Reader::log_id(&found.directory).map_err(|error| Failure::setup("the audit log", &error))?;
        let file = id.map(|id| KeyFile::of(&settings.state, id)).filter(KeyFile::is_there);
        keys.extend(file.map(|file| OfLog { class: found.class, file }));
    }
    Ok(keys)
}

fn unusable(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::setup("the keys that sign checkpoints", error)
}

/// Has other keys sign the checkpoints of the audit logs. The gateway that writes them does it, when it finds it asked for.
fn rotate_logs(settings: &Settings, class: Option<&str>, turn: ledger::Turn) -> Result<(), Failure> {
    let logs = of_logs(settings, class)?;
    if logs.is_empty() {
        let (state, which) = (settings.state.display(), class.unwrap_or("this"));
        return Err(Failure::Setup(format!(
            "`{state}` has no key for {which} log: no gateway has signed for it with this state folder"
        )));
    }
    let several = logs.len() > 1;
    let (mut is_asked, mut is_busy) = (false, false);
    for OfLog { class, file } in logs {
        match file.turn(turn, Some(operator::user()), SystemClock.unix_seconds()) {
            Ok(key) => {
                print::line(key);
                is_asked = true;
            }
            // That of one log is no reason to leave those of the others.
            Err(error @ ledger::KeyError::Busy(_)) => {
                let of = if several { format!("{class}: ") } else { String::new() };
                print::notice(format_args!("{of}{}", terms::chain(&error)));
                is_busy = true;
            }
            Err(error) => return Err(unusable(&error)),
        }
    }
    if is_asked {
        print::notice(
            "it signs as soon as a gateway has put it on record: one that runs does so within seconds, else the next \
             start. Give it to auditors and witnesses; `cloister audit trust` prints whom to trust",
        );
    }
    if is_busy { Err(Failure::No) } else { Ok(()) }
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
    time(key.since())
}

fn time(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&Rfc3339).ok());
    time.unwrap_or_else(|| seconds.to_string())
}
