use std::path::Path;
use std::time::{Duration, Instant};

use audit::{LogKey, Pseudonym, Reader, Row, Stored};
use ledger::{KeyFile, NoProof};
use serde_json::{Value, json};
use subjects::{About, Event, EventKind, Opened, Order, Persona};
use terms::TenantId;
use tlog::leaf_hash;

use super::archive::{Archive, sha256};
use super::receipt::{Awaited, how};
use super::{Named, nobody, open};
use crate::args::{At, Whom};
use crate::failure::Failure;
use crate::{print, which};

/// How long to wait for a checkpoint that has the last records.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);

/// What whoever gets the archive must know.
const README: &str = include_str!("README.txt");

/// The first line of what is signed. The second can never be the size of a log, so that no checkpoint is signed by it.
const SIGNED: &str = "cloister/privacy-export/v1";

/// Writes all that the log holds of a person.
pub(super) fn run(whom: &Whom, order: &Order, at: &At, out: &Path) -> Result<(), Failure> {
    let (named, (settings, mut vault)) = (Named::of(whom)?, open(at)?);
    let log = &settings.audit.directory;
    let persona = vault.find(named.person()).map_err(|error| Failure::setup("the subject vault", &error))?;
    let Some(persona) = persona else { return Err(nobody()) };
    // Before somebody is found to be a member, it goes by a keyed hash.
    let hash = LogKey::read(log).ok().map(|key| key.pseudonym(&named.issuer, &named.subject));
    let id = Reader::log_id(log).map_err(|error| Failure::setup("the log", &error))?.unwrap_or_default();
    let keys = KeyFile::of(&settings.state, id).read().map_err(|error| Failure::setup("the log's key", &error))?;
    let key = keys.signing();

    let wrote = |error: &std::io::Error| Failure::broke(out.display(), error);
    let mut archive = Archive::create(out, order.done).map_err(|error| Failure::setup(out.display(), &error))?;
    archive.put("README.txt", README.as_bytes()).map_err(|error| wrote(&error))?;
    let policy = keys.verifiers().map(|key| format!("log {key}\n")).collect::<String>() + "quorum none\n";
    archive.put("trust.policy", policy.as_bytes()).map_err(|error| wrote(&error))?;
    let (mut records, mut sealed, mut personal) = (0_u64, 0_u64, String::new());
    let mut ends = None;
    for stored in Reader::open(log).map_err(|error| Failure::setup("the log", &error))? {
        let stored = stored.map_err(|error| Failure::broke("the log", &error))?;
        let Ok(row) = stored.row() else { continue };
        if !is_of(&row, &named.tenant, &persona, hash.as_ref()) {
            continue;
        }
        let proof = proof(log, &stored)?;
        archive.put(&format!("records/{}.json", stored.index), &stored.json).map_err(|error| wrote(&error))?;
        archive.put(&format!("proofs/{}.tlog-proof", stored.index), proof.as_bytes()).map_err(|error| wrote(&error))?;
        match opened(&row, &persona, &named.tenant) {
            Some(Ok(opened)) => {
                let line = json!({
                    "index": stored.index, "id": row.id, "time": row.time,
                    "client_ip": opened.client, "user_agent": opened.user_agent,
                });
                personal.push_str(&format!("{line}\n"));
            }
            Some(Err(())) => sealed += 1,
            None => {}
        }
        records += 1;
        ends = Some((ends.map_or(stored.index, |(first, _)| first), stored.index));
    }
    archive.put("personal.jsonl", personal.as_bytes()).map_err(|error| wrote(&error))?;
    let manifest = json!({
        "format": SIGNED, "made": which::time(order.done), "tenant": named.tenant.as_str(),
        "issuer": named.issuer.as_str(), "subject": named.subject.as_str(), "sub": persona.surrogate().as_str(),
        "hash": hash.as_ref().map(Pseudonym::as_str), "log": key.verifier().name().to_string(),
        "records": records, "first": ends.map(|(first, _)| first), "last": ends.map(|(_, last)| last),
        "sealed_with_another_key": sealed, "files": archive.files(),
    });
    let digest = finish(archive, &manifest, |text| key.sign(text).to_string()).map_err(|error| wrote(&error))?;

    let mut awaited = Awaited::from_now(log);
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
    let index = awaited.record(EventKind::Exported, Some(surrogate.as_str()), order)?;
    print::line(format_args!(
        "`{}` has {records} records of `{surrogate}`. It is not sealed: look after it.",
        out.display()
    ));
    if sealed > 0 {
        print::line(format_args!("{sealed} of them have something that was sealed with a key that is gone."));
    }
    print::line(how(index));
    Ok(())
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
