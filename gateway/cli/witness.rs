//! `cloister witness …`: somebody on another host who has seen the log grow, and says so.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use admin::Witnessing;
use secrets::{Secret, create_private, read_private};
use terms::SystemClock;
use tlog::SigningKey;

use crate::args;
use crate::audit_log::read_policy;
use crate::failure::Failure;
use crate::print;

/// What its key lies in.
const KEY: &str = "witness.key";

struct Answering(witness::Witness);

impl Witnessing for Answering {
    fn add_checkpoint(&self, body: &[u8]) -> (u16, &'static str, String) {
        let witness::Said { status, kind, body } = self.0.add_checkpoint(body);
        if status != 200 {
            print::notice(format_args!("{status}: {}", body.trim_end()));
        }
        (status, kind, body)
    }
}

pub(crate) fn run(command: &args::Witness) -> Result<(), Failure> {
    match command {
        args::Witness::Key { dir, name } => key(dir, name),
        args::Witness::Run { dir, listen, logs } => serve(dir, *listen, logs),
    }
}

/// Makes the key, if there is none, and prints the public one.
fn key(dir: &Path, name: &str) -> Result<(), Failure> {
    let path = dir.join(KEY);
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::setup(path.display(), error);
    let name = name.parse().map_err(|error| failed(&error))?;
    if !path.exists() {
        std::fs::create_dir_all(dir).map_err(|error| failed(&error))?;
        let made = SigningKey::generate_witness(name).map_err(|error| failed(&error))?;
        create_private(&path, &Secret::new(made.to_text().as_bytes().to_vec())).map_err(|error| failed(&error))?;
    }
    print::line(read(dir)?.verifier());
    Ok(())
}

fn read(dir: &Path) -> Result<SigningKey, Failure> {
    let path = dir.join(KEY);
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::setup(path.display(), error);
    let text = read_private(&path).map_err(|error| failed(&error))?;
    let text = str::from_utf8(text.expose()).map_err(|_| Failure::Setup(format!("`{}` is no key", path.display())))?;
    text.trim_end().parse().map_err(|error| failed(&error))
}

fn serve(dir: &Path, listen: std::net::SocketAddr, logs: &Path) -> Result<(), Failure> {
    let broke = |error: &(dyn std::error::Error + 'static)| Failure::broke("the witness", error);
    let policy = read_policy(logs)?;
    let clock = Arc::new(SystemClock);
    let witness = witness::Witness::open(dir.to_owned(), read(dir)?, policy.logs().to_vec(), clock);
    let witness = witness.map_err(|error| Failure::setup("the witness", &error))?;
    let listener = TcpListener::bind(listen).map_err(|error| Failure::setup(listen, &error))?;
    let bound = admin::witness(listener, Arc::new(Answering(witness))).map_err(|error| broke(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| broke(&error))?;
    print::notice(format_args!("listening on http://{}/", bound.address()));
    let stop = async {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut term) = signal(SignalKind::terminate()) else { return };
        tokio::select! {
            _ = term.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    runtime.block_on(bound.serve(stop)).map_err(|error| broke(&error))
}
