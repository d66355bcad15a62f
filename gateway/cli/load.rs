//! Files from disk, compiled.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bundle::Verified;
use certificate::Authority;
use ingress::TlsError;
use policy::{Compiled, Known, Policy, Source};
use secrets::ProcessEnvironment;
use terms::{Clock, Finding, Findings, IssuerId, Place};
use token::{SettingsError, Verifier};

use crate::args::Files;
use crate::asking::Asking;
use crate::rules;
use crate::settings::{AuthorityFiles, Certificate, Reading, Settings};
use crate::trusted::Trust;

/// How many verified tokens are remembered.
const TOKENS: usize = 100_000;

/// `cloister.yaml` and the policy files, compiled and fitting together.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    pub(crate) known: Known,
    pub(crate) tokens: Verifier,
    pub(crate) config_digest: [u8; 32],
    pub(crate) policies: Policies,
}

/// The policy files, compiled.
#[derive(Debug)]
pub(crate) struct Policies {
    pub(crate) policy: Policy,
    pub(crate) warnings: Findings,
    pub(crate) digest: [u8; 32],
    /// The bundle that they are, where they must be one.
    pub(crate) signed: Option<Verified>,
}

/// Loads all that a gateway runs on. All findings of all files come at once: what is wrong in one does not hide another.
pub(crate) fn all(files: &Files, clock: &Arc<dyn Clock>, asking: Asking) -> Result<Loaded, Findings> {
    provider();
    let mut findings = Findings::default();
    let text = kept(read(&files.config), &mut findings);
    let reading = match &text {
        Some(text) => Reading::of(&files.config, text, &ProcessEnvironment, asking),
        None => Reading::nothing(Findings::default()),
    };
    let Reading { settings, known, certificates, authorities } = reading;
    let settings = kept(settings, &mut findings);
    findings.append(unfit(&certificates));
    if let Err(unreadable) = crate::roots::of_the_system() {
        let help = "install ca-certificates, or name a bundle in SSL_CERT_FILE";
        findings.push(Finding::error(place(&files.config), terms::chain(&unreadable)).help(help));
    }
    findings.append(unfit_authorities(&authorities));
    let tokens = settings.as_ref().and_then(|it| kept(verifier(it, &files.config, clock), &mut findings));
    let trust = settings.as_ref().and_then(|settings| settings.trust.as_ref());
    let policies = kept(policies(&files.policies, &known, trust), &mut findings);
    match (text, settings, tokens, policies) {
        (Some(text), Some(settings), Some(tokens), Some(policies)) if !findings.reject() => {
            Ok(Loaded { settings, known, tokens, config_digest: sha256(text.as_bytes()), policies })
        }
        (text, _, _, policies) => {
            findings.append(policies.map_or_else(Findings::default, |policies| policies.warnings));
            let config = files.config.display().to_string();
            Err(findings.quoting(|file| text.as_deref().filter(|_| file == config)))
        }
    }
}

fn kept<T>(outcome: Result<T, Findings>, findings: &mut Findings) -> Option<T> {
    outcome.map_err(|more| findings.append(more)).ok()
}

/// What keeps the listeners from being served with their certificates, each told where its file is named.
fn unfit(certificates: &[Certificate]) -> Findings {
    let finding = |named: &Certificate, fault: &TlsError| {
        let is_ocsp = named.files.ocsp.as_deref() == Some(fault.file());
        let place = match (is_ocsp, &named.ocsp) {
            (true, Some(ocsp)) => ocsp,
            (true, None) | (false, _) if fault.file() == named.files.key => &named.key,
            (true, None) | (false, _) => &named.certificate,
        };
        Finding::error(place.clone(), terms::chain(fault))
    };
    let faults = certificates.iter().flat_map(|named| named.files.faults().into_iter().map(move |it| (named, it)));
    faults.map(|(named, fault)| finding(named, &fault)).collect()
}

/// What keeps authorities from being asked, each told where its file is named.
fn unfit_authorities(authorities: &[AuthorityFiles]) -> Findings {
    let fault = |named: &AuthorityFiles| {
        let fault = Authority::open(&named.settings).err()?;
        let is_crl = named.settings.crl.as_deref() == Some(fault.file());
        let place = named.crl.as_ref().filter(|_| is_crl).unwrap_or(&named.ca);
        Some(Finding::error(place.clone(), terms::chain(&fault)))
    };
    authorities.iter().filter_map(fault).collect()
}

/// What verifies tokens. Its faults are those of single issuers, so each is told at the place of its issuer.
fn verifier(settings: &Settings, config: &Path, clock: &Arc<dyn Clock>) -> Result<Verifier, Findings> {
    Verifier::new(settings.issuers.clone(), Arc::clone(clock), TOKENS).map_err(|SettingsError { faults }| {
        let place = |id: Option<&IssuerId>| id.and_then(|id| settings.issuer_places.get(id)).cloned();
        let finding = |(id, unfit): (Option<IssuerId>, token::Unfit)| {
            Finding::error(place(id.as_ref()).unwrap_or_else(|| self::place(config)), terms::chain(&unfit))
        };
        faults.into_iter().map(finding).collect()
    })
}

/// Makes ring the cryptography of TLS. Two are linked, so rustls wants to be told which.
fn provider() {
    // A second start in one process (the demo) finds it in place already.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Loads `cloister.yaml`, with the names in it that policies may refer to.
/// Vault is not asked: most commands need none of its values.
pub(crate) fn config(path: &Path) -> Result<(Settings, Known), Findings> {
    config_with(path, Asking::Nobody)
}

/// The same, and perhaps with the values of Vault.
pub(crate) fn config_with(path: &Path, asking: Asking) -> Result<(Settings, Known), Findings> {
    provider();
    let Reading { settings, known, .. } = Reading::of(path, &read(path)?, &ProcessEnvironment, asking);
    Ok((settings?, known))
}

/// Loads every `*.yaml` below a folder, and runs the tests in them. They must be signed, if somebody has to have signed them.
pub(crate) fn policies(folder: &Path, known: &Known, trust: Option<&Trust>) -> Result<Policies, Findings> {
    let (texts, signed) = match trust {
        None => (texts(folder)?, None),
        Some(trust) => {
            let (texts, signed) = newest(folder, trust)?;
            (texts, Some(signed))
        }
    };
    tested(&texts, signed, known)
}

/// Compiles policy files and runs the tests in them.
pub(crate) fn tested(
    texts: &[(String, String)],
    signed: Option<Verified>,
    known: &Known,
) -> Result<Policies, Findings> {
    let policies = Policies { signed, ..compile_untested(texts, known)? };
    let failed = failed_cases(&policies.policy);
    if failed.is_empty() {
        return Ok(policies);
    }
    let text_of = |file: &str| texts.iter().find(|(path, _)| path == file).map(|(_, text)| text.as_str());
    Err(failed.quoting(text_of))
}

/// Of what lies in the folder and what was pushed, that which was signed for later. What lies in the folder may be in the middle
/// of being replaced, so it is looked at twice before it is refused.
fn newest(folder: &Path, trust: &Trust) -> Result<(Vec<(String, String)>, Verified), Findings> {
    let look = || {
        let texts = texts(folder)?;
        let signed = trust.check(folder, &texts)?;
        Ok((texts, signed))
    };
    let in_folder = look().or_else(|_: Findings| {
        std::thread::sleep(PAUSE);
        look()
    });
    let Some(pushed) = trust.pushed()? else { return in_folder };
    match (in_folder, trust.check_pushed(&pushed)) {
        (Ok(in_folder), Ok(signed)) if in_folder.1.version > signed.version => Ok(in_folder),
        (in_folder, Ok(signed)) => {
            if let Err(findings) = in_folder {
                let why = findings.iter().next().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(pushed.version = signed.version, "what was pushed counts, and not the folder: {why}");
            }
            Ok((pushed.texts(), signed))
        }
        (in_folder, Err(_)) => in_folder, // it is older than what was in force since, or its key counts no more
    }
}

/// How long somebody may take to put a note and its files in place.
const PAUSE: Duration = Duration::from_millis(300);

/// Reads every `*.yaml` below a folder: its path, and its text.
pub(crate) fn texts(folder: &Path) -> Result<Vec<(String, String)>, Findings> {
    paths(folder)?.iter().map(|path| Ok((path.display().to_string(), read(path)?))).collect()
}

/// Every `*.yaml` below a folder.
pub(crate) fn paths(folder: &Path) -> Result<Vec<PathBuf>, Findings> {
    let mut paths = Vec::new();
    collect(folder, &mut paths)?;
    if paths.is_empty() {
        let finding = Finding::error(place(folder), "there is no policy file here");
        return Err(finding.help("a folder with files that end in `.yaml`").into());
    }
    paths.sort();
    Ok(paths)
}

/// Compiles policy files without running their tests.
pub(crate) fn compile_untested(texts: &[(String, String)], known: &Known) -> Result<Policies, Findings> {
    let sources: Vec<Source<'_>> = texts.iter().map(|(path, text)| Source { path, text }).collect();
    let Compiled { policy, warnings } = policy::compile(&sources, known)?;
    let text_of = |file: &str| sources.iter().find(|source| source.path == file).map(|source| source.text);
    rules::keepable(&policy, known.counting).map_err(|findings| findings.quoting(text_of))?;
    Ok(Policies { policy, warnings, digest: sha256(&policy::canonical_bytes(&sources)), signed: None })
}

/// The tests in the policy files that do not hold, as findings: files whose tests fail are not used.
fn failed_cases(policy: &Policy) -> Findings {
    let failed = policy.run_cases().into_iter().filter(|case| !case.passed);
    failed
        .map(|case| {
            let message =
                format!("policy test failed: {}: expected `{}`, got `{}`", case.title, case.expected, case.got);
            Finding::error(case.place, message).help("`cloister explain` says which rules were asked")
        })
        .collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Findings> {
    let unreadable =
        |error: std::io::Error| Findings::from(Finding::error(place(folder), format!("cannot be read: {error}")));
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            continue; // what editors and Kubernetes leave beside the files
        }
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            paths.push(path);
        }
    }
    Ok(())
}

pub(crate) fn read(path: &Path) -> Result<String, Findings> {
    fs::read_to_string(path).map_err(|error| {
        let kind = error.kind();
        let help = if kind == std::io::ErrorKind::NotFound {
            "is the path right? `cloister help` names the defaults"
        } else if kind == std::io::ErrorKind::InvalidData {
            "save it as UTF-8"
        } else {
            "the user that cloister runs as must be able to read it"
        };
        Finding::error(place(path), format!("cannot be read: {error}")).help(help).into()
    })
}

fn place(path: &Path) -> Place {
    Place::file(&path.display().to_string())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}
