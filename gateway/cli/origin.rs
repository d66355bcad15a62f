//! What this process has from others when it starts.

use std::path::Path;
use std::sync::Arc;

use audit::{Committer, Journal};
use ingress::Inherited;
use terms::Clock;

use crate::activation;
use crate::failure::Failure;
use crate::log_fault;
use crate::logs::Whose;
use crate::notify::{self, Supervisor};
use crate::upgrade::Upgrade;

/// Sockets that listen already, a process to take over from, a supervisor to tell how it goes.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    pub(crate) inherited: Inherited,
    pub(crate) upgrade: Option<Upgrade>,
    pub(crate) supervisor: Arc<Supervisor>,
}

impl Origin {
    /// A start like any other, by hand or by a supervisor.
    pub(crate) fn start() -> Result<Self, Failure> {
        let inherited = activation::passed()?;
        Ok(Self { inherited, upgrade: None, supervisor: supervisor(notify::Whose::Mine)? })
    }

    /// A start that takes over from the process with this state folder.
    pub(crate) fn upgrade(state: &Path) -> Result<Self, Failure> {
        let mut inherited = Inherited::default();
        let upgrade = Upgrade::begin(state, &mut inherited)?;
        Ok(Self { inherited, upgrade: Some(upgrade), supervisor: supervisor(notify::Whose::Inherited)? })
    }

    /// Every socket that came along has been asked for, or is closed.
    pub(crate) fn all_taken(&mut self) -> Result<(), Failure> {
        if self.upgrade.is_none() {
            return activation::all_taken(&self.inherited);
        }
        for address in self.inherited.left() {
            tracing::info!(%address, "the configuration does not name this address any more");
        }
        self.inherited = Inherited::default();
        Ok(())
    }

    /// The audit log, from the process before or from its folder.
    pub(crate) fn journal(
        &mut self,
        settings: audit::Settings,
        whose: Whose,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Journal>, Committer), Failure> {
        match &mut self.upgrade {
            Some(upgrade) => upgrade.journal(settings, whose, clock),
            None => Journal::open(settings, clock).map_err(|error| log_fault::unopened(&error)),
        }
    }
}

fn supervisor(whose: notify::Whose) -> Result<Arc<Supervisor>, Failure> {
    let supervisor = Supervisor::of_environment(whose);
    Ok(Arc::new(supervisor.map_err(|error| Failure::setup("the supervisor cannot be told how it goes", &error))?))
}
