//! `cloister bundle`: keys and signatures for sets of policy files.

use std::fs;
use std::path::Path;

use bundle::Manifest;
use secrets::{Secret, create_private, read_private};
use tlog::{Note, SigningKey, VerifierKey};

use crate::args::Bundle;
use crate::failure::Failure;
use crate::trusted::Pushed;
use crate::{load, print, probe, trusted};

pub(crate) fn run(command: &Bundle) -> Result<(), Failure> {
    match command {
        Bundle::Key { name, out } => key(name, out),
        Bundle::Sign { folder, key, version } => sign(folder, key, *version),
        Bundle::Push { folder, to, token } => push(folder, to, token),
        Bundle::Verify { folder, signed_by } => verify(folder, signed_by),
    }
}

/// Makes a key, and prints its public part.
fn key(name: &str, out: &Path) -> Result<(), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::setup(out.display(), error);
    let name = name.parse().map_err(|error| Failure::setup("--name", &error))?;
    let made = SigningKey::generate(name).map_err(|error| failed(&error))?;
    let text = Secret::new(made.to_text().as_bytes().to_vec());
    if !create_private(out, &text).map_err(|error| failed(&error))? {
        return Err(Failure::Setup(format!("`{}` is there already: no key is written over", out.display())));
    }
    print::line(made.verifier());
    Ok(())
}

/// Writes the note beside the files: what they are, which version, and the signature.
fn sign(folder: &Path, key: &Path, version: Option<u64>) -> Result<(), Failure> {
    let path = folder.join(bundle::FILE);
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::setup(key.display(), error);
    let text = read_private(key).map_err(|error| failed(&error))?;
    let text = str::from_utf8(text.expose()).map_err(|error| failed(&error))?;
    let key: SigningKey = text.trim_end().parse().map_err(|error| failed(&error))?;
    let before = before(&path)?;
    let next = || before.as_ref().map_or(Some(1), |before| before.version().checked_add(1));
    let Some(version) = version.or_else(next) else {
        return Err(Failure::Setup("--version: there is none left".into()));
    };
    let texts = load::texts(folder)?;
    let manifest = Manifest::of(version, trusted::named(folder, &texts));
    let manifest = manifest.map_err(|error| Failure::setup(folder.display(), &error))?;
    if before.as_ref().is_some_and(|before| before.version() >= version && *before != manifest) {
        let message = "was signed already; a version is given once, and gateways take none that is older than theirs";
        return Err(Failure::Setup(format!("--version {version}: {message}")));
    }
    let note = manifest.sign(&key).to_string();
    fs::write(&path, note).map_err(|error| Failure::broke(path.display(), &error))?;
    print::line(format_args!("{}: version {version}, {}", path.display(), print::counted(texts.len(), "file")));
    Ok(())
}

/// Sends a folder as it is: whether it is what was signed, the gateway says.
fn push(folder: &Path, to: &str, token: &Path) -> Result<(), Failure> {
    let path = folder.join(bundle::FILE);
    let note = fs::read_to_string(&path).map_err(|error| Failure::setup(path.display(), &error))?;
    let texts = load::texts(folder)?;
    let files = trusted::named(folder, &texts).map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    let body = serde_json::to_vec(&Pushed { note, files }).map_err(|error| Failure::broke(folder.display(), &error))?;
    let token = read_private(token).map_err(|error| Failure::setup(token.display(), &error))?;
    let authority = to.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let authority = authority.ok_or_else(|| Failure::Setup(format!("--to: `{to}` is not an http:// URL")))?;
    let answer = probe::put(authority, "/policies", &token, &body).map_err(|error| Failure::broke(to, &error))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => {
            print::line(body);
            Ok(())
        }
        Some(_) => {
            let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
            let findings = problem.get("findings").and_then(|it| it.as_array()).cloned().unwrap_or_default();
            let said = problem.get("detail").or_else(|| problem.get("title")).and_then(|it| it.as_str());
            for finding in findings.iter().filter_map(serde_json::Value::as_str) {
                print::notice(finding);
            }
            if findings.is_empty() {
                print::notice(said.unwrap_or(head));
            }
            Err(Failure::No)
        }
        None => Err(Failure::Broke(format!("{to} did not answer in HTTP"))),
    }
}

/// What was signed last, whoever has signed it.
fn before(path: &Path) -> Result<Option<Manifest>, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::setup(path.display(), error);
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let note: Note = text.parse().map_err(|error| failed(&error))?;
    note.text().parse().map(Some).map_err(|error| failed(&error))
}

fn verify(folder: &Path, signed_by: &[String]) -> Result<(), Failure> {
    let path = folder.join(bundle::FILE);
    let keys = signed_by.iter().map(|key| key.parse().map_err(|error| Failure::setup("--signed-by", &error)));
    let keys = keys.collect::<Result<Vec<VerifierKey>, Failure>>()?;
    let note = fs::read_to_string(&path).map_err(|error| Failure::setup(path.display(), &error))?;
    let texts = load::texts(folder)?;
    match bundle::verify(&note, keys.iter(), trusted::named(folder, &texts)) {
        Ok(verified) => {
            let by: Vec<String> = verified.by.iter().map(ToString::to_string).collect();
            let files = print::counted(texts.len(), "file");
            print::line(format_args!("version {}, {files}, signed by {}", verified.version, by.join(", ")));
            Ok(())
        }
        Err(error) => {
            print::line(print::Style::stdout().bad(&terms::chain(&error).to_string()));
            Err(Failure::No)
        }
    }
}
