//! `cloister audit report`: what the log says of one tenant in a span, and what shows it to somebody who does not trust us.

use std::fs::{self, DirBuilder, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use audit::{Query, Reader, Stored, Which};
use ledger::{KeyChanges, NoProof};
use schemars::JsonSchema;
use serde::Serialize;
use terms::{Clock as _, SystemClock, TenantId};
use time::OffsetDateTime;
use time::macros::format_description;
use tlog::{Checkpoint, Receipt, TrustPolicy, leaf_hash};

use super::filter::{instant, parse};
use super::on_record::{self, Use};
use super::{proofs, rows};
use crate::args;
use crate::failure::Failure;
use crate::logs::Found;
use crate::print::{self, Style};
use crate::serve::VERSION;

mod bundle;
mod html;
mod summary;

use summary::{Making, Summary};

pub(super) use bundle::verify;

/// How long a checkpoint is waited for that covers the last record.
const PATIENCE: Duration = Duration::from_secs(10);

/// All that a report says. `cloister schema report` is its schema.
#[derive(Debug, JsonSchema, Serialize)]
struct Report {
    /// The version of this format: 1.
    version: u8,
    generated: String,
    by: String,
    log: String,
    /// All logs that were looked through: a tenant that was in another retention class has records in the log of that, too, which
    /// has a report of its own beside this one.
    logs: Vec<LookedAt>,
    summary: Summary,
    gateway: OfGateway,
    integrity: Integrity,
}

/// A log that was looked through.
#[derive(Clone, Debug, JsonSchema, Serialize)]
struct LookedAt {
    /// The retention class of which it is.
    class: String,
    log: String,
    /// How many records of this tenant it has in this span.
    records: u64,
}

/// What the gateway's own records say of the span, for all tenants together.
#[derive(Debug, Default, JsonSchema, Serialize)]
struct OfGateway {
    /// How many times the log says that something could not be recorded.
    gaps: u64,
    /// How many requests have no record, as it says.
    unrecorded: u64,
    /// How many times a gateway began with the log.
    starts: u64,
}

/// What was verified, and by what.
#[derive(Debug, Default, JsonSchema, Serialize)]
struct Integrity {
    /// Whether everything that can be shown was shown.
    shown: bool,
    /// Whether each record follows on the one before it.
    chain: bool,
    /// The log's name, size and root in its checkpoint, and where the last record stands in it.
    origin: Option<String>,
    size: Option<u64>,
    root: Option<String>,
    head: Option<u64>,
    /// Who has signed the checkpoint, of those whom the policy names.
    signed_by: Vec<String>,
    /// The same for people.
    statement: Vec<String>,
}

/// The JSON Schema of report.json.
pub(crate) fn schema() -> schemars::Schema {
    schemars::schema_for!(Report)
}

pub(super) fn run(arguments: &args::Report) -> Result<(), Failure> {
    let args::Report { log, tenant, from, to, out, policy } = arguments;
    let logs = super::logs(log)?;
    let now = SystemClock.now();
    let tenant: TenantId = parse("--tenant", Some(tenant))?.ok_or(Failure::No)?;
    let (start, end) = (instant("--from", from, now)?, to.as_deref().map_or(Ok(now), |to| instant("--to", to, now))?);
    if start >= end {
        return Err(Failure::Setup("--from: the span ends before it begins".into()));
    }
    let query = Query { which: Which::All, tenant: Some(tenant.clone()), ..Query::default() };
    let within = Query { from: Some(start), to: Some(end), ..query.clone() };
    let edges = |log: Found| Ok((edges(&within, &log.directory)?, log));
    let mut each = logs.into_iter().map(edges).collect::<Result<Vec<_>, Failure>>()?;
    let looked_at = |((_, records), found): &((_, u64), Found)| {
        let log = name_of(&found.directory)?;
        Ok(LookedAt { class: found.class.clone(), log, records: *records })
    };
    let looked_at = each.iter().map(looked_at).collect::<Result<Vec<_>, Failure>>()?;
    // A tenant that was in another class has records in the log of that, too. Where there is none at all, one log says so.
    if each.iter().any(|((span, _), _)| span.is_some()) {
        each.retain(|((span, _), _)| span.is_some());
    } else {
        each.truncate(1);
    }

    let filter = format!("tenant={tenant} from={} to={}", text_of(start), text_of(end));
    let found = each.iter().map(|((_, found), _)| found).sum();
    let used = Use { what: store::UseOf::Reported, tenant: Some(tenant.clone()), filter, found: Some(found) };
    if let Some((_, first)) = each.first() {
        on_record::note(log, &first.directory, &used);
    }
    make_folder(out)?;
    let several = each.len() > 1;
    let mut outcome = Ok(());
    for ((span, _), of) in each {
        let out = if several { out.join(&of.class) } else { out.clone() };
        if several {
            print::line(format_args!("log of the retention class {}", of.class));
        }
        let asked = Asked { tenant: &tenant, start, end, now, query: query.clone(), logs: &looked_at };
        let made = if several { make_folder(&out) } else { Ok(()) };
        outcome = outcome.and(made.and_then(|()| {
            let trust = proofs::policy_for(log, &of.directory, policy.as_deref())?;
            of_log(&asked, &of.directory, span, &out, trust.as_deref())
        }));
    }
    outcome
}

/// What is asked of each log.
struct Asked<'a> {
    tenant: &'a TenantId,
    start: SystemTime,
    end: SystemTime,
    now: SystemTime,
    query: Query,
    logs: &'a [LookedAt],
}

/// The report of what one log has.
fn of_log(
    asked: &Asked<'_>,
    directory: &Path,
    span: Option<(u64, u64)>,
    out: &Path,
    trust: Option<&str>,
) -> Result<(), Failure> {
    let Asked { tenant, start, end, now, query, logs } = asked;
    let mut making = Making::new(tenant.as_str(), &text_of(*start), &text_of(*end));
    let mut head: Option<Stored> = None;
    let (mut lines, mut sheet) = (create(out, "records.jsonl")?, create(out, "report.csv")?);
    let failed = |error: std::io::Error| Failure::broke(out.display(), &error);
    let id = name_of(directory)?;
    rows::heading(&mut sheet).map_err(failed)?;
    if let Some((first, last)) = span {
        // All of the tenant's between the first and the last: those of another time are links of the chain, too.
        let all = Query { places: Some(first..=last), ..query.clone() };
        for stored in all.run(directory).map_err(|error| Failure::setup("the log", &error))? {
            let stored = stored.map_err(|error| Failure::broke("the log", &error))?;
            let row = stored.row().map_err(|error| Failure::broke(format_args!("record {}", stored.index), &error))?;
            if making.take(&row, &stored.json) {
                rows::line(&mut sheet, &id, &stored, &row).map_err(failed)?;
            }
            lines.write_all(&stored.json).and_then(|()| lines.write_all(b"\n")).map_err(failed)?;
            head = Some(stored);
        }
    }
    lines.flush().and_then(|()| sheet.flush()).map_err(failed)?;
    let summary = making.done();
    let receipt = head.as_ref().map(|head| prove(directory, head)).transpose()?.flatten();
    let changes = KeyChanges::of(directory).map_err(|error| Failure::setup(directory.display(), &error))?;
    let judged = trust.and_then(|policy| policy.parse().ok()).map(|policy| changes.follow(policy));
    let mut integrity = integrity(&summary, head.as_ref(), receipt.as_ref(), judged.as_ref());
    integrity.statement.extend(others(logs, &id));
    let gateway = of_gateway(directory, *start, *end)?;
    let by = format!("cloister {VERSION}");
    let logs = logs.to_vec();
    let report = Report { version: 1, generated: text_of(*now), by, log: id, logs, summary, gateway, integrity };
    bundle::write(out, &report, head.as_ref().zip(receipt.as_ref()), trust, &changes)?;
    let style = Style::stdout();
    for line in &report.integrity.statement {
        print::line(line);
    }
    print::line(out.join("report.html").display());
    if report.integrity.chain {
        Ok(())
    } else {
        print::line(style.bad("the records are not whole"));
        Err(Failure::No)
    }
}

/// What the log is called in records of others.
fn name_of(directory: &Path) -> Result<String, Failure> {
    let id = Reader::log_id(directory).map_err(|error| Failure::setup("the log", &error))?.unwrap_or_default();
    Ok(format!("{:032x}", u128::from_be_bytes(id)))
}

/// Says what the other logs have of the tenant, of which this report has nothing.
fn others(logs: &[LookedAt], this: &str) -> Option<String> {
    let others: Vec<_> = logs.iter().filter(|other| other.log != this).collect();
    if others.is_empty() {
        return None;
    }
    let each =
        others.iter().map(|other| format!("{} in the log of the class {} ({})", other.records, other.class, other.log));
    Some(format!(
        "Of this tenant in this span other logs of this gateway have: {}. They are not in this report, and are shown by one of \
         their own.",
        each.collect::<Vec<_>>().join(", ")
    ))
}

/// The places of the first and the last record that fit, and how many fit.
fn edges(query: &Query, directory: &Path) -> Result<(Option<(u64, u64)>, u64), Failure> {
    let (mut span, mut found) = (None, 0);
    for stored in query.clone().run(directory).map_err(|error| Failure::setup("the log", &error))? {
        let Stored { index, .. } = stored.map_err(|error| Failure::broke("the log", &error))?;
        span = Some((span.map_or(index, |(first, _)| first), index));
        found += 1;
    }
    Ok((span, found))
}

fn of_gateway(directory: &Path, from: SystemTime, to: SystemTime) -> Result<OfGateway, Failure> {
    let mut of = OfGateway::default();
    for kind in ["log.gap", "log.opened"] {
        let query =
            Query { kind: Some(kind.into()), which: Which::All, from: Some(from), to: Some(to), ..Query::default() };
        for stored in query.run(directory).map_err(|error| Failure::setup("the log", &error))? {
            let stored = stored.map_err(|error| Failure::broke("the log", &error))?;
            let Ok(row) = stored.row() else { continue };
            if kind == "log.gap" {
                of.gaps += 1;
                of.unrecorded += row.unrecorded.unwrap_or(0);
            } else {
                of.starts += 1;
            }
        }
    }
    Ok(of)
}

/// The receipt of the last record, once a checkpoint covers it. `None`: nobody signs for this log.
fn prove(directory: &Path, head: &Stored) -> Result<Option<Receipt>, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ledger::prove(directory, head.index, leaf_hash(&head.json)) {
            Ok(receipt) => return Ok(Some(receipt)),
            Err(NoProof::None) => return Ok(None),
            Err(NoProof::Later { .. }) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(200)),
            Err(NoProof::Later { .. }) => return Ok(None),
            Err(error) => return Err(Failure::broke("there is no proof of the last record", &error)),
        }
    }
}

fn integrity(
    summary: &Summary,
    head: Option<&Stored>,
    receipt: Option<&Receipt>,
    judged: Option<&TrustPolicy>,
) -> Integrity {
    let chain = &summary.chain;
    let mut of = Integrity { chain: summary.is_whole(), ..Integrity::default() };
    let mut say = |text: String| of.statement.push(text);
    let Some(head) = head else {
        say("The log has no record of this tenant in this span.".into());
        return of;
    };
    let (first, last) = (chain.first, chain.last);
    if of.chain {
        say(format!(
            "Records {first} to {last} of this tenant are a chain without a gap: each holds the number and the hash of the \
             one before it. None of them was left out, added or changed alone."
        ));
    } else {
        say(format!(
            "Records {first} to {last} of this tenant are NOT a chain without a gap: see records {:?}.",
            chain.broken_at
        ));
    }
    let Some(receipt) = receipt else {
        say("No checkpoint covers the last of them: nothing shows that they were not changed as a whole.".into());
        return of;
    };
    if let Ok(Checkpoint { origin, size, root }) = Checkpoint::of(&receipt.checkpoint) {
        say(format!(
            "The last of them is record {} of the log {origin}, whose first {size} records have the root {root}.",
            head.index
        ));
        (of.origin, of.size, of.root) = (Some(origin.to_string()), Some(size), Some(root.to_string()));
    }
    of.head = Some(head.index);
    match judged.map(|policy| receipt.verify(&head.json, policy)) {
        Some(Ok(trusted)) => {
            of.signed_by = trusted.by.iter().map(|signed| signed.key.to_string()).collect();
            let names: Vec<_> = trusted.by.iter().map(|signed| signed.key.name().to_string()).collect();
            of.statement
                .push(format!("That checkpoint is signed by {}, as the trust policy demands.", names.join(", ")));
            of.shown = of.chain;
        }
        Some(Err(why)) => {
            of.statement.push(format!("That checkpoint is NOT to be trusted by the policy: {}.", terms::chain(&why)));
        }
        None => of.statement.push("Its signature was not checked: no trust policy was given.".into()),
    }
    of.statement.push(
        "This does not show that the gateway recorded everything that it should have; only that what it recorded is here, \
         unchanged. That no later record belongs to the span is shown by the whole log alone."
            .into(),
    );
    of
}

/// A time as records write it.
fn text_of(at: SystemTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from(at).format(format).unwrap_or_default()
}

/// A folder of its own: nothing of another report is to be taken for a part of this one.
fn make_folder(out: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::setup(out.display(), &error);
    DirBuilder::new().recursive(true).mode(0o700).create(out).map_err(failed)?;
    if fs::read_dir(out).map_err(failed)?.next().is_some() {
        return Err(Failure::Setup(format!("`{}` is not empty: a report gets a folder of its own", out.display())));
    }
    Ok(())
}

fn create(out: &Path, name: &str) -> Result<BufWriter<File>, Failure> {
    let path = out.join(name);
    File::create_new(&path).map(BufWriter::new).map_err(|error| Failure::setup(path.display(), &error))
}
