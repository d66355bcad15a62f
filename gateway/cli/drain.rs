//! How it ends: SIGTERM stops the listeners, lets running requests end within the grace, and only then the process.

use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::front::Front;

/// Waits for the signal to end, and drains before pingora hears of it: pingora would sleep its whole grace period, however
/// idle it is.
pub(crate) struct Drain {
    grace: Duration,
    stop: watch::Sender<bool>,
    done: watch::Receiver<bool>,
}

impl Drain {
    pub(crate) fn new(grace: Duration, front: &Front) -> Self {
        Self { grace, stop: front.stop(), done: front.done() }
    }
}

#[async_trait]
impl ShutdownSignalWatch for Drain {
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
            tracing::error!("signals cannot be awaited");
            return ShutdownSignal::FastShutdown;
        };
        let (mut done, mut stopped) = (self.done.clone(), self.stop.subscribe());
        tokio::select! {
            () = told(&mut term, &mut int) => {}
            _ = stopped.wait_for(|stop| *stop) => {} // the demo's tour is over
        }
        self.stop.send_replace(true);
        tracing::info!(grace_seconds = self.grace.as_secs(), "draining");
        tokio::select! {
            _ = done.wait_for(|done| *done) => tracing::info!("drained"),
            () = tokio::time::sleep(self.grace) => tracing::warn!("the grace is over, and connections are still open"),
            () = told(&mut term, &mut int) => tracing::warn!("told twice, not waiting any longer"),
        }
        ShutdownSignal::FastShutdown
    }
}

async fn told(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
