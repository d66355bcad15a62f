//! `cloister audit …`: the log, for people and for machines.

use std::path::PathBuf;

use terms::SystemClock;

use crate::args::{Audit, Log};
use crate::failure::Failure;
use crate::load;

mod clock;
mod filter;
mod index;
mod members;
mod on_record;
mod proofs;
mod query;
mod recheck;
mod report;
mod rows;
mod tail;

pub(crate) use proofs::read_policy;
pub(crate) use report::schema as report_schema;

/// Runs one of the commands.
pub(crate) fn run(command: Audit) -> Result<(), Failure> {
    match command {
        Audit::Query(query) => query::run(&query),
        Audit::Tail(tail) => tail::run(&tail),
        Audit::Index(index) => index::run(&index),
        Audit::Report(report) => report::run(&report),
        Audit::Verify(verify) => proofs::verify(&verify),
        Audit::Recheck { reason, config } => recheck::run(&reason, &config),
        Audit::Checkpoint { log } => proofs::checkpoint(&directory(&log)?),
        Audit::Clock(arguments) => clock::run(&arguments, &SystemClock),
        Audit::Trust { config } => proofs::trust(&config),
        Audit::Proof(proof) => proofs::proof(&proof),
    }
}

fn directory(log: &Log) -> Result<PathBuf, Failure> {
    match &log.dir {
        Some(directory) => Ok(directory.clone()),
        None => Ok(load::config(&log.config)?.0.audit.directory),
    }
}
