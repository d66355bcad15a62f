//! `cloister.yaml`: text → [`File`](file::File) → [`Settings`], which hold what each part takes.

mod compile;
mod file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ingress::{GuardSettings, ListenerSettings};
use proxy::Upstream;
use schemars::Schema;
use secrets::Environment;
use tenancy::MembershipSource;
use terms::{Findings, IssuerId, Place};
use token::IssuerSettings;

pub(crate) use file::{Level, LogFormat};

/// Where Cloister runs, checked and in the types of the parts.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listeners: Vec<ListenerSettings>,
    pub(crate) guard: GuardSettings,
    /// `None`: one per processor.
    pub(crate) workers: Option<usize>,
    pub(crate) grace: Duration,
    pub(crate) admin: std::net::SocketAddr,
    pub(crate) state: PathBuf,
    pub(crate) issuers: Vec<IssuerSettings>,
    pub(crate) members: BTreeMap<IssuerId, MembershipSource>,
    pub(crate) issuer_places: BTreeMap<IssuerId, Place>,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) assertion_issuer: assertion::Issuer,
    pub(crate) assertion_lifetime: assertion::Lifetime,
    pub(crate) audit: Audit,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: Level,
}

/// Where the audit log is.
#[derive(Debug)]
pub(crate) struct Audit {
    pub(crate) directory: PathBuf,
    pub(crate) instance: String,
}

impl Settings {
    /// Compiles the text of `cloister.yaml`.
    pub(crate) fn compile(path: &Path, text: &str, environment: &dyn Environment) -> Result<Self, Findings> {
        let file: Arc<str> = path.display().to_string().into();
        let mut findings = Findings::default();
        let settings = yaml::parse(&file, text, &mut findings).and_then(|root| {
            let written = file::File::read(&file, &root, &mut findings);
            compile::Compiler { file: &file, environment, findings: &mut findings }.compile(written)
        });
        match settings {
            Some(settings) if !findings.reject() => Ok(settings),
            Some(_) | None => Err(findings.quoting(|quoted| (*quoted == *file).then_some(text))),
        }
    }

    /// The JSON Schema of `cloister.yaml`, for editors.
    pub(crate) fn schema() -> Schema {
        schemars::schema_for!(file::File)
    }
}
