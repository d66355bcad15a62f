use std::time::Duration;

use futures::future::BoxFuture;
use rustls_pki_types::ServerName;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, SimpleQueryMessage};
use tokio_rustls::TlsConnector;

use crate::fault::Fault;
use crate::settings::{Address, Security, Server};
use crate::wire::{Secured, Securing, Wire, reach};

/// What carries what a [`Client`] asks and is told. It must be polled.
pub(crate) type Carrier = tokio_postgres::Connection<Wire, Secured>;

/// What the connection is called in `pg_stat_activity`.
const NAME: &str = "cloister";

/// Does something over a connection while it is carried.
pub(crate) async fn carrying<T>(
    carrier: &mut Carrier,
    within: Duration,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    tokio::select! {
        biased;
        done = timeout(within, work) => done.unwrap_or(Err(Fault::Late)),
        _ = carrier => Err(Fault::Ended),
    }
}

impl Server {
    /// Connects to the first of its addresses that is no standby.
    pub(crate) async fn open(&self) -> Result<(Client, Carrier), Fault> {
        // Before anything is asked: nothing that is asked may write, or hold up those behind it.
        let limit = self.wait.as_millis() / 2;
        self.open_with(&format!("SET statement_timeout = {limit}; SET default_transaction_read_only = on")).await
    }

    async fn open_with(&self, session: &str) -> Result<(Client, Carrier), Fault> {
        let mut last = Fault::Late;
        for address in &self.addresses {
            match timeout(self.connect, self.open_at(address, session)).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err(fault)) => last = fault,
                Err(_) => last = Fault::Late,
            }
        }
        Err(last)
    }

    /// Connects to the first of its addresses that is no standby, for something else than to ask who belongs where. `session`
    /// is what every connection begins with. The client works while the second part is polled.
    ///
    /// # Errors
    /// When none of them lets us in.
    pub async fn connect(&self, session: &str) -> Result<(Client, BoxFuture<'static, ()>), Fault> {
        let (client, carrier) = self.open_with(session).await?;
        Ok((client, Box::pin(async move { drop(carrier.await) })))
    }

    async fn open_at(&self, address: &Address, session: &str) -> Result<(Client, Carrier), Fault> {
        let at = || address.to_string();
        let (mut config, securing) = self.config(address);
        if let Some(password) = &self.password {
            config.password(password.glance().expose());
        }
        let wire = reach(address).await.map_err(|error| Fault::Unreachable { address: at(), error })?;
        let refused = |error| Fault::Refused { address: at(), error };
        let (client, mut carrier) = config.connect_raw(wire, securing).await.map_err(refused)?;
        let settle = async {
            client.batch_execute(session).await.map_err(|error| Fault::of(&error))?;
            if is_standby(&client).await? { Err(Fault::Standby { address: at() }) } else { Ok(()) }
        };
        carrying(&mut carrier, self.connect, settle).await?;
        Ok((client, carrier))
    }

    fn config(&self, address: &Address) -> (Config, Securing) {
        let mut config = Config::new();
        config.user(&self.user).dbname(&self.database).application_name(NAME);
        let securing = match (&self.security, address) {
            (Security::Tls(judge), Address::Tcp { host, .. }) => {
                config.ssl_mode(SslMode::Require);
                let name = ServerName::try_from(host.to_string()).ok();
                Securing(name.map(|name| (TlsConnector::from(std::sync::Arc::clone(judge)), name)))
            }
            (Security::Plain, _) | (Security::Tls(_), Address::Unix(_)) => {
                config.ssl_mode(SslMode::Disable);
                Securing(None)
            }
        };
        (config, securing)
    }
}

/// Whether what is read there may be old.
pub(crate) async fn is_standby(client: &Client) -> Result<bool, Fault> {
    let told = client.simple_query("SELECT pg_catalog.pg_is_in_recovery()").await.map_err(|error| Fault::of(&error))?;
    let row = told.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => None,
    });
    Ok(row != Some("f")) // FAIL CLOSED: what does not say that it is the primary is none
}
