//! `cloister audit query|verify|tail`: the log, for people and for machines.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use audit::{Query, Reader, Report, Row, Stored};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::{self, Audit, Format, Log};
use crate::failure::Failure;
use crate::load;
use crate::print::{self, Style};

/// How often a tail looks for more.
const LOOK: Duration = Duration::from_millis(200);

/// The columns of a record as text.
const COLUMNS: [&str; 9] = ["time", "tenant", "subject", "route", "method", "decision", "reason", "status", "request"];

/// Runs one of the commands.
pub(crate) fn run(command: Audit) -> Result<(), Failure> {
    match command {
        Audit::Query(query) => self::query(&query),
        Audit::Tail { log, format } => tail(&directory(&log)?, format),
        Audit::Verify { log, format } => verify(&directory(&log)?, format),
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

fn verify(directory: &Path, format: Format) -> Result<(), Failure> {
    let report = audit::verify(directory).map_err(|error| Failure::setup(directory.display(), &error))?;
    match format {
        Format::Json => print::line(as_json(&report)),
        Format::Text => describe(&report),
    }
    if report.problems.is_empty() { Ok(()) } else { Err(Failure::No) }
}

fn describe(report: &Report) {
    let style = Style::stdout();
    for problem in &report.problems {
        print::line(style.bad(&terms::chain(problem)));
    }
    if report.more_problems > 0 {
        print::line(style.bad(&format!("and {} more", report.more_problems)));
    }
    if let (Some((first, since)), Some((last, until))) = (&report.first, &report.last) {
        print::line(format_args!("records {first} to {last}, from {since} to {until}"));
    }
    let counted = |number: u64, word| print::counted(usize::try_from(number).unwrap_or(usize::MAX), word);
    print::line(format_args!(
        "{}, {}: {}, {}, {}, {} about the gateway itself",
        counted(report.segments, "segment"),
        counted(report.records, "record"),
        counted(report.finals, "request"),
        counted(report.decided, "strict decision"),
        counted(report.opened, "stream"),
        report.own
    ));
    if report.unrecorded > 0 {
        print::line(format_args!(
            "{} requests were answered without a record, as the log itself says",
            report.unrecorded
        ));
    }
    if let Some(torn) = &report.torn {
        print::line(format_args!("{} bytes at the end are not committed yet", torn.bytes));
    }
    print::line(if report.problems.is_empty() {
        style.good("the log is whole")
    } else {
        style.bad("the log is damaged")
    });
}

fn as_json(report: &Report) -> serde_json::Value {
    let end = |end: &Option<(u64, String)>| end.as_ref().map(|(index, time)| json!({ "index": index, "time": time }));
    let problems: Vec<_> = report
        .problems
        .iter()
        .map(|problem| {
            json!({ "segment": problem.segment.display().to_string(), "offset": problem.offset, "index": problem.index,
                    "what": terms::chain(&problem.what) })
        })
        .collect();
    json!({
        "ok": report.problems.is_empty(), "segments": report.segments, "records": report.records,
        "finals": report.finals, "decided": report.decided, "opened": report.opened, "own": report.own, "unrecorded": report.unrecorded,
        "undetermined": report.undetermined, "first": end(&report.first), "last": end(&report.last),
        "closed": report.closed, "torn_bytes": report.torn.as_ref().map(|torn| torn.bytes),
        "problems": problems, "more_problems": report.more_problems,
    })
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
