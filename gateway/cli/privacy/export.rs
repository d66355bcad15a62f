use std::path::Path;
use std::time::{Duration, Instant};

use audit::{LogKey, Pseudonym, Reader, Row, Stored};
use ledger::{KeyFile, Keys, NoProof};
use serde_json::{Value, json};
use subjects::{About, Event, EventKind, Opened, Order, Persona};
use terms::TenantId;
use tlog::leaf_hash;

use super::archive::{Archive, sha256};
use super::receipt::{Awaited, how};
use super::{Named, nobody, open};
use crate::args::{At, Whom};
use crate::failure::Failure;
use crate::logs::{self, Found};
use crate::{print, which};

/// How long to wait for a checkpoint that has the last records.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);

/// What whoever gets the archive must know.
const README: &str = include_str!("README.txt");

/// The first line of what is signed. The second can never be the size of a log, so that no checkpoint is signed by it.
const SIGNED: &str = "cloister/privacy-export/v1";

/// Writes all that the logs hold of a person.
pub(super) fn run(whom: &Whom, order: &Order, at: &At, out: &Path) -> Result<(), Failure> {
    let (named, (settings, mut vault)) = (Named::of(whom)?, open(at)?);
    let directory = &settings.audit.directory;
    let persona = vault.find(named.person()).map_err(|error| Failure::setup("the subject vault", &error))?;
    let Some(persona) = persona else { return Err(nobody()) };
    let logs = logs::on_disk(directory).map_err(|error| Failure::setup(directory.display(), &error))?;
    let open = |found| OfLog::open(found, &settings.state, &named);
    let logs = logs.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let Some((first, others)) = logs.split_first() else { return Err(nobody()) };

    let wrote = |error: &std::io::Error| Failure::broke(out.display(), error);
    let mut archive = Archive::create(out, order.done).map_err(|error| Failure::setup(out.display(), &error))?;
    archive.put("README.txt", README.as_bytes()).map_err(|error| wrote(&error))?;
    let keys: String = logs.iter().flat_map(|log| log.keys.verifiers()).map(|key| format!("log {key}\n")).collect();
    archive.put("trust.policy", format!("{keys}quorum none\n").as_bytes()).map_err(|error| wrote(&error))?;
    let mut personal = String::new();
    let mut put = |log: &OfLog, below: &str| put(log, below, &named, &persona, &mut archive, &mut personal, out);
    let of_first = put(first, "")?;
    let mut of_others = Vec::new();
    for log in others {
        of_others.push((log, put(log, &format!("{}/", log.found.class))?));
    }
    archive.put("personal.jsonl", personal.as_bytes()).map_err(|error| wrote(&error))?;
    let all = || [&of_first].into_iter().chain(of_others.iter().map(|(_, put)| put));
    let (records, sealed) = (all().map(|put| put.records).sum::<u64>(), all().map(|put| put.sealed).sum::<u64>());
    let mut manifest = json!({
        "format": SIGNED, "made": which::time(order.done), "tenant": named.tenant.as_str(),
        "issuer": named.issuer.as_str(), "subject": named.subject.as_str(), "sub": persona.surrogate().as_str(),
        "hash": first.hash.as_ref().map(Pseudonym::as_str), "log": first.keys.signing().verifier().name().to_string(),
        "records": of_first.records, "first": of_first.ends.map(|(first, _)| first),
        "last": of_first.ends.map(|(_, last)| last), "sealed_with_another_key": of_first.sealed,
        "files": archive.files(),
    });
    let others = of_others.iter().map(|(log, put)| {
        json!({
            "class": log.found.class, "hash": log.hash.as_ref().map(Pseudonym::as_str),
            "log": log.keys.signing().verifier().name().to_string(), "records": put.records,
            "first": put.ends.map(|(first, _)| first), "last": put.ends.map(|(_, last)| last),
            "sealed_with_another_key": put.sealed,
        })
    });
    let others: Vec<Value> = others.collect();
    if let Some(fields) = manifest.as_object_mut().filter(|_| !others.is_empty()) {
        fields.insert("other_logs".to_owned(), others.into());
    }
    let digest = finish(archive, &manifest, |text| first.keys.signing().sign(text).to_string())
        .map_err(|error| wrote(&error))?;

    let mut awaited = Awaited::from_now(directory);
    let (tenant, surrogate) = (Some(named.tenant.clone()), persona.surrogate());
    let event = Event {
        kind: EventKind::Exported,
        tenant,
        surrogate: Some(surrogate),
        key: None,
        count: Some(records),
        hold: None,
        sha256: Some(digest),
        order: order.clone(),
    };
    if let Err(error) = vault.note(&event) {
        drop(std::fs::remove_file(out)); // nothing is handed out that is not on record
        return Err(Failure::broke("that it is handed out cannot be put on record", &error));
    }
    let record = awaited.record(EventKind::Exported, Some(surrogate.as_str()), order)?;
    print::line(format_args!(
        "`{}` has {records} records of `{surrogate}`. It is not sealed: look after it.",
        out.display()
    ));
    if sealed > 0 {
        print::line(format_args!("{sealed} of them have something that was sealed with a key that is gone."));
    }
    print::line(how(record.as_ref()));
    Ok(())
}

/// One of the logs.
struct OfLog {
    found: Found,
    keys: Keys,
    /// Before somebody is found to be a member, it goes by a keyed hash, which each log has of its own.
    hash: Option<Pseudonym>,
}

impl OfLog {
    fn open(found: Found, state: &Path, named: &Named) -> Result<Self, Failure> {
        let log = &found.directory;
        let hash = LogKey::read(log).ok().map(|key| key.pseudonym(&named.issuer, &named.subject));
        let id = Reader::log_id(log).map_err(|error| Failure::setup("the log", &error))?.unwrap_or_default();
        let keys = KeyFile::of(state, id).read().map_err(|error| Failure::setup("the log's key", &error))?;
        Ok(Self { found, keys, hash })
    }
}

/// What was put into the archive of one log.
#[derive(Default)]
struct Put {
    records: u64,
    sealed: u64,
    ends: Option<(u64, u64)>,
}

/// Puts in what a log has of the person, and what proves it.
fn put(
    log: &OfLog,
    below: &str,
    named: &Named,
    persona: &Persona,
    archive: &mut Archive,
    personal: &mut String,
    out: &Path,
) -> Result<Put, Failure> {
    let wrote = |error: &std::io::Error| Failure::broke(out.display(), error);
    let (directory, mut put) = (&log.found.directory, Put::default());
    for stored in Reader::open(directory).map_err(|error| Failure::setup("the log", &error))? {
        let stored = stored.map_err(|error| Failure::broke("the log", &error))?;
        let Ok(row) = stored.row() else { continue };
        if !is_of(&row, &named.tenant, persona, log.hash.as_ref()) {
            continue;
        }
        let (index, proof) = (stored.index, proof(directory, &stored)?);
        archive.put(&format!("records/{below}{index}.json"), &stored.json).map_err(|error| wrote(&error))?;
        archive.put(&format!("proofs/{below}{index}.tlog-proof"), proof.as_bytes()).map_err(|error| wrote(&error))?;
        match opened(&row, persona, &named.tenant) {
            Some(Ok(opened)) => {
                let mut line = json!({
                    "index": index, "id": row.id, "time": row.time,
                    "client_ip": opened.client, "user_agent": opened.user_agent,
                });
                if let (Some(fields), Some(text)) = (line.as_object_mut(), opened.justification) {
                    fields.insert("justification".to_owned(), text.into());
                }
                if let Some(fields) = line.as_object_mut().filter(|_| !below.is_empty()) {
                    fields.insert("class".to_owned(), log.found.class.as_str().into());
                }
                personal.push_str(&format!("{line}\n"));
            }
            Some(Err(())) => put.sealed += 1,
            None => {}
        }
        put.records += 1;
        put.ends = Some((put.ends.map_or(index, |(first, _)| first), index));
    }
    Ok(put)
}

/// Whether a record is about the person.
fn is_of(row: &Row<'_>, tenant: &TenantId, persona: &Persona, hash: Option<&Pseudonym>) -> bool {
    let Some(sub) = row.sub else { return false };
    sub == persona.surrogate().as_str()
        // What concerns other tenants is for those to hand out.
        || hash.is_some_and(|hash| hash.as_str() == sub) && row.tenant.is_none_or(|named| named == tenant.as_str())
}

/// What is personal in a record, if anything is; an error, if it does not open.
fn opened(row: &Row<'_>, persona: &Persona, tenant: &TenantId) -> Option<Result<Opened, ()>> {
    row.pii?;
    let open = || {
        let (key, sealed) = row.personal()?;
        persona.open(&sealed, About { id: row.request_id()?, tenant }).ok().filter(|_| key == persona.key_id())
    };
    Some(open().ok_or(()))
}

/// The receipt of a record, by a checkpoint that comes within seconds.
fn proof(log: &Path, stored: &Stored) -> Result<String, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ledger::prove(log, stored.index, leaf_hash(&stored.json)) {
            Ok(receipt) => return Ok(receipt.to_string()),
            Err(NoProof::Later { .. } | NoProof::None) if Instant::now() < deadline => std::thread::sleep(LOOK),
            Err(error) => return Err(Failure::setup("there is no proof", &error)),
        }
    }
}

/// Puts the manifest in, and what signs it. Gives its digest.
fn finish(mut archive: Archive, manifest: &Value, sign: impl Fn(&str) -> String) -> std::io::Result<String> {
    let text = serde_json::to_string_pretty(manifest).map_err(std::io::Error::other)? + "\n";
    let digest = sha256(text.as_bytes());
    archive.put("manifest.json", text.as_bytes())?;
    archive.put("manifest.note", sign(&format!("{SIGNED}\nsha256 {digest}\n")).as_bytes())?;
    archive.finish()?;
    Ok(digest)
}
