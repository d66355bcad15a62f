//! `cloister audit …`: the log, for people and for machines.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use audit::{Query, Reader, Row, Stored};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::{self, Audit, Format, Log};
use crate::failure::Failure;
use crate::load;
use crate::print;

mod proofs;

/// How often a tail looks for more.
const LOOK: Duration = Duration::from_millis(200);

/// The columns of a record as text.
const COLUMNS: [&str; 9] = ["time", "tenant", "subject", "route", "method", "decision", "reason", "status", "request"];

/// Runs one of the commands.
pub(crate) fn run(command: Audit) -> Result<(), Failure> {
    match command {
        Audit::Query(query) => self::query(&query),
        Audit::Tail { log, format } => tail(&directory(&log)?, format),
        Audit::Verify(verify) => proofs::verify(&verify),
        Audit::Checkpoint { log } => proofs::checkpoint(&directory(&log)?),
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

fn query(arguments: &args::Query) -> Result<(), Failure> {
    let args::Query { log, tenant, subject, reason, route, id, from, to, limit, all, format } = arguments;
    let directory = directory(log)?;
    let mut found = VecDeque::new();
    let mut keep = |stored: Stored| {
        found.push_back(stored);
        if found.len() > *limit {
            found.pop_front();
        }
    };
    if *all {
        for stored in Reader::open(&directory).map_err(|error| Failure::setup("the log", &error))? {
            keep(stored.map_err(|error| Failure::broke("the log", &error))?);
        }
    } else {
        let query = Query {
            tenant: parse("--tenant", tenant.as_deref())?,
            subject: parse("--subject", subject.as_deref())?,
            reason: parse("--reason", reason.as_deref())?,
            route: route.clone(),
            from: from.as_deref().map(|text| instant("--from", text)).transpose()?,
            to: to.as_deref().map(|text| instant("--to", text)).transpose()?,
            ..Query::default()
        };
        for stored in query.run(&directory).map_err(|error| Failure::setup("the log", &error))? {
            let stored = stored.map_err(|error| Failure::broke("the log", &error))?;
            if id.as_ref().is_none_or(|id| stored.row().is_ok_and(|row| row.id == Some(id))) {
                keep(stored);
            }
        }
    }
    show(found.iter(), *format, true)
}

fn tail(directory: &Path, format: Format) -> Result<(), Failure> {
    let mut reader = Reader::follow(directory).map_err(|error| Failure::setup("the log", &error))?;
    loop {
        match reader.next() {
            Some(stored) => {
                let stored = stored.map_err(|error| Failure::broke("the log", &error))?;
                show(std::iter::once(&stored), format, false)?;
            }
            None => std::thread::sleep(LOOK),
        }
    }
}

fn show<'a>(records: impl Iterator<Item = &'a Stored>, format: Format, heading: bool) -> Result<(), Failure> {
    if format == Format::Json {
        records.for_each(|stored| print::line(String::from_utf8_lossy(&stored.json)));
        return Ok(());
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    if heading {
        rows.push(COLUMNS.map(str::to_owned).to_vec());
    }
    for stored in records {
        let row = stored.row().map_err(|error| Failure::broke(format_args!("record {}", stored.index), &error))?;
        rows.push(columns(&row));
    }
    if heading {
        print::table(&rows).iter().for_each(print::line);
    } else {
        rows.iter().for_each(|row| print::line(row.join("  ")));
    }
    Ok(())
}

fn columns(row: &Row<'_>) -> Vec<String> {
    let text = |value: Option<&str>| value.unwrap_or("-").to_owned();
    let status = row.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    vec![
        row.time.to_owned(),
        text(row.tenant),
        text(row.sub),
        text(row.route.or(row.kind)),
        text(row.method.as_deref()),
        text(row.decision),
        text(row.reason),
        status,
        text(row.id),
    ]
}

fn parse<T: FromStr<Err: std::fmt::Display>>(what: &str, text: Option<&str>) -> Result<Option<T>, Failure> {
    let parsed =
        text.map(|text| text.parse().map_err(|invalid| Failure::Setup(format!("{what}: `{text}`: {invalid}"))));
    parsed.transpose()
}

fn instant(what: &str, text: &str) -> Result<SystemTime, Failure> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339);
    parsed
        .map(SystemTime::from)
        .map_err(|_| Failure::Setup(format!("{what}: `{text}` is not a time such as 2026-11-23T12:00:00Z")))
}
