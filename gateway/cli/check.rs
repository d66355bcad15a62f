//! `cloister check`: everything that can be known of the files without serving.

use std::sync::Arc;

use serde_json::json;
use terms::{Clock, Finding, Findings, Severity, SystemClock};

use crate::args::{Check, Format};
use crate::asking::Asking;
use crate::failure::Failure;
use crate::load::{self, Loaded, Policies};
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

/// Says what is worth a second look in the policy files: what each load warns of, and more.
pub(crate) fn lint(arguments: &Check) -> Result<(), Failure> {
    let (_, known) = load::config(&arguments.files.config)?;
    let texts = load::texts(&arguments.files.policies)?;
    let Policies { policy, mut warnings, .. } = load::compile_untested(&texts, &known)?;
    warnings.append(policy.lint());
    let is_clean = warnings.is_empty();
    let text_of = |file: &str| texts.iter().find(|(path, _)| path == file).map(|(_, text)| text.as_str());
    match arguments.format {
        Format::Json => print::line(as_json(warnings)),
        Format::Text => print::findings_to(warnings.quoting(text_of), Style::stdout(), print::line),
    }
    if is_clean { Ok(()) } else { Err(Failure::No) }
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
