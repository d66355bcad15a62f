//! The background tasks run on a runtime of their own, beside the workers; each ends when the gateway does, after the
//! last request.

use std::pin::Pin;
use std::sync::Mutex;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::task::JoinSet;

use crate::life::{Life, Stage};

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
    pub(crate) fn lasting<F, T>(name: &'static str, run: F) -> Self
    where
        F: FnOnce(Shutdown) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        Self { may_end: true, ..Self::new(name, run) }
    }
}

/// Runs tasks as one service of pingora's.
pub(crate) struct Background {
    tasks: Mutex<Vec<Task>>,
    life: Life,
}

impl Background {
    pub(crate) const fn new(tasks: Vec<Task>, life: Life) -> Self {
        Self { tasks: Mutex::new(tasks), life }
    }
}

#[async_trait]
impl BackgroundService for Background {
    async fn start(&self, _: ShutdownWatch) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let mut set = JoinSet::new();
        for Task { name, run, may_end } in tasks {
            let life = self.life.clone();
            let ended = Box::pin(async move { life.reaches(Stage::Over).await });
            let task = run(ended);
            set.spawn(async move {
                task.await;
                (name, may_end)
            });
        }
        while let Some(ended) = set.join_next().await {
            match ended {
                Ok((name, may_end)) if may_end || self.life.stage() >= Stage::Over => {
                    tracing::debug!(task = name, "ended")
                }
                Ok((name, _)) => tracing::error!(task = name, "a background task ended before its time"),
                Err(error) => tracing::error!(error = terms::chain(&error), "a background task broke"),
            }
        }
        self.life.reaches(Stage::Over).await;
        self.life.go(Stage::Tidy);
    }
}
