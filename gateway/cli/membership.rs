//! The database that says who belongs where: whether its query fits, and how it does.

use std::sync::Arc;

use admin::{Check, Standing};
use directory::{Directory, Settings, State};
use prometheus::proto::{MetricFamily, MetricType};
use terms::Clock;

use crate::background::Shutdown;
use crate::failure::Failure;
use crate::metrics::{counter, family, float, gauge};
use crate::rules::Reloader;

/// Makes the directory. A query that does not fit ends the start; a database that is not there does not: it may come.
pub(crate) fn open(settings: Settings, clock: &Arc<dyn Clock>) -> Result<Directory, Failure> {
    if settings.is_open_to_all() {
        tracing::warn!("insecure_plaintext: whoever is between here and the database says who may do what");
    }
    let directory = Directory::new(settings, Arc::clone(clock));
    // The framework's runtimes do not run yet.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::setup("the directory", &error))?;
    match runtime.block_on(directory.try_out()) {
        Err(fault) if fault.is_of_the_settings() => Err(Failure::setup("the directory", &fault)),
        Err(fault) => {
            tracing::warn!(error = terms::chain(&fault), "starting without the directory, which is asked again");
            Ok(directory)
        }
        Ok(()) => Ok(directory),
    }
}

/// Takes over the tenants whenever they are others, until `shutdown`.
pub(crate) async fn take(directory: Directory, reloader: Arc<Reloader>, shutdown: Shutdown) {
    let mut tenants = directory.tenants();
    let taking = async {
        loop {
            let rows = tenants.borrow_and_update().clone();
            if let Some(rows) = rows {
                let reloader = Arc::clone(&reloader);
                // Compiling ten thousand takes milliseconds: not on the thread that answers probes.
                if tokio::task::spawn_blocking(move || reloader.take(rows)).await.is_err() {
                    tracing::error!("taking over the tenants broke; those in force stay");
                } else {
                    directory.tenants_are_in_force();
                }
            }
            if tenants.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = shutdown => {}
        () = taking => {}
    }
}

/// Whether it can be asked.
pub(crate) fn check(directory: Directory) -> Arc<dyn Check> {
    Arc::new(Asked(directory))
}

/// It can be asked who is a member. Without it nobody gets in of whom nothing is remembered.
struct Asked(Directory);

impl Check for Asked {
    fn name(&self) -> &'static str {
        "directory"
    }

    fn check(&self) -> Standing {
        let State { connections: (up, _), hears, tenants, problem, .. } = self.0.state();
        let why = problem.unwrap_or_else(|| "no connection yet".into());
        let is_asked = up > 0 || !self.0.knows_members();
        let is_read = tenants.is_some() || !self.0.knows_tenants();
        match (is_asked && is_read, hears) {
            (false, _) => Standing::Down(format!("the directory cannot be asked: {why}")),
            (true, false) => Standing::Impaired(format!("changes in the directory are not heard: {why}")),
            (true, true) => Standing::Up,
        }
    }
}

/// What Prometheus sees of it.
pub(crate) fn metrics(state: &State) -> Vec<MetricFamily> {
    let outcomes = [
        ("remembered", state.remembered),
        ("member", state.members),
        ("stranger", state.strangers),
        ("unreadable", state.unreadable),
        ("failed", state.failed),
        ("unasked", state.unasked),
    ];
    let outcomes = outcomes.map(|(outcome, count)| (vec![("outcome", outcome)], float(count)));
    vec![
        family(
            "cloister_directory_questions_total",
            "Memberships that the directory was to be asked about, by what came of it",
            MetricType::COUNTER,
            outcomes.to_vec(),
        ),
        gauge("cloister_directory_entries", "Memberships that are remembered", state.entries as u64),
        gauge("cloister_directory_connections", "Connections to the directory that answer", state.connections.0 as u64),
        gauge("cloister_directory_hears", "Whether changes in the directory are heard", u64::from(state.hears)),
        gauge("cloister_directory_tenants", "Tenants as they were read last", state.tenants.unwrap_or(0) as u64),
        counter("cloister_directory_notices_total", "Times that something was said to have changed", state.notices),
        counter(
            "cloister_directory_failures_total",
            "Times that the directory could not be reached, or did not answer",
            state.losses,
        ),
    ]
}
