//! The background tasks run on a runtime of their own, beside the workers; each ends when the gateway does, after the
//! last request.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::life::{Life, Stage};

/// What a task is told to end by.
pub(crate) type Shutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

type Run = Box<dyn FnOnce(Shutdown) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// How long tasks may take to end.
const TIDY: Duration = Duration::from_secs(1);

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
        let (mut set, mut names) = (JoinSet::new(), HashSet::new());
        for Task { name, run, may_end } in tasks {
            names.insert(name);
            let life = self.life.clone();
            let ended = Box::pin(async move { life.reaches(Stage::Over).await });
            let task = run(ended);
            set.spawn(async move {
                task.await;
                (name, may_end)
            });
        }
        let late = async {
            self.life.reaches(Stage::Over).await;
            sleep(TIDY).await;
        };
        let mut late = std::pin::pin!(late);
        loop {
            let ended = tokio::select! {
                ended = set.join_next() => ended,
                () = &mut late => {
                    tracing::warn!(tasks = ?names, "background tasks did not end in time");
                    break;
                }
            };
            let Some(ended) = ended else { break };
            match ended {
                Ok((name, may_end)) => {
                    names.remove(name);
                    if may_end || self.life.stage() >= Stage::Over {
                        tracing::debug!(task = name, "ended");
                    } else {
                        tracing::error!(task = name, "a background task ended before its time");
                    }
                }
                Err(error) => tracing::error!(error = terms::chain(&error), "a background task broke"),
            }
        }
        self.life.reaches(Stage::Over).await;
        self.life.go(Stage::Tidy);
    }
}
