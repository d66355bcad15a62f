//! `cloister demo`: a whole small world in one process, and a tour through it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::Query;
use demo::{Ink, Look, Places, Tour};
use terms::{Clock, RequestId, SystemClock};

use crate::args::{self, Files};
use crate::asking::Asking;
use crate::background::Task;
use crate::failure::Failure;
use crate::life::Stage;
use crate::origin::Origin;
use crate::print::{self, Style};
use crate::{load, probe, serve, telemetry};

/// The example policies, built in, so that the demo needs nothing but the program.
const POLICIES: [(&str, &str); 5] = [
    ("limits.yaml", include_str!("../../policies/limits.yaml")),
    ("orders.test.yaml", include_str!("../../policies/orders.test.yaml")),
    ("roles.yaml", include_str!("../../policies/roles.yaml")),
    ("routes.yaml", include_str!("../../policies/routes.yaml")),
    ("tenants.yaml", include_str!("../../policies/tenants.yaml")),
];

/// Starts the world; with `--tour`, walks through it and ends.
pub(crate) fn run(arguments: &args::Demo) -> Result<(), Failure> {
    let args::Demo { tour, bind, admin, state, policies } = arguments;
    let folder = Folder::of(state.as_deref()).map_err(|error| Failure::setup("a folder for the demo", &error))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let places = Places { gateway: *bind, admin: *admin, ..Places::default() };
    let world = demo::Demo::start(places, Arc::clone(&clock)).map_err(|error| Failure::setup("the demo", &error))?;
    let files = write(folder.path(), &world.config(folder.path()), policies.as_deref())
        .map_err(|error| Failure::setup(folder.path().display(), &error))?;
    let loaded = load::all(&files, &clock, Asking::Vault)?;
    let log = loaded.settings.audit.directory.clone();
    telemetry::start(crate::settings::LogFormat::Text, crate::settings::Level::Warn);
    let gateway = serve::Gateway::assemble(loaded, &files.policies, clock, Origin::default())?;
    let walk = world.tour().map_err(|error| Failure::setup("the demo", &error))?;
    let curl = world.curl_lines().map_err(|error| Failure::setup("the demo", &error))?;
    let (life, admin) = (gateway.life(), world.places().admin);
    let (report, outcome) = std::sync::mpsc::channel();
    let mut tasks = vec![Task::new("demo", move |shutdown| async move {
        if let Err(error) = world.run(shutdown).await {
            tracing::error!(error = terms::chain(&error), "the demo's world ended");
        }
    })];
    if *tour {
        let log = log.clone();
        tasks.push(Task::lasting("tour", move |_| async move {
            ready(admin).await;
            let steps = self::walk(&walk, &log).await;
            drop(report.send(steps)); // the receiver waits below until the gateway has ended
            life.go(Stage::Leaving);
        }));
    } else {
        print::line(curl);
        print::line(format_args!("audit log: {} (cloister audit tail --dir {0})", log.display()));
        print::line("stop with Ctrl-C");
    }
    gateway.serve(tasks)?;
    if *tour { conclude(&outcome.recv().unwrap_or_default(), &log) } else { Ok(()) }
}

/// Waits until the gateway says that it is ready: until it knows the issuer's keys, for one. A gateway that never is makes
/// the steps fail, and they say how.
async fn ready(admin: SocketAddr) {
    let asked = tokio::task::spawn_blocking(move || {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !probe::is_up(admin, "/readyz") && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    if let Err(error) = asked.await {
        tracing::error!(error = terms::chain(&error), "waiting for the gateway broke");
    }
}

/// Makes all requests, and joins each with its record.
async fn walk(tour: &Tour, log: &Path) -> Vec<demo::Step> {
    let mut steps = tour.walk().await;
    let reasons = Reasons(log.to_path_buf());
    let settled = tokio::task::spawn_blocking(move || {
        demo::settle(&mut steps, &reasons);
        steps
    });
    settled.await.unwrap_or_default()
}

/// Shows the steps, then what the log says by itself.
fn conclude(steps: &[demo::Step], log: &Path) -> Result<(), Failure> {
    let ink = if Style::stdout().colours() { Ink::Colour } else { Ink::Plain };
    demo::print(steps, ink, &mut std::io::stdout()).map_err(|error| Failure::broke("standard output", &error))?;
    let denied = Query { decision: Some(audit::Decision::Deny), ..Query::default() };
    let records = denied.run(log).map_err(|error| Failure::broke("the log", &error))?;
    print::line(format_args!("\n{} refusals are on record; the latest records:", records.count()));
    let verify = args::Log { dir: Some(log.to_path_buf()), config: PathBuf::new(), class: None };
    crate::audit_log::run(args::Audit::Query(args::Query::latest(verify.clone(), 5)))?;
    print::line("");
    let format = args::Format::Text;
    crate::audit_log::run(args::Audit::Verify(args::Verify {
        log: verify,
        policy: None,
        complete: false,
        from: Vec::new(),
        proof: None,
        record: None,
        bundle: None,
        format,
    }))?;
    let wrong = steps.iter().filter(|step| !step.ok()).count();
    if steps.is_empty() || wrong > 0 { Err(Failure::No) } else { Ok(()) }
}

/// Looks reasons up in the log. A record is there at the latest some milliseconds after its response has ended.
struct Reasons(PathBuf);

impl Look for Reasons {
    fn reason(&self, request_id: &str) -> Option<String> {
        request_id.parse::<RequestId>().ok()?;
        let deadline = Instant::now() + Duration::from_secs(3);
        while Instant::now() < deadline {
            let records = Query::default().run(&self.0).ok()?;
            let found = records.filter_map(Result::ok).find_map(|stored| {
                let row = stored.row().ok()?;
                if row.id == Some(request_id) { row.reason.map(str::to_owned) } else { None }
            });
            if found.is_some() {
                return found;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

/// Writes what the gateway runs on, as it would be for a real one.
fn write(folder: &Path, config: &str, policies: Option<&Path>) -> std::io::Result<Files> {
    let path = folder.join("cloister.yaml");
    std::fs::write(&path, config)?;
    let written = folder.join("policies");
    if let Some(policies) = policies {
        return Ok(Files { config: path, policies: policies.to_path_buf() });
    }
    std::fs::create_dir_all(&written)?;
    for (name, text) in POLICIES {
        std::fs::write(written.join(name), text)?;
    }
    Ok(Files { config: path, policies: written })
}

/// Where the demo keeps its files: a folder that stays, or one that goes when the demo ends.
enum Folder {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Folder {
    fn of(state: Option<&Path>) -> std::io::Result<Self> {
        match state {
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                Ok(Self::Kept(folder.canonicalize()?))
            }
            None => Ok(Self::Temporary(tempfile::Builder::new().prefix("cloister-demo-").tempdir()?)),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(folder) => folder,
            Self::Temporary(folder) => folder.path(),
        }
    }
}
