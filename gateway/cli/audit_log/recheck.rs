//! `cloister audit recheck`: asks a gateway to read all of its log again.

use std::path::Path;
use std::time::{Duration, Instant};

use audit::Reader;

use crate::failure::Failure;
use crate::recheck::Recheck;
use crate::{load, operator, print};

/// How often it is looked whether it is done, and after how long it is said that nobody has begun.
const LOOK: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(why: &str, config: &Path) -> Result<(), Failure> {
    if why.trim().is_empty() {
        return Err(Failure::Setup("--reason: say why".into()));
    }
    let (settings, _) = load::config(config)?;
    let log = &settings.audit.directory;
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::setup("the audit log", error);
    let id = Reader::log_id(log).map_err(|error| failed(&error))?;
    let id = id.ok_or_else(|| Failure::Setup(format!("`{}` has no audit log", log.display())))?;
    let path = ledger::recheck_path(&settings.state, id);
    let reader = Reader::follow(log).map_err(|error| failed(&error))?;
    let asked = Recheck { user: operator::user(), why: why.trim().to_owned() };
    asked.ask(&path).map_err(|error| Failure::setup(path.display(), &error))?;
    let begun = Instant::now();
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
