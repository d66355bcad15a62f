//! From text to [`Policy`]: every section of every file, all mistakes in one go.

mod bindings;
mod cases;
mod conditions;
mod covered;
mod limits;
mod names;
mod revoked;
mod roles;
mod routes;
mod rows;
mod services;
mod tenants;
mod words;

pub(crate) use rows::with_rows;

use std::sync::Arc;

use terms::{Finding, Findings, Severity};

use crate::Known;
use crate::file::File;
use crate::policy::Policy;

/// One file: what the user calls it, and what is in it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its path, as findings and records shall show it.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// A policy that may be used, and what is worth a look in it.
#[derive(Debug)]
pub struct Compiled {
    /// The policy.
    pub policy: Policy,
    /// Findings that do not keep it from being used.
    pub warnings: Findings,
}

/// Compiles policy files. They share their names; their order does not matter but for the order of findings.
///
/// The tests in them are compiled and not run: that is [`Policy::run_cases`].
///
/// # Errors
/// Every mistake in every file, ordered by place, warnings among them. A file that is not YAML does not hide what is
/// wrong with the others. Also if `known` holds a broken name: then there may be nothing wrong here.
pub fn compile(sources: &[Source<'_>], known: &Known) -> Result<Compiled, Findings> {
    let mut findings = Findings::default();
    let mut files = Vec::with_capacity(sources.len());
    for source in sources {
        let file: Arc<str> = source.path.into();
        let entries = yaml::parse(&file, source.text, &mut findings)
            .map(|node| File::read(&file, &node, &mut findings))
            .unwrap_or_default();
        files.push(Written { file, text: source.text, entries });
    }
    let policy = build(&files, known, &mut findings);
    let findings: Vec<Finding> = findings.sorted().into_iter().map(|finding| quote(finding, sources)).collect();
    match policy.filter(|_| findings.iter().all(|finding| finding.severity == Severity::Warning)) {
        Some(policy) => Ok(Compiled { policy, warnings: findings.into_iter().collect() }),
        None => Err(findings.into_iter().collect()),
    }
}

/// The bytes that stand for a set of files, whatever order they came in: what a digest of a policy is taken over. Each
/// path and each text is led by its length, so that no two sets of files have the same bytes.
#[must_use]
pub fn canonical_bytes(sources: &[Source<'_>]) -> Vec<u8> {
    let mut sorted = sources.to_vec();
    sorted.sort_by_key(|source| (source.path, source.text));
    let mut bytes = Vec::new();
    for part in sorted.iter().flat_map(|source| [source.path, source.text]) {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// One file as it is written.
struct Written<'t> {
    file: Arc<str>,
    text: &'t str,
    entries: File,
}

/// Nothing if some route could not be compiled; the findings then say why.
fn build(files: &[Written<'_>], known: &Known, findings: &mut Findings) -> Option<Policy> {
    let drafts = roles::read(files, known, findings);
    let (limits, plans) = limits::read(files, known, findings);
    let (tenants, members) = tenants::read(files, known, &drafts, &plans, findings);
    let arrival = limits::read_arrival(files, &limits, findings);
    let compiled = routes::read(files, known, &limits, &tenants, findings);
    let revocations = revoked::read(files, known, &tenants, findings);
    let services = services::read(files, known, &drafts, &tenants, findings);
    let cases = cases::read(files, known, &drafts, &tenants, &services, findings);
    if findings.reject() || !known.is_whole() {
        return None; // what follows would only complain about what is missing because of the mistakes above
    }
    let routes::Compiled { routes, permissions, table } = compiled;
    limits::check_use(&limits, &routes, &arrival, findings);
    let (plans, weights) = plans.into_parts();
    let (roles, own_roles) = roles::compile(&drafts, &permissions, &routes, findings);
    Some(Policy {
        table,
        routes,
        roles,
        own_roles,
        permissions,
        sources: limits.sources().to_vec(),
        limits: limits.into_values(&arrival),
        plans,
        weights,
        arrival: arrival.into_iter().map(|(place, _)| place).collect(),
        tenants,
        members,
        directory: known.directory,
        tenants_at: known.tenants,
        revocations,
        issuers: known.issuers.iter().map(|(issuer, source)| (issuer.clone(), source.clone())).collect(),
        services,
        cases,
    })
}

fn quote(finding: Finding, sources: &[Source<'_>]) -> Finding {
    match sources.iter().find(|source| *source.path == *finding.place.file) {
        Some(source) => finding.quoting(source.text),
        None => finding,
    }
}
