//! The ingress as a service of pingora's, which stops when we say so: pingora itself would tell it only after its own
//! grace period.

use async_trait::async_trait;
use ingress::Ingress;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use proxy::Application;
use tokio::sync::watch;

use crate::life::{Life, Stage};

/// The ingress, and the life that it is a part of.
pub(crate) struct Front {
    ingress: Ingress<Application>,
    life: Life,
}

impl Front {
    pub(crate) const fn new(ingress: Ingress<Application>, life: Life) -> Self {
        Self { ingress, life }
    }
}

#[async_trait]
impl Service for Front {
    async fn start_service(&mut self, fds: Option<ListenFds>, _: ShutdownWatch, tasks_per_listener: usize) {
        let (stop, stopped) = watch::channel(false);
        let tell = async {
            self.life.reaches(Stage::Draining).await;
            stop.send_replace(true);
        };
        self.life.go(Stage::Serving);
        tokio::join!(self.ingress.start_service(fds, stopped, tasks_per_listener), tell);
        self.life.go(Stage::Drained);
    }

    fn name(&self) -> &'static str {
        "ingress"
    }
}
