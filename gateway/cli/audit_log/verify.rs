//! `cloister audit verify`: whether the logs are whole, and those that were signed for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use audit::{Reader, Report};
use ledger::{Against, Checked, Folder};
use serde_json::json;
use tlog::{Checkpoint, Note, TrustPolicy};

use super::proofs::{following, own_policy, read_policy, verify_proof};
use crate::args::{Format, Verify};
use crate::failure::Failure;
use crate::load;
use crate::log_fault::{self, LogFault};
use crate::logs::Found;
use crate::print::{self, Style};
use crate::settings::Settings;

pub(super) fn run(arguments: &Verify) -> Result<(), Failure> {
    let Verify { log, policy, complete, from, proof, record, bundle, format } = arguments;
    if let (Some(bundle), Some(policy)) = (bundle, policy) {
        return super::report::verify(bundle, policy);
    }
    let given = policy.as_deref().map(read_policy).transpose()?;
    if let (Some(proof), Some(record), Some(policy)) = (proof, record, &given) {
        return verify_proof(proof, record, following(proof.parent().unwrap_or(Path::new(".")), policy.clone())?);
    }
    let logs = super::logs(log)?;
    let settings = if log.dir.is_some() { None } else { Some(load::config(&log.config)?.0) };
    let mut kept = from.iter().map(|path| Kept::read(path)).collect::<Result<Vec<_>, _>>()?;
    let kept_of = logs.iter().map(|found| Kept::of(found, logs.len(), &mut kept)).collect::<Result<Vec<_>, _>>()?;
    if let Some(Kept { path, checkpoint, .. }) = kept.first() {
        let origin = &checkpoint.origin;
        return Err(Failure::Setup(format!(
            "--from: `{}` is of `{origin}`, which is none of these logs",
            path.display()
        )));
    }
    let (mut outcome, mut seen, mut whole) = (Ok(()), Vec::new(), InAll::default());
    for (found, kept) in logs.iter().zip(kept_of) {
        if *format == Format::Text {
            super::heading(&logs, found);
        }
        let looked = look(&found.directory, settings.as_ref(), given.as_ref(), kept).map(|looked| {
            match format {
                Format::Json => seen.push(looked.as_json(found, logs.len())),
                Format::Text => looked.describe(*complete),
            }
            whole.take(&looked.report);
            let fault = LogFault::of(&looked.report, looked.checked.as_ref());
            fault.map_or(Ok(()), |fault| Err(Failure::Log(fault, None)))
        });
        // What is wrong first is what it ends with; the others are looked at all the same.
        outcome = told(outcome, looked.flatten());
    }
    match (format, logs.len()) {
        (Format::Json, 1) => seen.iter().for_each(print::line),
        (Format::Json, _) => print::line(json!({ "ok": outcome.is_ok(), "logs": seen })),
        (Format::Text, 2..) if *complete => whole.describe(),
        (Format::Text, _) => {}
    }
    outcome
}

/// The first of two failures, of which the other is said here.
fn told(first: Result<(), Failure>, second: Result<(), Failure>) -> Result<(), Failure> {
    match (first, second) {
        (Ok(()), second) => second,
        (first, Ok(())) => first,
        (first, Err(second)) => {
            print::failure(second);
            first
        }
    }
}

/// A checkpoint that somebody has kept.
struct Kept {
    path: PathBuf,
    note: Note,
    checkpoint: Checkpoint,
}

impl Kept {
    fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| Failure::setup(path.display(), &error))?;
        let note: Note = text.parse().map_err(|error| Failure::setup(path.display(), &error))?;
        let checkpoint = Checkpoint::of(&note).map_err(|error| Failure::setup(path.display(), &error))?;
        Ok(Self { path: path.to_owned(), note, checkpoint })
    }

    /// Takes the one of this log out of those that were kept. Of a log that is alone it is whichever there is: that it is
    /// another's is for the look to find.
    fn of(found: &Found, logs: usize, kept: &mut Vec<Self>) -> Result<Option<Self>, Failure> {
        if logs == 1 {
            return Ok(kept.pop());
        }
        let folder = Folder::of(&found.directory);
        let failed =
            |error: &(dyn std::error::Error + 'static)| Failure::setup(folder.checkpoint_path().display(), error);
        let Some(note) = folder.checkpoint().map_err(|error| failed(&error))? else { return Ok(None) };
        let origin = Checkpoint::of(&note).map_err(|error| failed(&error))?.origin;
        let place = kept.iter().position(|kept| kept.checkpoint.origin == origin);
        Ok(place.map(|place| kept.swap_remove(place)))
    }
}

/// What one look at a log has shown.
struct Looked {
    report: Report,
    checked: Option<Checked>,
    policy: Option<TrustPolicy>,
    /// How many records the checkpoint has from which on it was looked.
    kept: Option<u64>,
    /// Whether it was compared with what lies in the state folder.
    guard: bool,
}

fn look(
    directory: &Path,
    settings: Option<&Settings>,
    given: Option<&TrustPolicy>,
    kept: Option<Kept>,
) -> Result<Looked, Failure> {
    let policy = match (given, settings) {
        (Some(policy), _) => Some(policy.clone()),
        (None, Some(settings)) => own_policy(&settings.state, directory, settings.audit.witnesses.as_ref())
            .map(|text| text.and_then(|text| text.parse().ok()))?,
        (None, None) => None,
    };
    // ORDER: before the records are read, which may only grow from here on.
    let guard = settings.map(|settings| guard(&settings.state, directory)).transpose()?.flatten();
    let start = kept.as_ref().map_or(0, |kept| kept.checkpoint.size);
    let report = audit::verify_from(directory, start).map_err(|error| Failure::setup(directory.display(), &error))?;
    // Where frames are damaged, the tree cannot be made of them; that they are is enough.
    let checked = if report.problems.is_empty() {
        let against =
            Against { policy: policy.as_ref(), kept: kept.as_ref().map(|kept| &kept.note), guard: guard.as_ref() };
        let checked = ledger::check_against(directory, against);
        let failed = |error| log_fault::failure("the checkpoint of the log", Some(LogFault::of_read(&error)), &error);
        Some(checked.map_err(failed)?)
    } else {
        None
    };
    Ok(Looked { report, checked, policy, kept: kept.map(|kept| kept.checkpoint.size), guard: guard.is_some() })
}

/// What all logs together have of each tenant: one that has changed its class has records in several.
#[derive(Default)]
struct InAll {
    tenants: BTreeMap<String, (u64, u64)>,
}

impl InAll {
    fn take(&mut self, report: &Report) {
        for (tenant, slice) in &report.tenants {
            let (logs, records) = self.tenants.entry(tenant.clone()).or_default();
            (*logs, *records) = (*logs + 1, *records + slice.count);
        }
    }

    fn describe(&self) {
        let heading = ["tenant", "logs", "records in all"].map(str::to_owned).to_vec();
        let row = |(tenant, (logs, records)): (&String, &(u64, u64))| {
            vec![tenant.clone(), logs.to_string(), records.to_string()]
        };
        let rows: Vec<_> = std::iter::once(heading).chain(self.tenants.iter().map(row)).collect();
        print::line("");
        print::table(&rows).iter().for_each(print::line);
    }
}

impl Looked {
    fn is_sound(&self) -> bool {
        self.report.problems.is_empty() && self.checked.as_ref().is_some_and(|checked| checked.differences.is_empty())
    }

    fn describe(&self, complete: bool) {
        self.describe_all();
        if complete {
            each_tenant(&self.report);
            each_run(&self.report);
        }
    }

    fn describe_all(&self) {
        let style = Style::stdout();
        describe(&self.report);
        if let Some(kept) = self.kept {
            self.describe_kept(kept);
        }
        let Some(checked) = &self.checked else { return };
        for difference in &checked.differences {
            print::line(style.bad(&terms::chain(difference)));
        }
        if checked.more > 0 {
            print::line(style.bad(&format!("and {} more", checked.more)));
        }
        match &checked.checkpoint {
            None => print::line("there is no checkpoint: nothing shows that records were not changed as a whole"),
            Some(checkpoint) if checked.differences.is_empty() => {
                let signed = if checked.signed_by.is_empty() {
                    "a signature that was not checked (give --policy)".to_owned()
                } else {
                    format!("the signature of {}", checked.signed_by.join(", "))
                };
                print::line(format_args!("the checkpoint of {} records has {signed}", checkpoint.size));
                if checked.keys_followed > 0 {
                    print::line(format_args!(
                        "its key is not the one that was given first: {} vouched for, each by the one before it",
                        print::counted(usize::try_from(checked.keys_followed).unwrap_or(usize::MAX), "key")
                    ));
                }
                if self.guard {
                    print::line("it goes on from the one in the state folder");
                }
                print::line(style.good(match self.not_read() {
                    0 => "the records are those that were signed for",
                    _ => "the records that were read are those that were signed for, and the log goes on from what was kept",
                }));
            }
            Some(_) => print::line(style.bad("the records are not shown to be those that were signed for")),
        }
    }

    /// The first record that was read; what comes before it was not.
    fn not_read(&self) -> u64 {
        self.checked.as_ref().and_then(|checked| checked.read_from).unwrap_or(0)
    }

    fn describe_kept(&self, kept: u64) {
        match self.not_read() {
            0 => print::line(format_args!("all of it was read, also what the checkpoint of {kept} records covers")),
            first => print::line(format_args!(
                "from record {first} on, each was compared with what was signed. Those before it were not: that the checkpoint \
                 of {kept} records, which was kept, is the beginning of this log is shown by the tiles. Whether the records \
                 that it covers are still there, as they were, only a look at all of it says"
            )),
        }
    }

    fn as_json(&self, found: &Found, logs: usize) -> serde_json::Value {
        let mut value = as_json(&self.report);
        let checkpoint = self.checked.as_ref().map(|checked| {
            let differences: Vec<_> = checked.differences.iter().map(|it| terms::chain(it).to_string()).collect();
            let said = checked.checkpoint.as_ref();
            json!({
                "origin": said.map(|said| said.origin.to_string()), "size": said.map(|said| said.size),
                "root": said.map(|said| said.root.to_string()), "signed_by": checked.signed_by,
                "signature_checked": self.policy.is_some(), "keys_followed": checked.keys_followed,
                "files": checked.files, "differences": differences,
                "more_differences": checked.more,
            })
        });
        if let Some(fields) = value.as_object_mut() {
            fields.insert("ok".to_owned(), self.is_sound().into());
            fields.insert("checkpoint".to_owned(), checkpoint.into());
            fields.insert("kept".to_owned(), self.kept.into());
            fields.insert("read_from".to_owned(), self.not_read().into());
            if logs > 1 {
                fields.insert("class".to_owned(), found.class.as_str().into());
            }
            fields.insert("guard_compared".to_owned(), self.guard.into());
        }
        value
    }
}

/// What the log has of each tenant, and of the gateway itself.
fn each_tenant(report: &Report) {
    let heading = ["tenant", "first", "last", "records", "missing"].map(str::to_owned).to_vec();
    let rows = report.tenants.iter().map(|(tenant, slice)| {
        let missing = (slice.last + 1).saturating_sub(slice.first).saturating_sub(slice.count);
        let numbers = [slice.first, slice.last, slice.count, missing].map(|number| number.to_string());
        [vec![tenant.clone()], numbers.to_vec()].concat()
    });
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    print::line("");
    print::table(&rows).iter().for_each(print::line);
}

/// What each process that wrote the log says of itself: requests = records.
fn each_run(report: &Report) {
    let heading = ["gateway", "from", "to", "requests", "records", "without", "under way", "end"];
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let rows = report.runs.iter().map(|run| {
        let counts = [run.requests, Some(run.finals), Some(run.unrecorded), run.under_way()].map(number);
        let [requests, records, without, under_way] = counts;
        let (from, to, ended) = (run.first.1.clone(), run.last.1.clone(), run.ended.as_str().to_owned());
        vec![run.instance.clone(), from, to, requests, records, without, under_way, ended]
    });
    let rows: Vec<_> = std::iter::once(heading.map(str::to_owned).to_vec()).chain(rows).collect();
    print::line("");
    print::table(&rows).iter().for_each(print::line);
}

/// The newest checkpoint once more, where the gateway keeps it beside the log.
fn guard(state: &Path, directory: &Path) -> Result<Option<Note>, Failure> {
    let id = Reader::log_id(directory).map_err(|error| Failure::setup("the log", &error))?;
    let guard = id.map(|id| ledger::guarded(state, id)).transpose();
    guard.map(Option::flatten).map_err(|error| {
        let fault =
            if error.kind() == std::io::ErrorKind::InvalidData { LogFault::Unsigned } else { LogFault::of_io(&error) };
        log_fault::failure("the checkpoint in the state folder", Some(fault), &error)
    })
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
            "{} requests have no record, as the log itself says: there was no room, or their process ended",
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
        "tenants": report.tenants.iter().map(|(tenant, slice)| {
            (tenant.clone(), json!({ "first": slice.first, "last": slice.last, "records": slice.count }))
        }).collect::<serde_json::Map<_, _>>(),
        "runs": report.runs.iter().map(|run| json!({
            "instance": run.instance, "first": run.first.0, "from": run.first.1, "last": run.last.0, "to": run.last.1,
            "requests": run.requests, "finals": run.finals, "unrecorded": run.unrecorded, "ended": run.ended.as_str(),
        })).collect::<Vec<_>>(),
        "problems": problems, "more_problems": report.more_problems,
    })
}
