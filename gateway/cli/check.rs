//! `cloister check` and `cloister test`: everything that can be known of the files without serving.

use std::sync::Arc;

use serde_json::json;
use terms::{Clock, Finding, Findings, Severity, SystemClock};

use crate::args::{Check, Format};
use crate::asking::Asking;
use crate::failure::Failure;
use crate::load::{self, Loaded};
use crate::print::{self, Style};
use crate::settings::Vaulted;

/// Checks configuration, policies and policy tests.
pub(crate) fn check(arguments: &Check) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let outcome = load::all(&arguments.files, &clock, if arguments.vault { Asking::Vault } else { Asking::Nobody });
    if arguments.format == Format::Json {
        let findings = match &outcome {
            Ok(loaded) => loaded.policies.warnings.clone(),
            Err(findings) => findings.clone(),
        };
        print::line(as_json(findings));
        return outcome.map(|_| ()).map_err(|_| Failure::Listed);
    }
    let Loaded { settings, policies, .. } = outcome?;
    if !policies.warnings.is_empty() {
        print::findings_to(policies.warnings, Style::stderr(), print::notice);
    }
    if let Vaulted::MadeUp = settings.vault {
        print::notice("Vault was not asked for its values; --vault asks");
    }
    print::line(format_args!(
        "{}: {}, {}, {}, {}, {}, {}, {} passed",
        Style::stdout().good("ok"),
        print::counted(settings.listeners.len(), "listener"),
        print::counted(settings.issuers.len(), "issuer"),
        print::counted(settings.backends.len(), "upstream"),
        print::counted(policies.policy.routes().len(), "route"),
        print::counted(policies.policy.roles().count(), "role"),
        print::counted(policies.policy.tenants().len(), "tenant"),
        print::counted(policies.policy.run_cases().len(), "test"),
    ));
    Ok(())
}

/// Runs the tests in the policy files, and shows each.
pub(crate) fn test(arguments: &Check) -> Result<(), Failure> {
    let (_, known) = load::config(&arguments.files.config)?;
    let texts = load::texts(&arguments.files.policies)?;
    let compiled = load::compile_untested(&texts, &known)?;
    let results = compiled.policy.run_cases();
    let failed = results.iter().filter(|case| !case.passed).count();
    if arguments.format == Format::Json {
        let cases: Vec<_> = results
            .iter()
            .map(|case| {
                json!({ "place": case.place.to_string(), "title": case.title, "passed": case.passed,
                        "expected": case.expected, "got": case.got })
            })
            .collect();
        print::line(json!({ "passed": results.len() - failed, "failed": failed, "cases": cases }));
    } else {
        let style = Style::stdout();
        let rows = results.iter().map(|case| {
            let outcome =
                if case.passed { case.got.clone() } else { format!("{}, expected {}", case.got, case.expected) };
            vec![
                (if case.passed { "ok" } else { "FAILED" }).to_owned(),
                case.place.to_string(),
                case.title.clone(),
                outcome,
            ]
        });
        for (line, case) in print::table(&rows.collect::<Vec<_>>()).into_iter().zip(&results) {
            print::line(if case.passed { line } else { style.bad(&line) });
        }
        print::line(format_args!("{} passed, {failed} failed", results.len() - failed));
    }
    if failed == 0 { Ok(()) } else { Err(Failure::No) }
}

/// Logs at the start what is allowed and yet worth a look.
pub(crate) fn warn(loaded: &Loaded) {
    for finding in loaded.policies.warnings.iter() {
        tracing::warn!(place = %finding.place, help = finding.help, "{}", finding.message);
    }
}

fn as_json(findings: Findings) -> serde_json::Value {
    let finding = |finding: &Finding| {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        json!({ "file": &*finding.place.file, "line": finding.place.line, "column": finding.place.column,
                "severity": severity, "message": finding.message, "help": finding.help })
    };
    let rejected = findings.reject();
    let list: Vec<_> = findings.sorted().iter().map(finding).collect();
    json!({ "ok": !rejected, "findings": list })
}
