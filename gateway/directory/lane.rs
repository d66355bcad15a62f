use std::sync::Arc;
use std::time::Duration;

use terms::Live;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::connect::{Carrier, carrying};
use crate::directory::Shared;
use crate::fault::Fault;
use crate::membership::Prepared;
use crate::settings::Memberships;

/// One connection that answers questions, made again whenever it is gone. What several ask goes over it at the same time.
pub(crate) struct Lane {
    ready: Live<Option<Arc<Ready>>>,
}

/// A connection that has shown that it answers.
pub(crate) struct Ready {
    pub(crate) client: Client,
    pub(crate) memberships: Prepared,
    given_up: Notify,
}

/// How long until the next try to connect, at first and at most.
const AGAIN: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

impl Lane {
    pub(crate) fn new() -> Self {
        Self { ready: Live::new(None) }
    }

    /// The connection, if it is there.
    pub(crate) fn ready(&self) -> Option<Arc<Ready>> {
        Option::clone(&self.ready.glance())
    }

    /// Does without a connection that does not answer: whoever asks after this one does not wait for it.
    pub(crate) fn give_up(&self, ready: &Arc<Ready>) {
        if self.ready().is_some_and(|now| Arc::ptr_eq(&now, ready)) {
            self.ready.replace(None);
        }
        ready.given_up.notify_one();
    }

    /// Keeps a connection for as long as it is polled.
    pub(crate) async fn keep(&self, shared: &Shared, settings: &Memberships) {
        let mut again = AGAIN;
        loop {
            match connect(shared, settings).await {
                Ok((ready, carrier)) => {
                    again = AGAIN;
                    self.ready.replace(Some(Arc::clone(&ready)));
                    shared.meet();
                    tokio::select! {
                        _ = carrier => {}
                        () = ready.given_up.notified() => {}
                    }
                    self.ready.replace(None);
                    shared.asking.failed(&Fault::Ended);
                }
                Err(fault) => shared.asking.failed(&fault),
            }
            sleep(again).await;
            again = (again * 2).min(LONGEST);
        }
    }
}

/// Makes a connection that has shown that it answers.
pub(crate) async fn connect(shared: &Shared, settings: &Memberships) -> Result<(Arc<Ready>, Carrier), Fault> {
    let server = &shared.settings.server;
    let (client, mut carrier) = server.open().await?;
    let prepare = Prepared::on(&client, settings);
    let memberships = carrying(&mut carrier, server.connect, prepare).await?;
    Ok((Arc::new(Ready { client, memberships, given_up: Notify::new() }), carrier))
}
