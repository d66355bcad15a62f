//! Puts the parts together and runs them. Every background task there is stands in `tasks.rs`.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use admin::{Admin, Notices, Operations};
use assertion::Minter;
use audit::{Cause, Committer, Files, Logs, Note};
use canonical::Bounds;
use directory::Directory;
use gate::{DemandingHosts, Gate, Rooms};
use hub::Plaintext;
use ingress::{ClientCertificates, Ingress, ListenerSettings, Listeners, Strangers};
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use pingora::services::background::background_service;
use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use proxy::{Application, Backend, Backends, Metrics, Proxy, Recorder};
use relay::Relay;
use store::Store;
use tally::Tally;
use terms::{Clock, Live, TenantId};
use token::Dpop;
use tokio::sync::watch;
use upstream::{Dns, Resolver, Special, Upstream};

use crate::background::{Background, Shutdown, Task};
use crate::counting::Together;
use crate::drain::{Drain, Spans};
use crate::failure::Failure;
use crate::following::Following;
use crate::front::Front;
use crate::hearing::Hearing;
use crate::known_keys::{Counts, KnownKeys};
use crate::life::{Life, Stage};
use crate::load::Loaded;
use crate::log_work::{AtWork, LogWork};
use crate::logs::{self, OpenLog, TenantLogs};
use crate::metrics::Parts;
use crate::origin::Origin;
use crate::persons::Persons;
use crate::quotas::Quotas;
use crate::reckoning::{self, Reckoning, Uptime};
use crate::renew::Renewal;
use crate::retaining::Keeping;
use crate::revoking::{Others, Revoking};
use crate::rules::{self, Reloader};
use crate::settings::{MOST_ATTEMPTS, Redis, Settings, Vaulted};
use crate::signing::Rings;
use crate::tasks::{Works, tasks};
use crate::upgrade::{Old, Upgrade};
use crate::watchdog::{self, Hearts};
use crate::{backend_events, desk, following, membership, operator, persons, ready, renew, which};

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
    logs: Arc<Logs>,
    committers: Vec<Committer>,
    log_work: Vec<LogWork>,
    life: Life,
    spans: Spans,
}

impl Gateway {
    /// Makes every part and binds every socket, so that whatever is wrong is said before the first request. `policies` is
    /// where the policies are read from again when they change.
    pub(crate) fn assemble(
        loaded: Loaded,
        policies: &Path,
        clock: Arc<dyn Clock>,
        mut origin: Origin,
    ) -> Result<Self, Failure> {
        let Loaded { settings, known, tokens, config_digest, policies: compiled } = loaded;
        let Settings {
            listeners,
            authorities,
            guard,
            requests,
            requests_per_tenant,
            proxies,
            clients,
            workers,
            shutdown,
            admin,
            admin_token,
            vault,
            state,
            redis,
            directory,
            issuers,
            dpop,
            backends,
            dns,
            response,
            assertion_issuer,
            assertion_lifetime,
            keys,
            followed,
            audit,
            ..
        } = settings;
        let vault = match vault {
            Vaulted::Asked(vault, refresh) => Some((vault, refresh)),
            // FAIL CLOSED: keys that are made up sign nothing.
            Vaulted::MadeUp => return Err(Failure::Broke("the values of Vault are not there".into())),
            Vaulted::None => None,
        };
        let (registry, digest) = (Registry::new(), compiled.digest);
        let version = compiled.signed.as_ref().map(|signed| signed.version);

        let sockets = Listeners::take_or_bind(&listeners, &authorities, Arc::clone(&clock), &mut origin.inherited)
            .map_err(|error| Failure::setup("cannot listen", &error))?;
        announce(&listeners, &sockets)?;
        let (admin_address, admin) = (admin, listen(admin, &mut origin)?);
        origin.all_taken()?;
        let keys = Rings::open(&keys, &state, &backends, &clock)?;
        let trust = settings.trust.clone();
        let store = Store::open(&state).map_err(|error| Failure::setup("the store", &error))?;
        let store = Arc::new(store);
        let quotas = Arc::new(Quotas::new(Arc::clone(&store), Arc::clone(&clock)));
        let seed = quotas.seed().map_err(|error| Failure::setup("the store", &error))?;
        let limits = redis.as_ref().and_then(|redis| redis.limits.as_ref());
        let tally = limits.map(|limits| Tally::new(limits.clone(), Arc::clone(&clock)));
        let rules = rules::first(compiled, trust.as_ref(), seed, known.counting).map_err(Failure::Setup)?;
        quotas.restore(rules.limits()).map_err(|error| Failure::setup("the store", &error))?;
        let rules = Arc::new(Live::new(rules));
        let of_now = Arc::clone(&rules);
        let is_registered = move |tenant: &TenantId| {
            // Before it is known which tenants there are, each may be one: what comes of it is an outage, and no bad token.
            let rules = of_now.glance();
            rules.tenants().is_unread() || rules.tenants().get(tenant.as_str()).is_some()
        };
        let tokens = Arc::new(tokens.knowing(Arc::new(is_registered)));
        let directory = directory.map(|directory| membership::open(directory, &clock)).transpose()?;
        let upstreams: Vec<Arc<Upstream>> = backends.iter().map(|backend| Arc::clone(backend.upstream())).collect();
        warn_of_believed(&backends);
        let resolver = resolver(&upstreams, dns)?;
        let opened = persons::open(&state, &audit.privacy, &clock)?;
        let subjects = opened.subjects.clone();
        // ORDER: last of what may fail, so that a process which hands its log over gets it back only for good reasons.
        let places = logs::reach(&audit, &state)?;
        let last = || places.iter().filter_map(|place| reckoning::last_record(&place.directory)).max();
        let reckoning = Arc::new(Reckoning::open(&state, Arc::clone(&clock), Box::new(Uptime::now), last));
        let by = Cause::Start(operator::user());
        let directory_of_first = audit.directory.clone();
        let common = logs::Common {
            state: state.clone(),
            clock: Arc::clone(&clock),
            instance: audit.instance,
            origin: audit.origin,
            every: audit.checkpoint,
            rotation: audit.rotation,
            by,
            witnesses: audit.witnesses,
            sinks: audit.sinks,
        };
        let sources = audit.events;
        let classes: Vec<_> = places.iter().map(|place| place.class.clone()).collect();
        let open = logs::open(places, common, &mut origin)?;
        let logs = logs::all(&open).map(Arc::new).ok_or_else(|| Failure::Setup("there is no audit log".into()))?;
        let of_tenants = TenantLogs::new(Arc::clone(&logs), Arc::clone(&rules));
        let journal = Arc::clone(logs.first());
        let id = audit::Reader::log_id(&directory_of_first).map_err(|error| Failure::setup("the audit log", &error))?;
        let persons = Arc::new(Persons::new(opened, of_tenants.clone(), id.unwrap_or_default()));
        let (growth, handles) = (Arc::default(), open.iter().map(OpenLog::handle).collect());
        let (mut of_logs, mut committers, mut log_work, mut cosigning) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for log in open {
            let keeping: Vec<Arc<dyn Keeping>> = vec![Arc::<Persons>::clone(&persons)];
            let prepared = log.prepared(&reckoning, &growth, keeping);
            of_logs.push(prepared.of_log);
            log_work.push(prepared.work);
            committers.push(prepared.committer);
            cosigning.extend(prepared.cosigning);
        }
        for (what, new) in [(Files::Config, config_digest), (Files::Policy, digest)] {
            let version = version.filter(|_| what == Files::Policy);
            let note = Note::Changed { what, old: None, new: new.into(), version, by };
            journal.note(&note).map_err(|error| Failure::setup("the start cannot be recorded", &error))?;
        }
        let reloader = Reloader {
            trust,
            folder: policies.to_path_buf(),
            known,
            rules: Arc::clone(&rules),
            logs: Arc::clone(&logs),
            classes,
            outcomes: outcomes(
                &registry,
                "cloister_reload_total",
                "Times that the policies were read again",
                &rules::OUTCOMES,
            )?,
            version: register(
                &registry,
                IntGauge::new(
                    "cloister_policy_bundle_version",
                    "The version of the signed policies in force; 0 if none have to be signed",
                ),
            )?,
            info: info(&registry, "cloister_policy_info", "The version of the policies in force", "digest")?,
            rows: rules::Rows {
                last: Mutex::new(None),
                unreadable: register(
                    &registry,
                    IntGauge::new(
                        "cloister_tenants_unreadable",
                        "Tenants that are refused, since their rows cannot be read",
                    ),
                )?,
            },
        };
        reloader.show(digest.into());
        reloader.show_version(version);
        let reloader = Arc::new(reloader);
        info(&registry, "cloister_build_info", "The version of the program", "version")?
            .with_label_values(&[VERSION])
            .set(1);

        let minter = Minter::new(assertion_issuer, assertion_lifetime, Arc::clone(&keys.assertion), Arc::clone(&clock))
            .signing_requests_with(keys.signature.clone());
        let request_metrics = Metrics::register(&registry).map_err(|error| Failure::setup("metrics", &error))?;
        let bounds =
            Bounds { path_bytes: PATH, query_bytes: QUERY, fields: guard.fields, head_bytes: guard.head_bytes };
        let defences = backends.iter().map(|backend| (backend.upstream().id().clone(), Arc::clone(backend.defence())));
        let defences = defences.collect();
        let strangers = Strangers { trusted: proxies.trusted.clone(), clients: clients.clone() };
        let rooms = Arc::new(Rooms::new(requests, requests_per_tenant));
        let others = if redis.is_some() { Others::Some } else { Others::None };
        let revoking = revoking(store, others, &registry, &of_tenants, &clock)?;
        let known_keys = known_keys(&revoking, &registry, &of_tenants, &clock)?;
        let relay = redis.map(|redis| relay(redis, &revoking, &clock));
        let (names, realms) = which::issuers(&issuers);
        let hearing = Hearing::new(&issuers, &tokens, &revoking, &clock, &registry)?;
        let notices = hearing.map(|hearing| Arc::new(hearing) as Arc<dyn Notices>);
        let told = outcomes(
            &registry,
            "cloister_backend_events_total",
            "Events that backends wanted on record",
            &backend_events::OUTCOMES,
        )?;
        let parts = backend_events::Parts {
            sources: Vec::new(),
            issuers: names.clone(),
            realms: realms.clone(),
            rules: Arc::clone(&rules),
            subjects: subjects.clone(),
            logs: of_tenants.clone(),
            clock: Arc::clone(&clock),
            outcomes: told,
        };
        let events = backend_events::open(sources, parts)?;
        let desk = desk::Front {
            revoking: Arc::clone(&revoking),
            issuers: names,
            realms,
            rules: Arc::clone(&rules),
            reloader: Arc::clone(&reloader),
            clock: Arc::clone(&clock),
        };
        let operations = admin_token.map(|token| Operations::new(token, Arc::new(desk)));
        let following = Arc::new(Following {
            followed: Arc::new(followed),
            journal: Arc::clone(&journal),
            outcomes: outcomes(
                &registry,
                "cloister_secret_reload_total",
                "Times that a secret had changed",
                &following::OUTCOMES,
            )?,
        });
        let dpop = Arc::new(Dpop::new(dpop, Arc::clone(&clock)));
        let gate = Gate::new(
            clients,
            Arc::clone(&rooms),
            Arc::clone(&rules),
            Arc::clone(&tokens),
            Arc::clone(&dpop),
            Arc::clone(&logs),
        );
        let gate = gate
            .demanding_certificates(demanding(&listeners))
            .revoking(revoking.live())
            .knowing(known_keys.live())
            .counting_in(tally.clone())
            .asking(directory.clone().filter(Directory::knows_members))
            .veiling(Some(subjects));
        let proxy = Arc::new(Proxy::new(
            gate,
            Backends::new(backends),
            minter,
            request_metrics,
            bounds,
            proxies,
            response,
            Arc::clone(&clock),
        ));

        let mut spare = sockets.duplicate(&listeners).map_err(|error| Failure::setup("cannot listen", &error))?;
        let certificates = sockets.certificates();
        let renewals = outcomes(
            &registry,
            "cloister_certificate_reload_total",
            "Times that certificates or what goes with them changed on disk",
            &renew::OUTCOMES,
        )?;
        let workers = workers.unwrap_or_else(processors);
        let server = server(workers);
        let application = Application::new(Arc::clone(&proxy), &server.configuration, ingress::h2_options(&guard));
        let ingress =
            Ingress::new(sockets, Arc::new(application), guard, strangers, Arc::new(Recorder::new(Arc::clone(&proxy))))
                .linger(shutdown.idle);
        let life = Life::new();
        let recording = ready::Recording { logs: Arc::clone(&logs), classes: reloader.classes.clone() };
        let mut readiness =
            ready::checks(&tokens, recording, &upstreams, &revoking, relay.as_ref(), &following.followed, &life);
        readiness.push(Arc::<Persons>::clone(&persons));
        readiness.extend(tally.clone().map(|tally| Arc::new(Together(tally)) as _));
        readiness.extend(directory.clone().map(membership::check));
        if let Some((vault, _)) = &vault {
            readiness.push(Arc::new(ready::Answering(Arc::clone(vault))));
        }
        let parts = Parts {
            tokens: Arc::clone(&tokens),
            dpop,
            logs: of_logs,
            ingress: ingress.counters(),
            rooms,
            rules: Arc::clone(&rules),
            quotas: Arc::clone(&quotas),
            certificates: certificates.clone(),
            proxy: Arc::clone(&proxy),
            keys: keys.clone(),
            readiness: readiness.clone(),
            upstreams: upstreams.clone(),
            defences,
            relay: relay.clone(),
            tally: tally.clone(),
            secrets: Arc::clone(&following.followed),
            directory: directory.clone(),
            reckoning: Arc::clone(&reckoning),
            vault: vault.as_ref().map(|(vault, _)| Arc::clone(vault)),
            persons: Arc::clone(&persons),
        };
        parts.register(&registry).map_err(|error| Failure::setup("metrics", &error))?;
        let admin = Admin {
            registry,
            refresh: Vec::new(),
            readiness,
            key_sets: keys.pages(),
            version: VERSION,
            operations,
            notices,
            events,
        }
        .on(admin)
        .map_err(|error| Failure::setup("cannot listen", &error))?;
        tracing::info!(listener = "admin", address = %admin.address(), "listening");
        spare.push((admin_address, admin.duplicate().map_err(|error| Failure::setup("cannot listen", &error))?));
        let spare = Arc::new(Mutex::new(spare));
        let Origin { upgrade, supervisor, .. } = origin;
        let old = Arc::new(Old {
            state,
            logs: handles,
            life: life.clone(),
            supervisor: Arc::clone(&supervisor),
            sockets: Arc::clone(&spare),
            taken: watch::Sender::new(false),
        });
        let mut front = Front::new(ingress, Arc::clone(&tokens), directory.clone(), life.clone(), spare);
        let mut tasks = tasks(Works {
            admin,
            tokens,
            reloader,
            renewal: Renewal { certificates, proxy: Arc::clone(&proxy), outcomes: renewals },
            upstreams,
            resolver,
            proxy,
            revoking,
            known_keys,
            quotas,
            rules,
            persons,
            relay,
            tally,
            directory,
            keys,
            following,
            vault,
            cosigning,
            reckoning,
            logs: of_tenants,
            grace: shutdown.grace,
            old: Arc::clone(&old),
        });
        if let Some(every) = supervisor.watchdog() {
            let (hearts, logs) = (Hearts::default(), Arc::clone(&logs));
            front.beat(hearts.clone(), workers, every / 8);
            tasks.push(Task::new("watchdog", move |shutdown| watchdog::run(supervisor, every, hearts, logs, shutdown)));
        }
        tasks.push(Task::new("state", move |shutdown| tell(old, upgrade, shutdown)));
        let spans = Spans { delay: shutdown.delay, grace: shutdown.grace };
        Ok(Self { server, tasks, front, logs, committers, log_work, life, spans })
    }

    /// How far it has come, and to make it go further.
    pub(crate) fn life(&self) -> Life {
        self.life.clone()
    }

    /// Serves until told to stop, then drains and brings the log to its end. `more` runs beside the other tasks.
    pub(crate) fn serve(self, more: Vec<Task>) -> Result<(), Failure> {
        let Self { mut server, mut tasks, front, logs, committers, log_work, life, spans } = self;
        let run =
            |committer: Committer| std::thread::Builder::new().name("audit".into()).spawn(move || committer.run());
        let committers = committers.into_iter().map(run).collect::<Result<Vec<_>, _>>();
        let committers = committers.map_err(|error| Failure::broke("the thread of the audit log", &error))?;
        let log_work = log_work.into_iter().map(LogWork::start).collect::<Result<Vec<_>, _>>()?;
        let cut = Arc::new(AtomicU64::new(0));
        let drain = Drain { spans, life: life.clone(), logs: Arc::clone(&logs), cut: Arc::clone(&cut) };
        tasks.extend(more);
        server.add_service(background_service("background", Background::new(tasks, life)));
        server.add_service(front);
        server.run(RunArgs { shutdown_signal: Box::new(drain) });
        let log_work: Vec<_> = log_work.into_iter().map(AtWork::rest).collect();
        logs.iter().for_each(|journal| journal.close());
        let mut outcome = Ok(());
        for (journal, committer) in logs.iter().zip(committers) {
            let closed = journal.flush_and_close(LAST_COMMIT);
            if closed.is_ok() && committer.join().is_err() {
                return Err(Failure::Broke("the thread of the audit log broke".into()));
            }
            outcome = outcome.and(closed.map_err(|error| Failure::broke("the audit log", &error)));
        }
        for log_work in log_work {
            outcome = outcome.and(log_work.end()); // once more, for the last records
        }
        outcome?;
        let cut = cut.load(Ordering::Acquire);
        if cut > 0 {
            return Err(Failure::Broke(format!("the grace was over, and requests were cut: {cut}")));
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Tells the process before this one and the supervisor when it serves, and the supervisor when it will not any more.
async fn tell(old: Arc<Old>, upgrade: Option<Upgrade>, shutdown: Shutdown) {
    old.life.reaches(Stage::Serving).await;
    if let Some(upgrade) = upgrade {
        upgrade.ready();
    }
    old.supervisor.ready("serving");
    old.life.reaches(Stage::Leaving).await;
    if !*old.taken.borrow() {
        old.supervisor.stopping();
    }
    shutdown.await;
}

/// The socket of the admin listener.
fn listen(address: SocketAddr, origin: &mut Origin) -> Result<TcpListener, Failure> {
    let listener = match origin.inherited.take(address) {
        Some(listener) => Ok(listener),
        None => TcpListener::bind(address),
    };
    let what = || format!("the admin listener cannot listen on `{address}`");
    listener.map_err(|error| Failure::setup(what(), &error))
}

/// Says of which backends it is not known who they are.
fn warn_of_believed(backends: &[Backend]) {
    for backend in backends.iter().filter(|backend| backend.security().believes_anybody()) {
        tracing::warn!(upstream = %backend.upstream().id(), "insecure_skip_verify: whoever answers is believed");
    }
}

/// What looks up the names of backends, if there are any.
fn resolver(upstreams: &[Arc<Upstream>], dns: Dns) -> Result<Option<Resolver>, Failure> {
    if dns.special == Special::Believed {
        tracing::warn!("insecure_special_answers: names may stand for this machine and for metadata of a cloud");
    }
    if !upstreams.iter().any(|upstream| upstream.has_names()) {
        return Ok(None);
    }
    Resolver::new(dns).map(Some).map_err(|error| Failure::setup("the names of backends", &error))
}

fn server(workers: usize) -> Server {
    let mut server = Server::new_with_opt_and_conf(
        None,
        ServerConf {
            threads: workers,
            work_stealing: false, // a request stays on its thread, and so does its lane of the journal
            upstream_keepalive_pool_size: 1024,
            max_retries: usize::from(MOST_ATTEMPTS),
            grace_period_seconds: Some(0), // `Drain` has waited by then
            graceful_shutdown_timeout_seconds: Some(1),
            ..ServerConf::default()
        },
    );
    server.bootstrap();
    server
}

/// The hosts whose clients must show a certificate, by whichever listener.
fn demanding(listeners: &[ListenerSettings]) -> DemandingHosts {
    let hosts = listeners.iter().filter_map(|listener| listener.tls.as_ref()).flat_map(|tls| &tls.hosts);
    let required = hosts.filter(|(_, clients)| matches!(clients, ClientCertificates::Required(_)));
    required.map(|(host, _)| host.as_str()).collect()
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

/// The tokens that were taken back, in force from the first request on.
fn revoking(
    store: Arc<Store>,
    others: Others,
    registry: &Registry,
    logs: &TenantLogs,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Revoking>, Failure> {
    let failures = IntCounter::new("cloister_store_failures_total", "Times that the store could not be read");
    let count = IntGauge::new("cloister_revocations", "Revocations in force, besides those in the policy files");
    let (failures, count) = (register(registry, failures)?, register(registry, count)?);
    let revoking = Revoking::start(store, others, logs.clone(), Arc::clone(clock), failures, count);
    revoking.map(Arc::new).map_err(|error| Failure::setup("the store", &error))
}

/// The API keys, in force from the first request on.
fn known_keys(
    revoking: &Arc<Revoking>,
    registry: &Registry,
    logs: &TenantLogs,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<KnownKeys>, Failure> {
    let failures = IntCounter::new("cloister_api_key_failures_total", "Times that the API keys could not be read");
    let count = IntGauge::new("cloister_api_keys", "API keys that were good when they were read last");
    let ending =
        IntGauge::new("cloister_api_key_users_ending", "Users of API keys that have none for more than a week");
    let counts = Counts {
        failures: register(registry, failures)?,
        good: register(registry, count)?,
        ending: register(registry, ending)?,
    };
    let keys = KnownKeys::start(Arc::clone(revoking.store()), logs.clone(), Arc::clone(clock), counts);
    keys.map(Arc::new).map_err(|error| Failure::setup("the store", &error))
}

/// What carries them to other gateways, and theirs to this one.
fn relay(redis: Redis, revoking: &Arc<Revoking>, clock: &Arc<dyn Clock>) -> Arc<Relay> {
    if redis.plaintext == Plaintext::Believed {
        tracing::warn!("insecure_plaintext: whoever is between here and Redis reads and writes what gateways say");
    }
    let (store, told) = (Arc::clone(revoking.store()), Arc::clone(revoking));
    Arc::new(Relay::new(redis.server, store, Arc::clone(clock), move || told.nudge()))
}

/// A counter that stands at zero from the start for each outcome: Prometheus cannot see one rise that was not there before.
fn outcomes(registry: &Registry, name: &str, help: &str, outcomes: &[&str]) -> Result<IntCounterVec, Failure> {
    let counter = register(registry, IntCounterVec::new(Opts::new(name, help), &["outcome"]))?;
    for outcome in outcomes {
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
