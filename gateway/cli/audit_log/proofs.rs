//! `cloister audit checkpoint|trust|proof`: what others verify the logs by.

use std::fs;
use std::path::{Path, PathBuf};

use audit::{Reader, Stored};
use ledger::{Folder, KeyChanges, KeyFile, NoProof};
use tlog::{Receipt, TrustPolicy, leaf_hash};

use super::on_record::{self, Use};
use crate::args::{Log, Proof};
use crate::cosigning::Witnesses;
use crate::failure::Failure;
use crate::load;
use crate::logs::Found;
use crate::print::{self, Style};
use crate::settings::Settings;

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
pub(super) fn own_policy(
    state: &Path,
    directory: &Path,
    witnesses: Option<&Witnesses>,
) -> Result<Option<String>, Failure> {
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

/// The same for all logs of a gateway: a line for each of them, and the witnesses that they have in common.
fn own_policies(settings: &Settings) -> Result<Option<String>, Failure> {
    let found = crate::logs::on_disk(&settings.audit.directory);
    let found = found.map_err(|error| Failure::setup(settings.audit.directory.display(), &error))?;
    let (mut logs, mut rest) = (String::new(), None);
    for found in found {
        let policy = own_policy(&settings.state, &found.directory, settings.audit.witnesses.as_ref())?;
        let Some(policy) = policy else { continue };
        let (of_log, others): (Vec<_>, Vec<_>) = policy.lines().partition(|line| line.starts_with("log "));
        of_log.iter().for_each(|line| logs += &format!("{line}\n"));
        rest = Some(others.iter().map(|line| format!("{line}\n")).collect::<String>());
    }
    Ok(rest.map(|rest| logs + &rest))
}

pub(super) fn trust(config: &Path) -> Result<(), Failure> {
    let (settings, _) = load::config(config)?;
    let policy = own_policies(&settings)?;
    let missing = || {
        let state = settings.state.display();
        Failure::Setup(format!(
            "`{state}` has no key for this log: no gateway has signed for it with this state folder"
        ))
    };
    print::line(policy.ok_or_else(missing)?.trim_end());
    Ok(())
}

pub(super) fn checkpoint(logs: &[Found]) -> Result<(), Failure> {
    logs.iter().try_for_each(|found| {
        super::heading(logs, found);
        checkpoint_of(&found.directory)
    })
}

fn checkpoint_of(directory: &Path) -> Result<(), Failure> {
    let folder = Folder::of(directory);
    let note = folder.checkpoint().map_err(|error| Failure::setup(folder.checkpoint_path().display(), &error))?;
    let note = note.ok_or_else(|| Failure::Setup(format!("`{}` has no checkpoint yet", directory.display())))?;
    print::line(note.to_string().trim_end());
    Ok(())
}

pub(super) fn proof(arguments: &Proof) -> Result<(), Failure> {
    let Proof { log, id, index, out } = arguments;
    let logs = super::logs(log)?;
    if index.is_some() && logs.len() > 1 {
        return Err(Failure::Setup("--index: there are several logs; say --class, too".into()));
    }
    let mut found = None;
    for log in &logs {
        found = find(&log.directory, id.as_deref(), *index)?.map(|stored| (log.directory.clone(), stored));
        if found.is_some() {
            break;
        }
    }
    let (directory, stored) = found.ok_or_else(|| Failure::Setup("the log has no such record".to_owned()))?;
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

fn find(directory: &Path, id: Option<&str>, index: Option<u64>) -> Result<Option<Stored>, Failure> {
    let failed = |error| Failure::setup("the log", &error);
    let reader = Reader::from(directory, index.unwrap_or(0)).map_err(failed)?;
    for stored in reader {
        let stored = stored.map_err(|error| Failure::broke("the log", &error))?;
        let is_wanted = match (id, index) {
            (Some(id), _) => stored.row().is_ok_and(|row| row.id == Some(id) && row.stage == Some("final")),
            (None, index) => index == Some(stored.index),
        };
        if is_wanted {
            return Ok(Some(stored));
        }
        if index.is_some_and(|index| stored.index >= index) {
            break;
        }
    }
    Ok(None)
}

/// The policy, and the keys that those which it names have vouched for, as receipts in `keys` in this folder show.
pub(crate) fn following(folder: &Path, policy: TrustPolicy) -> Result<TrustPolicy, Failure> {
    let keys = folder.join("keys");
    let changes = KeyChanges::read(&keys).map_err(|error| Failure::setup(keys.display(), &error))?;
    Ok(changes.follow(policy))
}

pub(super) fn verify_proof(proof: &Path, record: &Path, policy: TrustPolicy) -> Result<(), Failure> {
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
