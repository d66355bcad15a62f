//! The ingress as a service of pingora's, which stops when we say so: pingora itself would tell it only after its own
//! grace period.

use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use ingress::Ingress;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use proxy::Application;
use tokio::sync::watch;

use crate::life::{Life, Stage};
use crate::upgrade::Spare;
use crate::watchdog::Hearts;

/// The ingress, and the life that it is a part of.
pub(crate) struct Front {
    ingress: Ingress<Application>,
    life: Life,
    spare: Spare,
    hearts: Option<(Hearts, usize, Duration)>,
}

impl Front {
    pub(crate) const fn new(ingress: Ingress<Application>, life: Life, spare: Spare) -> Self {
        Self { ingress, life, spare, hearts: None }
    }

    /// Lets so many workers show that they live, each so often.
    pub(crate) fn beat(&mut self, hearts: Hearts, workers: usize, every: Duration) {
        self.hearts = Some((hearts, workers, every));
    }
}

#[async_trait]
impl Service for Front {
    async fn start_service(&mut self, fds: Option<ListenFds>, _: ShutdownWatch, tasks_per_listener: usize) {
        let (stop, stopped) = watch::channel(false);
        let tell = async {
            self.life.reaches(Stage::Draining).await;
            self.spare.lock().unwrap_or_else(PoisonError::into_inner).clear();
            stop.send_replace(true);
        };
        if let Some((hearts, workers, every)) = &self.hearts {
            hearts.start(*workers, *every);
        }
        self.life.go(Stage::Serving);
        tokio::join!(self.ingress.start_service(fds, stopped, tasks_per_listener), tell);
        self.life.go(Stage::Drained);
    }

    fn name(&self) -> &'static str {
        "ingress"
    }
}
