//! `cloister audit verify|checkpoint|trust|proof`: what shows that the log is whole, and what others verify it by.

use std::fs;
use std::path::{Path, PathBuf};

use audit::{Reader, Report, Stored};
use ledger::{Against, Checked, Folder, KeyChanges, KeyFile, NoProof};
use serde_json::json;
use tlog::{Checkpoint, Note, Receipt, TrustPolicy, leaf_hash};

use super::on_record::{self, Use};
use crate::args::{Format, Log, Proof, Verify};
use crate::cosigning::Witnesses;
use crate::failure::Failure;
use crate::load;
use crate::log_fault::{self, LogFault};
use crate::print::{self, Style};

pub(super) fn verify(arguments: &Verify) -> Result<(), Failure> {
    let Verify { log, policy, complete, from, proof, record, bundle, format } = arguments;
    if let (Some(bundle), Some(policy)) = (bundle, policy) {
        return super::report::verify(bundle, policy);
    }
    let given = policy.as_deref().map(read_policy).transpose()?;
    if let (Some(proof), Some(record), Some(policy)) = (proof, record, &given) {
        return verify_proof(proof, record, following(proof.parent().unwrap_or(Path::new(".")), policy.clone())?);
    }
    let directory = super::directory(log)?;
    let settings = if log.dir.is_some() { None } else { Some(load::config(&log.config)?.0) };
    let policy = match (given, &settings) {
        (Some(policy), _) => Some(policy),
        (None, Some(settings)) => own_policy(&settings.state, &directory, settings.audit.witnesses.as_ref())
            .map(|text| text.and_then(|text| text.parse().ok()))?,
        (None, None) => None,
    };
    let kept = from.as_deref().map(read_checkpoint).transpose()?;
    // ORDER: before the records are read, which may only grow from here on.
    let guard = settings.map(|settings| guard(&settings.state, &directory)).transpose()?.flatten();
    let start = kept.as_ref().map_or(0, |(_, checkpoint)| checkpoint.size);
    let report = audit::verify_from(&directory, start).map_err(|error| Failure::setup(directory.display(), &error))?;
    // Where frames are damaged, the tree cannot be made of them; that they are is enough.
    let checked = if report.problems.is_empty() {
        let against =
            Against { policy: policy.as_ref(), kept: kept.as_ref().map(|(note, _)| note), guard: guard.as_ref() };
        let checked = ledger::check_against(&directory, against);
        let failed = |error| log_fault::failure("the checkpoint of the log", Some(LogFault::of_read(&error)), &error);
        Some(checked.map_err(failed)?)
    } else {
        None
    };
    let kept = kept.map(|(_, checkpoint)| checkpoint.size);
    let seen =
        Seen { report: &report, checked: checked.as_ref(), policy: policy.as_ref(), kept, guard: guard.is_some() };
    match format {
        Format::Json => print::line(seen.as_json()),
        Format::Text => {
            seen.describe();
            if *complete {
                each_tenant(&report);
                each_run(&report);
            }
        }
    }
    match LogFault::of(&report, checked.as_ref()) {
        None => Ok(()),
        Some(fault) => Err(Failure::Log(fault, None)),
    }
}

/// Everything that a look at a log has shown.
struct Seen<'s> {
    report: &'s Report,
    checked: Option<&'s Checked>,
    policy: Option<&'s TrustPolicy>,
    /// How many records the checkpoint has from which on it was looked.
    kept: Option<u64>,
    /// Whether it was compared with what lies in the state folder.
    guard: bool,
}

impl Seen<'_> {
    fn is_sound(&self) -> bool {
        self.report.problems.is_empty() && self.checked.is_some_and(|checked| checked.differences.is_empty())
    }

    fn describe(&self) {
        let style = Style::stdout();
        describe(self.report);
        if let Some(kept) = self.kept {
            self.describe_kept(kept);
        }
        let Some(checked) = self.checked else { return };
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
        self.checked.and_then(|checked| checked.read_from).unwrap_or(0)
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

    fn as_json(&self) -> serde_json::Value {
        let mut value = as_json(self.report);
        let checkpoint = self.checked.map(|checked| {
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

/// A checkpoint that somebody has kept.
fn read_checkpoint(path: &Path) -> Result<(Note, Checkpoint), Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::setup(path.display(), &error))?;
    let note: Note = text.parse().map_err(|error| Failure::setup(path.display(), &error))?;
    let checkpoint = Checkpoint::of(&note).map_err(|error| Failure::setup(path.display(), &error))?;
    Ok((note, checkpoint))
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

pub(crate) fn read_policy(path: &Path) -> Result<TrustPolicy, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::setup(path.display(), &error))?;
    text.parse().map_err(|error| Failure::setup(path.display(), &error))
}

/// Whom to trust for this log: as it was given, or by the key in the state folder that the configuration names.
pub(super) fn policy_for(log: &Log, directory: &Path, given: Option<&Path>) -> Result<Option<String>, Failure> {
    if let Some(path) = given {
        read_policy(path)?;
        return fs::read_to_string(path).map(Some).map_err(|error| Failure::setup(path.display(), &error));
    }
    match load::config(&log.config) {
        Ok((settings, _)) => own_policy(&settings.state, directory, settings.audit.witnesses.as_ref()),
        Err(_) if log.dir.is_some() => Ok(None),
        Err(findings) => Err(findings.into()),
    }
}

/// What an auditor is to trust, if this state folder has the key of that log.
fn own_policy(state: &Path, directory: &Path, witnesses: Option<&Witnesses>) -> Result<Option<String>, Failure> {
    let id = Reader::log_id(directory).map_err(|error| Failure::setup("the log", &error))?;
    let Some(id) = id else { return Ok(None) };
    let file = KeyFile::of(state, id);
    if !file.is_there() {
        return Ok(None);
    }
    let keys = file.read().map_err(|error| Failure::setup("the log's key", &error))?;
    let mut policy: String = keys.verifiers().map(|key| format!("log {key}\n")).collect();
    let seats = witnesses.map_or(&[][..], |witnesses| &witnesses.seats);
    for seat in seats {
        policy += &format!("witness {} {}\n", seat.name(), seat.key());
    }
    match (witnesses, seats) {
        (Some(witnesses), [_, _, ..]) => {
            let names: Vec<_> = seats.iter().map(witness::Seat::name).collect();
            policy += &format!("group enough {} {}\nquorum enough\n", witnesses.quorum, names.join(" "));
        }
        (Some(_), [one]) => policy += &format!("quorum {}\n", one.name()),
        (None, _) | (Some(_), []) => policy += "quorum none\n",
    }
    Ok(Some(policy))
}

pub(super) fn trust(config: &Path) -> Result<(), Failure> {
    let (settings, _) = load::config(config)?;
    let policy = own_policy(&settings.state, &settings.audit.directory, settings.audit.witnesses.as_ref())?;
    let missing = || {
        let state = settings.state.display();
        Failure::Setup(format!(
            "`{state}` has no key for this log: no gateway has signed for it with this state folder"
        ))
    };
    print::line(policy.ok_or_else(missing)?.trim_end());
    Ok(())
}

pub(super) fn checkpoint(directory: &Path) -> Result<(), Failure> {
    let folder = Folder::of(directory);
    let note = folder.checkpoint().map_err(|error| Failure::setup(folder.checkpoint_path().display(), &error))?;
    let note = note.ok_or_else(|| Failure::Setup(format!("`{}` has no checkpoint yet", directory.display())))?;
    print::line(note.to_string().trim_end());
    Ok(())
}

pub(super) fn proof(arguments: &Proof) -> Result<(), Failure> {
    let Proof { log, id, index, out } = arguments;
    let directory = super::directory(log)?;
    let stored = find(&directory, id.as_deref(), *index)?;
    let filter = id.as_ref().map_or_else(|| format!("proof index={}", stored.index), |id| format!("proof id={id}"));
    let tenant = stored.row().ok().and_then(|row| row.tenant?.parse().ok());
    on_record::note(log, &directory, &Use { tenant, filter, found: Some(1), ..Use::read() });
    let receipt = ledger::prove(&directory, stored.index, leaf_hash(&stored.json)).map_err(|error| match error {
        NoProof::Wrong(..) => Failure::broke("there is no proof", &error),
        NoProof::Checkpoint(_) | NoProof::Invalid(_) | NoProof::Later { .. } | NoProof::None | NoProof::Tiles(_) => {
            Failure::setup("there is no proof", &error)
        }
    })?;
    let Some(out) = out else {
        print::line(receipt.to_string().trim_end());
        return Ok(());
    };
    let put = |name: String, content: &[u8]| -> Result<PathBuf, Failure> {
        let path = out.join(name);
        fs::write(&path, content).map_err(|error| Failure::setup(path.display(), &error))?;
        Ok(path)
    };
    fs::create_dir_all(out).map_err(|error| Failure::setup(out.display(), &error))?;
    let record = put(format!("{}.json", stored.index), &stored.json)?;
    let proof = put(format!("{}.tlog-proof", stored.index), receipt.to_string().as_bytes())?;
    // Whoever trusts an earlier key of the log finds the way from it to the one that signs today.
    let changes = KeyChanges::of(&directory).and_then(|changes| changes.copy_to(&out.join("keys")));
    changes.map_err(|error| Failure::setup(out.display(), &error))?;
    print::line(format_args!("{}\n{}", record.display(), proof.display()));
    Ok(())
}

fn find(directory: &Path, id: Option<&str>, index: Option<u64>) -> Result<Stored, Failure> {
    let failed = |error| Failure::setup("the log", &error);
    let reader = Reader::from(directory, index.unwrap_or(0)).map_err(failed)?;
    for stored in reader {
        let stored = stored.map_err(|error| Failure::broke("the log", &error))?;
        let is_wanted = match (id, index) {
            (Some(id), _) => stored.row().is_ok_and(|row| row.id == Some(id) && row.stage == Some("final")),
            (None, index) => index == Some(stored.index),
        };
        if is_wanted {
            return Ok(stored);
        }
        if index.is_some_and(|index| stored.index >= index) {
            break;
        }
    }
    Err(Failure::Setup("the log has no such record".to_owned()))
}

/// The policy, and the keys that those which it names have vouched for, as receipts in `keys` in this folder show.
pub(crate) fn following(folder: &Path, policy: TrustPolicy) -> Result<TrustPolicy, Failure> {
    let keys = folder.join("keys");
    let changes = KeyChanges::read(&keys).map_err(|error| Failure::setup(keys.display(), &error))?;
    Ok(changes.follow(policy))
}

fn verify_proof(proof: &Path, record: &Path, policy: TrustPolicy) -> Result<(), Failure> {
    let text = fs::read_to_string(proof).map_err(|error| Failure::setup(proof.display(), &error))?;
    let receipt: Receipt = text.parse().map_err(|error| Failure::setup(proof.display(), &error))?;
    let entry = fs::read(record).map_err(|error| Failure::setup(record.display(), &error))?;
    match receipt.verify(&entry, &policy) {
        Ok(trusted) => {
            let by: Vec<_> = trusted.by.iter().map(|signed| signed.key.name().to_string()).collect();
            print::line(format_args!(
                "record {} is in the log {} of {} records, signed by {}",
                receipt.index,
                trusted.checkpoint.origin,
                trusted.checkpoint.size,
                by.join(", ")
            ));
            Ok(())
        }
        Err(why) => {
            print::line(Style::stdout().bad(&terms::chain(&why)));
            Err(Failure::No)
        }
    }
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
