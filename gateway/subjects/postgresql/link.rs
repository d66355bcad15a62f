use std::sync::Arc;
use std::time::Duration;

use directory::{Fault, Server};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::Client;

use crate::ShelfError;

/// The way to the database: one connection, made again where it is gone. Whoever asks waits, on a thread that may.
pub(super) struct Link {
    server: Arc<Server>,
    place: String,
    /// `None`: it is being dropped.
    runtime: Option<Runtime>,
    open: Option<Open>,
}

/// A connection, and what carries it.
struct Open {
    client: Client,
    carrier: BoxFuture<'static, ()>,
}

/// The format of the tables.
const FORMAT: i32 = 1;

/// What they are called where something is wrong with them.
const WHAT: &str = "audit.privacy.postgresql";

impl Link {
    pub(super) fn new(server: Arc<Server>) -> Result<Self, ShelfError> {
        let address = server.addresses.first().map(ToString::to_string).unwrap_or_default();
        let place = format!("the database `{}` at {address}", server.database);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ShelfError::Unusable(place.clone(), error.into()))?;
        Ok(Self { server, place, runtime: Some(runtime), open: None })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Asks something for a request, or does what may as well be done twice.
    pub(super) fn ask<T>(&mut self, work: impl AsyncFnOnce(&mut Client) -> Result<T, Fault>) -> Result<T, ShelfError> {
        let wait = self.server.wait;
        self.go(wait, work).map_err(|fault| ShelfError::Unusable(self.place.clone(), fault.into()))
    }

    /// Does something that must not be done twice, and for which somebody waits.
    pub(super) fn change<T>(
        &mut self,
        within: Duration,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Fault>,
    ) -> Result<T, ShelfError> {
        let patient = format!("SET statement_timeout = {}", within.as_millis());
        let hasty = format!("SET statement_timeout = {}", self.server.wait.as_millis());
        let mut begun = false;
        let began = &mut begun;
        let done = self.go(within, async |client| {
            run(client, &patient).await?;
            *began = true;
            let done = work(client).await?;
            run(client, &hasty).await.map(|()| done)
        });
        done.map_err(|fault| {
            let place = self.place.clone();
            if begun && matches!(fault, Fault::Ended | Fault::Late) {
                ShelfError::Unanswered(place, fault.into())
            } else {
                ShelfError::Unusable(place, fault.into())
            }
        })
    }

    fn go<T>(&mut self, within: Duration, work: impl AsyncFnOnce(&mut Client) -> Result<T, Fault>) -> Result<T, Fault> {
        let Self { server, runtime, open, .. } = self;
        let runtime = runtime.as_ref().ok_or(Fault::Ended)?;
        runtime.block_on(async {
            // One that was left alone may have ended meanwhile. It is not asked, so that nothing needs to be asked twice.
            let kept = open.take().and_then(|mut it| (&mut it.carrier).now_or_never().is_none().then_some(it));
            let mut now = match kept {
                Some(open) => open,
                None => connect(server).await?,
            };
            let Open { client, carrier } = &mut now;
            let done = tokio::select! {
                biased;
                done = timeout(within, work(client)) => done.unwrap_or(Err(Fault::Late)),
                () = carrier => Err(Fault::Ended),
            };
            // After anything else nobody knows what it is in the middle of.
            if done.is_ok() {
                *open = Some(now);
            }
            done
        })
    }
}

/// A connection to a vault of our format.
async fn connect(server: &Server) -> Result<Open, Fault> {
    // A row is on disk before anybody hears of it, whatever else is the custom there; who does not go on does not keep others.
    let wait = server.wait.as_millis();
    let session = format!(
        "SET statement_timeout = {wait}; SET idle_in_transaction_session_timeout = '60s'; SET search_path = pg_catalog; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') <> 'remote_apply'"
    );
    let (client, carrier) = server.connect(&session).await?;
    let mut open = Open { client, carrier };
    let Open { client, carrier } = &mut open;
    tokio::select! {
        biased;
        known = timeout(server.connect, is_known(client)) => known.unwrap_or(Err(Fault::Late))?,
        () = carrier => return Err(Fault::Ended),
    }
    Ok(open)
}

async fn is_known(client: &Client) -> Result<(), Fault> {
    let unfit = |why: String| Fault::Unfit { what: WHAT, why };
    let made = "make them by config/postgresql/subjects.sql, as their owner";
    match client.query_typed("SELECT cloister_subjects.format()", &[]).await {
        Ok(rows) => match rows.first().map_or(0, |row| row.get::<_, i32>(0)) {
            FORMAT => Ok(()),
            later if later > FORMAT => Err(unfit(format!(
                "its tables are of format {later}, and this program knows {FORMAT}: a later one made them"
            ))),
            before => Err(unfit(format!("its tables are of format {before}, and this program needs {FORMAT}: {made}"))),
        },
        Err(error) => Err(of_tables(Fault::of(&error), made)),
    }
}

/// No such schema or function, or none for this role.
fn of_tables(fault: Fault, made: &str) -> Fault {
    match &fault {
        Fault::Query(code) if ["3F000", "42883", "42501"].contains(&code.code()) => {
            let code = code.code();
            let why = format!(
                "there are no tables that its user may use (SQLSTATE {code}): {made}, and connect as `cloister_subjects`"
            );
            Fault::Unfit { what: WHAT, why }
        }
        Fault::Ended
        | Fault::Late
        | Fault::Query(_)
        | Fault::Refused { .. }
        | Fault::Standby { .. }
        | Fault::Unfit { .. }
        | Fault::Unreachable { .. } => fault,
    }
}

async fn run(client: &Client, sql: &str) -> Result<(), Fault> {
    client.batch_execute(sql).await.map_err(|error| Fault::of(&error))
}

/// Also where nothing may be waited for.
impl Drop for Link {
    fn drop(&mut self) {
        drop(self.open.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
