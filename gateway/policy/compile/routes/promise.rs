use terms::{Finding, Findings};

use super::Reader;
use crate::file::{AuditWord, RouteEntry};
use crate::route::{OnFailure, Promise};

impl Reader<'_> {
    /// What is promised about records. What is written and cannot be kept is an error.
    pub(super) fn promise(&self, entry: &RouteEntry, findings: &mut Findings) -> Promise {
        let word = entry.audit.as_ref().and_then(|audit| audit.0);
        let written = entry.on_audit_failure.as_ref();
        let on_failure = written.and_then(|written| written.value.0).unwrap_or_default();
        if let (Some(written), OnFailure::InsecureAllow) = (written, on_failure) {
            let message = "requests of this route may go without a record while the audit log cannot be written";
            findings.push(Finding::warning(self.place(written), message));
        }
        match (word.unwrap_or_default(), on_failure) {
            (AuditWord::Standard, on_failure) => Promise::Standard(on_failure),
            (AuditWord::Strict, OnFailure::Deny) => Promise::Strict,
            (AuditWord::Strict, OnFailure::Spill | OnFailure::InsecureAllow) => {
                if let Some(written) = written {
                    let message = "a strict route waits for its record to be on disk, so it cannot go on without one";
                    let finding = Finding::error(self.place(written), message);
                    findings.push(finding.help("take `on_audit_failure` away, or write `audit: standard`"));
                }
                Promise::Strict
            }
        }
    }
}
