//! `cloister audit recheck`: asks a gateway to read all of its log again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use audit::Reader;

use crate::args::Log;
use crate::failure::Failure;
use crate::logs::Found;
use crate::recheck::Recheck;
use crate::{load, operator, print};

/// How often it is looked whether it is done, and after how long it is said that nobody has begun.
const LOOK: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(why: &str, log: &Log) -> Result<(), Failure> {
    if why.trim().is_empty() {
        return Err(Failure::Setup("--reason: say why".into()));
    }
    let logs = super::logs(log)?;
    let (settings, _) = load::config(&log.config)?;
    let asked = Recheck { user: operator::user(), why: why.trim().to_owned() };
    // ORDER: all of them first, so that they are read beside each other.
    let asked = logs.iter().map(|found| Asked::of(found, &asked, &settings.state)).collect::<Result<Vec<_>, _>>()?;
    let mut outcome = Ok(());
    for (found, asked) in logs.iter().zip(asked) {
        super::heading(&logs, found);
        // What is wrong first is what it ends with; the others are waited for all the same.
        outcome = outcome.and(asked.answer());
    }
    outcome
}

/// A log that somebody has asked to be read again.
struct Asked {
    path: PathBuf,
    reader: Reader,
    begun: Instant,
}

impl Asked {
    fn of(found: &Found, asked: &Recheck, state: &Path) -> Result<Self, Failure> {
        let failed = |error: &(dyn std::error::Error + 'static)| Failure::setup("the audit log", error);
        let log = &found.directory;
        let id = Reader::log_id(log).map_err(|error| failed(&error))?;
        let id = id.ok_or_else(|| Failure::Setup(format!("`{}` has no audit log", log.display())))?;
        let path = ledger::recheck_path(state, id);
        let reader = Reader::follow(log).map_err(|error| failed(&error))?;
        asked.ask(&path).map_err(|error| Failure::setup(path.display(), &error))?;
        Ok(Self { path, reader, begun: Instant::now() })
    }

    /// Waits until it was done, and says what was found.
    fn answer(self) -> Result<(), Failure> {
        let Self { path, reader, begun } = self;
        let mut is_told = false;
        while path.exists() {
            if !is_told && begun.elapsed() > PATIENCE {
                print::notice(
                    "it takes its time, or no gateway runs: then the next one that starts does it. Nobody needs to wait",
                );
                is_told = true;
            }
            std::thread::sleep(LOOK);
        }
        for stored in reader {
            let stored = stored.map_err(|error| Failure::broke("the audit log", &error))?;
            let Ok(row) = stored.row() else { continue };
            if row.kind != Some("log.rechecked") || row.by.as_deref() != Some("command") {
                continue;
            }
            let (records, readings, found) =
                (row.records.unwrap_or(0), row.count.unwrap_or(0), row.found.unwrap_or(u64::MAX));
            if found > 0 {
                print::line(format_args!(
                    "not as it must be: {found}, of {records} records; `cloister audit verify` says where"
                ));
                return Err(Failure::No);
            }
            print::line(format_args!(
                "read {readings} times: all {records} records are what was signed for (record {} says so)",
                stored.index
            ));
            return Ok(());
        }
        print::line("it was done, and is not on record: the gateway's log says why. It is not gone on with");
        Err(Failure::No)
    }
}
