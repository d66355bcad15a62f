//! Certificates, their keys and what goes with them, taken over from their files while they are served.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ingress::{Certificates, Renewed};
use notify::RecursiveMode;
use prometheus::IntCounterVec;

use crate::background::Shutdown;
use crate::watch_files::{self, Watched};

/// What may come of reading the files again.
pub(crate) const OUTCOMES: [&str; 2] = [REFUSED, REPLACED];
const REFUSED: &str = "refused";
const REPLACED: &str = "replaced";

/// After which time files are read again that nobody has said to have changed: an OCSP response runs out by itself.
const EVERY: Duration = Duration::from_secs(60);

/// Takes over files that change, until the gateway ends.
pub(crate) async fn run(certificates: Certificates, outcomes: IntCounterVec, shutdown: Shutdown) {
    let watched = Watched {
        what: "certificates",
        folders: folders(&certificates),
        mode: RecursiveMode::NonRecursive,
        every: Some(EVERY),
    };
    watch_files::run(watched, shutdown, move || renew(&certificates, &outcomes)).await;
}

fn renew(certificates: &Certificates, outcomes: &IntCounterVec) {
    let Renewed { changed, faults } = certificates.renew();
    if changed > 0 {
        tracing::info!(count = changed, "certificates replaced");
        outcomes.with_label_values(&[REPLACED]).inc();
    }
    for fault in &faults {
        tracing::error!("a certificate was not replaced, the last good one stays: {fault}");
        outcomes.with_label_values(&[REFUSED]).inc();
    }
}

/// Files are replaced by others of their name, so their folders are watched.
fn folders(certificates: &Certificates) -> Vec<PathBuf> {
    let folder = |file: &Path| match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    };
    certificates.files().into_iter().map(folder).collect::<BTreeSet<_>>().into_iter().collect()
}
