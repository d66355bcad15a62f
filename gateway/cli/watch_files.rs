//! Watches files, and listens for SIGHUP.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::background::Shutdown;

/// Editors and `git` write several files one after the other; this long after the last one, all are read.
const QUIET: Duration = Duration::from_millis(250);

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

/// Calls `changed` after each change of the files, and on SIGHUP.
pub(crate) async fn run(watched: Watched, mut shutdown: Shutdown, changed: impl Fn() + Send + Sync + 'static) {
    let Watched { what, folders, mode, every } = watched;
    let touched = Arc::new(Notify::new());
    let watcher = watch(&folders, mode, Arc::clone(&touched));
    if let Err(error) = &watcher {
        tracing::error!(error = terms::chain(error), "{what} are not watched; SIGHUP still reads them");
    }
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        tracing::error!("SIGHUP cannot be awaited");
        return shutdown.await;
    };
    let changed = Arc::new(changed);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            _ = hangup.recv() => {}
            () = touched.notified() => sleep(QUIET).await,
            () = after(every) => {}
        }
        let changed = Arc::clone(&changed);
        // Reading them takes milliseconds: not on the thread that answers probes.
        if tokio::task::spawn_blocking(move || changed()).await.is_err() {
            tracing::error!("reading the {what} broke; those in force stay");
        }
    }
}

async fn after(span: Option<Duration>) {
    match span {
        Some(span) => sleep(span).await,
        None => std::future::pending().await,
    }
}

fn watch(folders: &[PathBuf], mode: RecursiveMode, touched: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            touched.notify_one();
        }
    })?;
    for folder in folders {
        watcher.watch(folder, mode)?;
    }
    Ok(watcher)
}
