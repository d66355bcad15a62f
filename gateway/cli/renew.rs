//! Certificates, their keys and what goes with them, taken over from their files while they are served.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ingress::{Certificates, Renewed};
use notify::RecursiveMode;
use prometheus::IntCounterVec;
use proxy::{Backend, Proxy};

use crate::background::Shutdown;
use crate::roots;
use crate::watch_files::{self, Watched};

/// What may come of reading the files again.
pub(crate) const OUTCOMES: [&str; 2] = [REFUSED, REPLACED];
const REFUSED: &str = "refused";
const REPLACED: &str = "replaced";

/// After which time files are read again that nobody has said to have changed: an OCSP response runs out by itself.
const EVERY: Duration = Duration::from_secs(60);

/// What is read again: the certificates that are shown to clients, and how backends are believed and asked.
pub(crate) struct Renewal {
    pub(crate) certificates: Certificates,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) outcomes: IntCounterVec,
}

/// Takes over files that change, until the gateway ends.
pub(crate) async fn run(renewal: Renewal, shutdown: Shutdown) {
    let watched = Watched {
        what: "certificates",
        folders: renewal.folders(),
        mode: RecursiveMode::NonRecursive,
        every: Some(EVERY),
    };
    let told = Mutex::new(BTreeSet::new());
    let again = move |_| renewal.renew(&mut told.lock().unwrap_or_else(PoisonError::into_inner));
    watch_files::run(watched, shutdown, again).await;
}

impl Renewal {
    /// Reads all of it again. `told` is what was wrong with backends' files the last time, and is not told again.
    fn renew(&self, told: &mut BTreeSet<String>) {
        let Renewed { mut changed, mut faults } = self.certificates.renew();
        let mut wrong = BTreeSet::new();
        for result in self.renew_backends() {
            match result {
                Ok(other) => changed += usize::from(other),
                Err(fault) => drop(wrong.insert(fault)),
            }
        }
        faults.extend(wrong.difference(told).cloned());
        *told = wrong;
        if changed > 0 {
            tracing::info!(count = changed, "certificates replaced");
            self.outcomes.with_label_values(&[REPLACED]).inc();
        }
        for fault in &faults {
            tracing::error!("a certificate was not replaced, the last good one stays: {fault}");
            self.outcomes.with_label_values(&[REFUSED]).inc();
        }
    }

    fn renew_backends(&self) -> Vec<Result<bool, String>> {
        let roots = match roots::of_the_system() {
            Ok(roots) => roots,
            Err(error) => return vec![Err(terms::chain(&error))],
        };
        let renew = |backend: &Backend| backend.security().renew(&roots).map_err(|unfit| terms::chain(&unfit));
        self.proxy.backends().all().map(renew).collect()
    }

    /// Files are replaced by others of their name, so their folders are watched.
    fn folders(&self) -> Vec<PathBuf> {
        let folder = |file: PathBuf| match file.parent() {
            Some(folder) if folder != Path::new("") => folder.to_path_buf(),
            Some(_) | None => PathBuf::from("."),
        };
        let shown = self.certificates.files().into_iter().map(Path::to_path_buf);
        let believed = self.proxy.backends().all().flat_map(|backend| backend.security().files());
        shown.chain(believed).map(folder).collect::<BTreeSet<_>>().into_iter().collect()
    }
}
