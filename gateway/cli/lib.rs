//! The program: what can be typed, and how the parts are put together for it.
//!
//! *What it decides:* nothing about requests. It reads the command line and the files, takes clock, environment and
//! sockets from the world and gives them to the parts, and lists every task that runs in the background (`serve.rs`).
//!
//! *What it must never do:* accept a setting and ignore it; start with a file that has a mistake; print a secret.
//!
//! *Who gives it what:* the user. `main.rs` calls [`run`] and ends with its exit code.
//!
//! *How to add a command:* a variant in `args.rs` with a help text, a module with one function, a line in [`run`]. *How
//! to add a setting:* a field in `settings/file.rs` with a doc comment (it becomes the schema), its use in
//! `settings/compile.rs`, a line with its reason in `config/cloister.yaml`.
#![forbid(unsafe_code)]

mod activation;
mod api_keys;
mod args;
mod asking;
mod audit_log;
mod audit_uses;
mod backend_events;
mod background;
mod bundles;
mod check;
mod cosigning;
mod counting;
mod delivering;
mod demonstrate;
mod derived;
mod desk;
mod diff;
mod drain;
mod explain;
mod failure;
mod following;
mod format;
mod front;
mod hangup;
mod hearing;
mod indexing;
mod keys;
mod known_keys;
mod life;
mod load;
mod log_fault;
mod log_keys;
mod log_work;
mod logs;
mod membership;
mod metrics;
mod notify;
mod operator;
mod origin;
mod persons;
mod print;
mod privacy;
mod probe;
mod publishing;
mod quotas;
mod ready;
mod recheck;
mod reckoning;
mod renew;
mod retaining;
mod revocations;
mod revoking;
mod roots;
mod rules;
mod scrubbing;
mod serve;
mod settings;
mod signing;
mod tasks;
mod telemetry;
mod tests_of_policies;
mod trusted;
mod upgrade;
mod watch_files;
mod watch_store;
mod watchdog;
mod which;
mod witness;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory as _, Parser as _};
use terms::{Clock, SystemClock};

use crate::args::{Arguments, Command, Run, SchemaOf};
use crate::asking::Asking;
use crate::failure::Failure;
use crate::origin::Origin;

/// Runs the command that was typed.
#[must_use]
pub fn run() -> ExitCode {
    match dispatch(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let code = failure.exit_code();
            print::failure(failure);
            code
        }
    }
}

fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::ApiKey(command) => api_keys::run(&command, &SystemClock),
        Command::Audit(command) => audit_log::run(command),
        Command::Bundle(command) => bundles::run(&command),
        Command::Fmt(arguments) => format::run(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "cloister", &mut std::io::stdout());
            Ok(())
        }
        Command::Demo(arguments) => demonstrate::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments, &SystemClock),
        Command::Keys(command) => keys::run(command),
        Command::Lint(arguments) => check::lint(&arguments),
        Command::Privacy(command) => privacy::run(&command, &SystemClock),
        Command::Probe { url } => probe::run(&url),
        Command::Run(Run { files, upgrade }) => {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let loaded = load::all(&files, &clock, Asking::Vault)?;
            telemetry::start(loaded.settings.log_format, loaded.settings.log_level);
            check::warn(&loaded);
            let origin = if upgrade { Origin::upgrade(&loaded.settings.state)? } else { Origin::start()? };
            serve::Gateway::assemble(loaded, &files.policies, clock, origin)?.serve(Vec::new())
        }
        Command::Replay(arguments) => audit_log::replay(&arguments),
        Command::Revocations(command) => revocations::run(&command, &SystemClock),
        Command::Schema { of } => schema(of),
        Command::Test(arguments) => tests_of_policies::run(&arguments),
        Command::Witness(command) => witness::run(&command),
    }
}

fn schema(of: SchemaOf) -> Result<(), Failure> {
    let schema = match of {
        SchemaOf::Config => serde_json::to_value(settings::Settings::schema()),
        SchemaOf::Policy => Ok(policy::schema()),
        SchemaOf::Record => serde_json::from_str(audit::record_schema()),
        SchemaOf::Report => serde_json::to_value(audit_log::report_schema()),
    };
    let text = schema.and_then(|schema| serde_json::to_string_pretty(&schema));
    print::line(text.map_err(|error| Failure::broke("the schema", &error))?);
    Ok(())
}
