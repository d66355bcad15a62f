//! Puts the parts together and runs them. Every background task there is stands in [`tasks`].

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use admin::Admin;
use assertion::{Keyring, Minter};
use audit::{Committer, Files, Journal, Note};
use canonical::Bounds;
use gate::Gate;
use ingress::{Ingress, ListenerSettings, Listeners};
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use pingora::services::background::background_service;
use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use proxy::{Application, Backends, Metrics, Proxy, Recorder};
use terms::{Clock, Live};
use token::Verifier;
use tokio::sync::watch;

use crate::background::{Background, Task};
use crate::drain::Drain;
use crate::failure::Failure;
use crate::front::Front;
use crate::load::Loaded;
use crate::metrics::Parts;
use crate::rules::{self, Reloader};
use crate::settings::Settings;
use crate::{ready, watch_files};

/// The version of the program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The longest path and the longest query that are looked at, in bytes.
const PATH: usize = 4 << 10;
const QUERY: usize = 8 << 10;

/// How long the journal may take to bring its last records to disk.
const LAST_COMMIT: Duration = Duration::from_secs(10);

/// A gateway whose parts are made and whose sockets are bound, not yet serving.
pub(crate) struct Gateway {
    server: Server,
    tasks: Vec<Task>,
    front: Front,
    journal: Arc<Journal>,
    committer: Committer,
    grace: Duration,
}

impl Gateway {
    /// Makes every part and binds every socket, so that whatever is wrong is said before the first request. `policies` is
    /// where the policies are read from again when they change.
    pub(crate) fn assemble(loaded: Loaded, policies: &Path, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let Loaded { settings, known, tokens, config_digest, policies: compiled } = loaded;
        let Settings {
            listeners,
            guard,
            workers,
            grace,
            admin,
            state,
            backends,
            response,
            assertion_issuer,
            assertion_lifetime,
            audit,
            ..
        } = settings;
        let (tokens, registry, digest) = (Arc::new(tokens), Registry::new(), compiled.digest);

        let (journal, committer) =
            Journal::open(audit::Settings::new(audit.directory, audit.instance), Arc::clone(&clock))
                .map_err(|error| Failure::setup("the audit log cannot be opened", &error))?;
        for (what, new) in [(Files::Config, config_digest), (Files::Policy, digest)] {
            let note = Note::Changed { what, old: None, new: new.into() };
            journal.note(&note).map_err(|error| Failure::setup("the start cannot be recorded", &error))?;
        }
        let rules = Arc::new(Live::new(rules::first(compiled).map_err(Failure::Setup)?));
        let reloader = Reloader {
            folder: policies.to_path_buf(),
            known,
            rules: Arc::clone(&rules),
            journal: Arc::clone(&journal),
            outcomes: reloads(&registry)?,
            info: info(&registry, "cloister_policy_info", "The version of the policies in force", "digest")?,
        };
        reloader.show(digest.into());
        info(&registry, "cloister_build_info", "The version of the program", "version")?
            .with_label_values(&[VERSION])
            .set(1);

        let keyring = Arc::new(keyring(&state, &*clock)?);
        let minter = Minter::new(assertion_issuer, assertion_lifetime, Arc::clone(&keyring), Arc::clone(&clock));
        let request_metrics = Metrics::register(&registry).map_err(|error| Failure::setup("metrics", &error))?;
        let bounds =
            Bounds { path_bytes: PATH, query_bytes: QUERY, fields: guard.fields, head_bytes: guard.head_bytes };
        let gate = Gate::new(rules, Arc::clone(&tokens), Arc::clone(&journal));
        let proxy = Arc::new(Proxy::new(
            gate,
            Backends::new(backends),
            minter,
            request_metrics,
            bounds,
            response,
            Arc::clone(&clock),
        ));

        let sockets = Listeners::bind(&listeners, clock).map_err(|error| Failure::setup("cannot listen", &error))?;
        announce(&listeners, &sockets)?;
        let server = server(workers.unwrap_or_else(processors));
        let application = Application::new(Arc::clone(&proxy), &server.configuration, ingress::h2_options(&guard));
        let ingress = Ingress::new(sockets, Arc::new(application), guard, Arc::new(Recorder::new(proxy)));
        let readiness = ready::checks(&tokens, &journal);
        let parts = Parts {
            tokens: Arc::clone(&tokens),
            journal: Arc::clone(&journal),
            ingress: ingress.counters(),
            readiness: readiness.clone(),
        };
        parts.register(&registry).map_err(|error| Failure::setup("metrics", &error))?;
        let admin = Admin {
            registry,
            refresh: Vec::new(),
            readiness,
            jwks: Arc::new(move || keyring.jwks().to_owned()),
            version: VERSION,
        }
        .bind(admin)
        .map_err(|error| Failure::setup("cannot listen", &error))?;
        tracing::info!(listener = "admin", address = %admin.address(), "listening");
        let tasks = tasks(admin, tokens, Arc::new(reloader));
        Ok(Self { server, tasks, front: Front::new(ingress), journal, committer, grace })
    }

    /// To make it end as SIGTERM does.
    pub(crate) fn stop(&self) -> watch::Sender<bool> {
        self.front.stop()
    }

    /// Serves until told to stop, then drains and brings the log to its end. `more` runs beside the other tasks.
    pub(crate) fn serve(self, more: Vec<Task>) -> Result<(), Failure> {
        let Self { mut server, mut tasks, front, journal, committer, grace } = self;
        let committer = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || committer.run())
            .map_err(|error| Failure::broke("the thread of the audit log", &error))?;
        let drain = Drain::new(grace, &front);
        tasks.extend(more);
        server.add_service(background_service("background", Background::new(tasks, front.shutdown())));
        server.add_service(front);
        server.run(RunArgs { shutdown_signal: Box::new(drain) });
        let closed = journal.flush_and_close(LAST_COMMIT);
        if closed.is_ok() && committer.join().is_err() {
            return Err(Failure::Broke("the thread of the audit log broke".into()));
        }
        closed.map_err(|error| Failure::broke("the audit log", &error))?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Every background task there is.
fn tasks(admin: admin::Bound, tokens: Arc<Verifier>, reloader: Arc<Reloader>) -> Vec<Task> {
    let folder = reloader.folder.clone();
    vec![
        Task::new("issuers", move |shutdown| tokens.run(shutdown)),
        Task::new("admin", move |shutdown| async move {
            if let Err(error) = admin.serve(shutdown).await {
                tracing::error!(error = terms::chain(&error), "the admin listener ended");
            }
        }),
        Task::new("policies", move |shutdown| watch_files::run(folder, shutdown, move || reloader.reload())),
    ]
}

fn server(workers: usize) -> Server {
    let mut server = Server::new_with_opt_and_conf(
        None,
        ServerConf {
            threads: workers,
            work_stealing: false, // a request stays on its thread, and so does its lane of the journal
            upstream_keepalive_pool_size: 1024,
            max_retries: 3,
            grace_period_seconds: Some(0), // `Drain` has waited by then
            graceful_shutdown_timeout_seconds: Some(1),
            ..ServerConf::default()
        },
    );
    server.bootstrap();
    server
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Says where clients may connect, with the ports that the system chose.
fn announce(settings: &[ListenerSettings], sockets: &Listeners) -> Result<(), Failure> {
    let addresses = sockets.addresses().map_err(|error| Failure::setup("cannot listen", &error))?;
    for (listener, address) in settings.iter().zip(addresses) {
        let name = if listener.tls.is_some() { "tls" } else { "plain" };
        tracing::info!(listener = name, %address, "listening");
    }
    Ok(())
}

fn keyring(state: &Path, clock: &dyn Clock) -> Result<Keyring, Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state);
    made.map_err(|error| Failure::setup(state.display(), &error))?;
    Keyring::open(&state.join("assertion.jwks"), clock).map_err(|error| Failure::setup(state.display(), &error))
}

/// A counter that stands at zero from the start for each outcome: Prometheus cannot see one rise that was not there before.
fn reloads(registry: &Registry) -> Result<IntCounterVec, Failure> {
    let opts = Opts::new("cloister_reload_total", "Times that the policies were read again");
    let counter = register(registry, IntCounterVec::new(opts, &["outcome"]))?;
    for outcome in rules::OUTCOMES {
        counter.with_label_values(&[outcome]).inc_by(0);
    }
    Ok(counter)
}

fn info(registry: &Registry, name: &str, help: &str, label: &str) -> Result<IntGaugeVec, Failure> {
    register(registry, IntGaugeVec::new(Opts::new(name, help), &[label]))
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<C>) -> Result<C, Failure> {
    let registered = metric.and_then(|metric| registry.register(Box::new(metric.clone())).map(|()| metric));
    registered.map_err(|error| Failure::setup("metrics", &error))
}
