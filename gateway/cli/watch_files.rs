//! Watches files, and listens for SIGHUP.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use audit::Cause;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::background::Shutdown;
use crate::hangup;

/// Editors and `git` write several files one after the other; this long after the last one, all are read.
const QUIET: Duration = Duration::from_millis(250);

/// So many paths are remembered. Of more it is not known whose they are.
const PATHS: usize = 256;

/// What is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    /// What the files are, for logs.
    pub(crate) what: &'static str,
    /// The folders that they are in.
    pub(crate) folders: Vec<PathBuf>,
    /// Whether what is below counts as well.
    pub(crate) mode: RecursiveMode,
    /// After which time they are looked at in any case: some file systems tell nobody of a change, and time itself may
    /// change what a file is worth.
    pub(crate) every: Option<Duration>,
}

/// Calls `changed` after each change of the files, and on SIGHUP, with what is known of who caused it.
pub(crate) async fn run(watched: Watched, mut shutdown: Shutdown, changed: impl Fn(Cause) + Send + Sync + 'static) {
    let Watched { what, folders, mode, every } = watched;
    let touched = Arc::new(Touched::default());
    let watcher = watch(&folders, mode, Arc::clone(&touched));
    if let Err(error) = &watcher {
        tracing::error!(error = terms::chain(error), "{what} are not watched; SIGHUP still reads them");
    }
    let Ok(mut hangup) = hangup::listen() else {
        tracing::error!("SIGHUP cannot be awaited");
        return shutdown.await;
    };
    let changed = Arc::new(changed);
    loop {
        let signal = tokio::select! {
            () = &mut shutdown => return,
            by = hangup.recv() => Some(by),
            () = touched.notify.notified() => {
                sleep(QUIET).await;
                None
            }
            () = after(every) => None,
        };
        let (changed, touched) = (Arc::clone(&changed), Arc::clone(&touched));
        // Reading them takes milliseconds: not on the thread that answers probes.
        if tokio::task::spawn_blocking(move || changed(touched.cause(signal))).await.is_err() {
            tracing::error!("reading the {what} broke; those in force stay");
        }
    }
}

/// What was touched since it was looked at last.
#[derive(Debug, Default)]
struct Touched {
    notify: Notify,
    paths: Mutex<BTreeSet<PathBuf>>,
}

impl Touched {
    fn add(&self, paths: &[PathBuf]) {
        let mut known = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() <= PATHS {
            known.extend(paths.iter().cloned());
        }
        drop(known);
        self.notify.notify_one();
    }

    /// Who caused it: whoever sent the signal, or else whose files they are, if all are of one. Those that are gone are nobody's.
    fn cause(&self, signal: Option<Cause>) -> Cause {
        let paths = std::mem::take(&mut *self.paths.lock().unwrap_or_else(PoisonError::into_inner));
        signal.unwrap_or_else(|| {
            let files = paths.iter().filter_map(|path| path.metadata().ok()).filter(std::fs::Metadata::is_file);
            let owners: BTreeSet<u32> = files.map(|file| file.uid()).collect();
            let is_known = owners.len() == 1 && paths.len() <= PATHS;
            Cause::File(owners.first().copied().filter(|_| is_known))
        })
    }
}

async fn after(span: Option<Duration>) {
    match span {
        Some(span) => sleep(span).await,
        None => std::future::pending().await,
    }
}

fn watch(folders: &[PathBuf], mode: RecursiveMode, touched: Arc<Touched>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if let Some(event) = event.ok().filter(|event| !event.kind.is_access()) {
            touched.add(&event.paths);
        }
    })?;
    for folder in folders {
        watcher.watch(folder, mode)?;
    }
    Ok(watcher)
}
