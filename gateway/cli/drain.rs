//! How it ends. SIGTERM: `/readyz` says no; after `shutdown.delay` the listeners stop; running requests end within
//! `shutdown.grace`; what is left is cut, and its records say so. A second SIGTERM leaves out whatever is still to come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use audit::Logs;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use crate::life::{Life, Stage};

/// How long it may take to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    /// From `/readyz` saying no until nothing is accepted any more.
    pub(crate) delay: Duration,
    /// For requests that run then.
    pub(crate) grace: Duration,
}

/// Waits for the signal to end, and drains before pingora hears of it: pingora would sleep its whole grace period, however
/// idle it is.
pub(crate) struct Drain {
    pub(crate) spans: Spans,
    pub(crate) life: Life,
    pub(crate) logs: Arc<Logs>,
    /// How many requests ran when the grace was over.
    pub(crate) cut: Arc<AtomicU64>,
}

#[async_trait]
impl ShutdownSignalWatch for Drain {
    async fn recv(&self) -> ShutdownSignal {
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        if let (Ok(term), Ok(int)) = signals {
            self.drain(Told { term, int }).await;
        } else {
            tracing::error!("signals cannot be awaited");
        }
        self.life.go(Stage::Over);
        self.life.reaches(Stage::Tidy).await;
        ShutdownSignal::FastShutdown
    }
}

impl Drain {
    async fn drain(&self, mut told: Told) {
        tokio::select! {
            () = told.again() => {}
            () = self.life.reaches(Stage::Leaving) => {} // the tour of the demo is over, or another process serves
        }
        let Spans { delay, grace } = self.spans;
        self.life.go(Stage::Leaving);
        if self.life.stage() == Stage::Leaving && !delay.is_zero() {
            tracing::info!(delay_seconds = delay.as_secs_f64(), "leaving");
            tokio::select! {
                () = sleep(delay) => {}
                () = self.life.reaches(Stage::Draining) => {}
                () = told.again() => tracing::warn!("told twice, not waiting any longer"),
            }
        }
        self.life.go(Stage::Draining);
        tracing::info!(grace_seconds = grace.as_secs_f64(), "draining");
        tokio::select! {
            () = self.life.reaches(Stage::Drained) => {
                tracing::info!("drained");
                return;
            }
            () = sleep(grace) => tracing::warn!("the grace is over, and connections are still open"),
            () = told.again() => tracing::warn!("told twice, not waiting any longer"),
        }
        // ORDER: before anything is dropped, so that no request that is cut is taken for one that broke.
        self.logs.iter().for_each(|journal| journal.cut_short());
        self.cut.store(self.logs.iter().map(|journal| journal.stats().open).sum(), Ordering::Release);
    }
}

/// SIGTERM and SIGINT.
struct Told {
    term: Signal,
    int: Signal,
}

impl Told {
    async fn again(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
