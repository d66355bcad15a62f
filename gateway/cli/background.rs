//! The background tasks run on a runtime of their own, beside the workers; each ends when the gateway drains.

use std::pin::Pin;
use std::sync::Mutex;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a task is told to end by.
pub(crate) type Shutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

type Run = Box<dyn FnOnce(Shutdown) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Something that goes on beside the requests.
pub(crate) struct Task {
    name: &'static str,
    run: Run,
    /// Whether it may end by itself.
    may_end: bool,
}

impl Task {
    /// A task that runs until its shutdown resolves.
    pub(crate) fn new<F, T>(name: &'static str, run: F) -> Self
    where
        F: FnOnce(Shutdown) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        Self { name, run: Box::new(move |shutdown| Box::pin(run(shutdown))), may_end: false }
    }

    /// Something that ends by itself.
    pub(crate) fn lasting(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { may_end: true, ..Self::new(name, move |_| work) }
    }
}

/// Runs tasks as one service of pingora's.
pub(crate) struct Background {
    tasks: Mutex<Vec<Task>>,
    shutdown: watch::Receiver<bool>,
}

impl Background {
    pub(crate) const fn new(tasks: Vec<Task>, shutdown: watch::Receiver<bool>) -> Self {
        Self { tasks: Mutex::new(tasks), shutdown }
    }
}

#[async_trait]
impl BackgroundService for Background {
    async fn start(&self, _: ShutdownWatch) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let mut set = JoinSet::new();
        for Task { name, run, may_end } in tasks {
            let mut shutdown = self.shutdown.clone();
            let ended = Box::pin(async move {
                // A sender that is gone means the same as one that says so.
                drop(shutdown.wait_for(|shutdown| *shutdown).await);
            });
            let task = run(ended);
            set.spawn(async move {
                task.await;
                (name, may_end)
            });
        }
        while let Some(ended) = set.join_next().await {
            match ended {
                Ok((name, may_end)) if may_end || *self.shutdown.borrow() => tracing::debug!(task = name, "ended"),
                Ok((name, _)) => tracing::error!(task = name, "a background task ended before its time"),
                Err(error) => tracing::error!(error = terms::chain(&error), "a background task broke"),
            }
        }
    }
}
