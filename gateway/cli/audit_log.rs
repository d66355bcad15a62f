//! `cloister audit …`: the log, for people and for machines.

use std::path::PathBuf;

use terms::SystemClock;

use crate::args::{Audit, Log};
use crate::failure::Failure;
use crate::load;
use crate::logs::Found;
use crate::print::{self, Style};

mod clock;
mod filter;
mod index;
mod members;
mod on_record;
mod proofs;
mod query;
mod recheck;
mod replay;
mod report;
mod rows;
mod tail;
mod verify;

pub(crate) use proofs::read_policy;
pub(crate) use replay::run as replay;
pub(crate) use report::schema as report_schema;

/// Runs one of the commands.
pub(crate) fn run(command: Audit) -> Result<(), Failure> {
    match command {
        Audit::Query(query) => query::run(&query),
        Audit::Tail(tail) => tail::run(&tail),
        Audit::Index(index) => index::run(&index),
        Audit::Report(report) => report::run(&report),
        Audit::Verify(verify) => verify::run(&verify),
        Audit::Recheck { reason, class, config } => recheck::run(&reason, &Log { dir: None, config, class }),
        Audit::Checkpoint { log } => proofs::checkpoint(&logs(&log)?),
        Audit::Clock(arguments) => clock::run(&arguments, &SystemClock),
        Audit::Trust { config } => proofs::trust(&config),
        Audit::Proof(proof) => proofs::proof(&proof),
    }
}

/// The logs that are meant: all that are in the folder, or one of them. There is one at least.
fn logs(log: &Log) -> Result<Vec<Found>, Failure> {
    let directory = directory(log)?;
    let found = crate::logs::on_disk(&directory).map_err(|error| Failure::setup(directory.display(), &error))?;
    let Some(wanted) = &log.class else { return Ok(found) };
    let names = found.iter().map(|found| format!("`{}`", found.class)).collect::<Vec<_>>().join(", ");
    let one: Vec<_> = found.into_iter().filter(|found| found.class == *wanted).collect();
    let none = || Failure::Setup(format!("--class: there is no log of the class `{wanted}`; there are {names}"));
    if one.is_empty() { Err(none()) } else { Ok(one) }
}

/// Says which log is spoken of, where there are several.
fn heading(of: &[Found], found: &Found) {
    if of.len() > 1 {
        print::line(Style::stdout().strong(&format!("log of the retention class {}", found.class)));
    }
}

/// The folder of the log of the default class.
fn directory(log: &Log) -> Result<PathBuf, Failure> {
    match &log.dir {
        Some(directory) => Ok(directory.clone()),
        None => Ok(load::config(&log.config)?.0.audit.directory),
    }
}
