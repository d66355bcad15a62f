//! Whether the process does its work: each worker's loop turns, and the audit log's thread, too. A timer alone would go
//! on while every request hangs.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use audit::Logs;
use tokio::time::{interval, sleep};

use crate::background::Shutdown;
use crate::notify::Supervisor;

/// One count for each worker, which rises as long as its loop turns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hearts(Arc<Mutex<Vec<Arc<AtomicU64>>>>);

thread_local! {
    static HAS_HEART: Cell<bool> = const { Cell::new(false) };
}

/// pingora gives a task to some worker, not to one that is asked for; so many tries for each find all of them.
const TRIES: usize = 64;

impl Hearts {
    /// Gives each worker a heart. To be called on one of them.
    pub(crate) fn start(&self, workers: usize, beat: Duration) {
        for _ in 0..workers.saturating_mul(TRIES) {
            let hearts = Arc::clone(&self.0);
            // pingora makes the runtime, so what runs in it is spawned here.
            pingora_runtime::current_handle().spawn(async move {
                if HAS_HEART.replace(true) {
                    return;
                }
                let heart = Arc::new(AtomicU64::new(0));
                hearts.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&heart));
                let mut ticks = interval(beat);
                loop {
                    ticks.tick().await;
                    heart.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    }

    fn beats(&self) -> Vec<u64> {
        let hearts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hearts.iter().map(|heart| heart.load(Ordering::Relaxed)).collect()
    }
}

/// Tells the supervisor that all is well, as long as it is.
pub(crate) async fn run(
    supervisor: Arc<Supervisor>,
    every: Duration,
    hearts: Hearts,
    logs: Arc<Logs>,
    mut shutdown: Shutdown,
) {
    let beats = || logs.iter().map(|journal| journal.stats().beats).collect::<Vec<_>>();
    let (mut before, mut commits) = (hearts.beats(), beats());
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            () = sleep(every / 2) => {}
        }
        let (now, turned) = (hearts.beats(), beats());
        let still = |at: usize| commits.get(at) == turned.get(at);
        for place in (1..turned.len()).filter(|place| still(*place)) {
            // Its tenants are refused when nothing more fits into memory. Those of the others are served.
            tracing::error!(place, "the thread of the audit log of a retention class stands still");
        }
        if still(0) {
            tracing::error!("the thread of the audit log stands still");
        } else if let Some(worker) = before.iter().zip(&now).position(|(before, now)| before == now) {
            tracing::error!(worker, "a worker stands still");
        } else {
            supervisor.well();
        }
        (before, commits) = (now, turned);
    }
}
