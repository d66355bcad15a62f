use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::fault::Fault;

/// Whether something of ours with the database works. It says so when that changes, and not each time.
#[derive(Debug)]
pub(crate) struct Health {
    what: &'static str,
    ails: AtomicBool,
    problem: Mutex<Option<String>>,
    failures: AtomicU64,
}

impl Health {
    pub(crate) const fn of(what: &'static str) -> Self {
        Self { what, ails: AtomicBool::new(false), problem: Mutex::new(None), failures: AtomicU64::new(0) }
    }

    pub(crate) fn failed(&self, fault: &Fault) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let problem = terms::chain(fault);
        let mut last = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(&problem) {
            if fault.is_of_the_settings() {
                tracing::error!(problem, "{}", self.what);
            } else {
                tracing::warn!(problem, "{}", self.what);
            }
            *last = Some(problem);
        }
        self.ails.store(true, Ordering::Release);
    }

    /// Costs nothing but a look where all is well.
    pub(crate) fn well(&self) {
        if !self.ails.load(Ordering::Acquire) {
            return;
        }
        let mut last = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        self.ails.store(false, Ordering::Release);
        if last.take().is_some() {
            tracing::info!("no more: {}", self.what);
        }
    }

    /// What went wrong last, while something does.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}
