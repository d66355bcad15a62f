//! The ingress as a service of pingora's, which stops when we say so: pingora itself would tell it only after its own
//! grace period.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use directory::Directory;
use ingress::Ingress;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use proxy::Application;
use token::Verifier;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::life::{Life, Stage};
use crate::upgrade::Spare;
use crate::watchdog::Hearts;

/// How long the first clients wait for the keys of issuers and the directory. Whoever hangs longer has requests answered with 503.
const HEAD_START: Duration = Duration::from_secs(3);

/// The ingress, and the life that it is a part of.
pub(crate) struct Front {
    ingress: Ingress<Application>,
    tokens: Arc<Verifier>,
    directory: Option<Directory>,
    life: Life,
    spare: Spare,
    hearts: Option<(Hearts, usize, Duration)>,
}

impl Front {
    pub(crate) const fn new(
        ingress: Ingress<Application>,
        tokens: Arc<Verifier>,
        directory: Option<Directory>,
        life: Life,
        spare: Spare,
    ) -> Self {
        Self { ingress, tokens, directory, life, spare, hearts: None }
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
        // Who comes meanwhile waits to be accepted, and is served by whoever served before where one still does: a restart
        // and an upgrade must not make refusals out of keys that come in a moment.
        let directory = async {
            if let Some(directory) = &self.directory {
                directory.met().await;
            }
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(self.tokens.asked_once(), directory) } => {}
            () = sleep(HEAD_START) => tracing::warn!("serving, although not all issuers, or not the directory, have answered"),
            () = self.life.reaches(Stage::Leaving) => {}
        }
        self.life.go(Stage::Serving);
        tokio::join!(self.ingress.start_service(fds, stopped, tasks_per_listener), tell);
        self.life.go(Stage::Drained);
    }

    fn name(&self) -> &'static str {
        "ingress"
    }
}
