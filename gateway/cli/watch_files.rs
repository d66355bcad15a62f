//! Watches the policy files, and listens for SIGHUP.

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

/// Calls `changed` after each change of the files below `folder`, and on SIGHUP.
pub(crate) async fn run(folder: PathBuf, mut shutdown: Shutdown, changed: impl Fn() + Send + Sync + 'static) {
    let touched = Arc::new(Notify::new());
    let watcher = watch(&folder, Arc::clone(&touched));
    if let Err(error) = &watcher {
        tracing::error!(error = terms::chain(error), "policies are not watched; SIGHUP still reads them");
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
        }
        let changed = Arc::clone(&changed);
        // Compiling takes milliseconds and reads files: not on the thread that answers probes.
        if tokio::task::spawn_blocking(move || changed()).await.is_err() {
            tracing::error!("reading the policies broke; those in force stay");
        }
    }
}

fn watch(folder: &std::path::Path, touched: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            touched.notify_one();
        }
    })?;
    watcher.watch(folder, RecursiveMode::Recursive)?;
    Ok(watcher)
}
