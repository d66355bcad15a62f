//! The ingress as a service of pingora's, which stops when we say so: pingora itself would tell it only after its own
//! grace period.

use async_trait::async_trait;
use ingress::Ingress;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use proxy::Application;
use tokio::sync::watch;

/// The ingress, and the two words that end it: told to stop, and done.
pub(crate) struct Front {
    ingress: Ingress<Application>,
    stop: watch::Sender<bool>,
    done: watch::Sender<bool>,
}

impl Front {
    pub(crate) fn new(ingress: Ingress<Application>) -> Self {
        Self { ingress, stop: watch::Sender::new(false), done: watch::Sender::new(false) }
    }

    /// Turns true when everything shall end.
    pub(crate) fn shutdown(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// To make everything end.
    pub(crate) fn stop(&self) -> watch::Sender<bool> {
        self.stop.clone()
    }

    /// Turns true when the last connection is gone.
    pub(crate) fn done(&self) -> watch::Receiver<bool> {
        self.done.subscribe()
    }
}

#[async_trait]
impl Service for Front {
    async fn start_service(&mut self, fds: Option<ListenFds>, _: ShutdownWatch, tasks_per_listener: usize) {
        self.ingress.start_service(fds, self.stop.subscribe(), tasks_per_listener).await;
        self.done.send_replace(true);
    }

    fn name(&self) -> &'static str {
        "ingress"
    }
}
