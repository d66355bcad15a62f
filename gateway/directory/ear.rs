use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use crate::connect::{Carrier, carrying, is_standby};
use crate::directory::Shared;
use crate::fault::Fault;
use crate::notice::Notice;
use crate::settings::Tenants;
use crate::tenants::Prepared;

/// How often the connection of notices shows that it is one.
const BEAT: Duration = Duration::from_millis(300);

/// How long reading all tenants may take.
const READING: Duration = Duration::from_secs(10);

/// What is told within this time is read together.
const TOGETHER: Duration = Duration::from_millis(50);

/// How long until the next try to hear.
const AGAIN: Duration = Duration::from_millis(200);

/// Hears what the database says has changed, for as long as it is polled.
pub(crate) async fn listen(shared: &Shared) {
    loop {
        let fault = attend(shared).await;
        shared.hearing.lost();
        shared.listening.failed(&fault);
        sleep(AGAIN).await;
    }
}

/// Hears until something fails.
async fn attend(shared: &Shared) -> Fault {
    let server = &shared.settings.server;
    let opened = async {
        let (client, mut carrier) = server.open().await?;
        let listen = format!("LISTEN {}", shared.settings.channel.as_str()); // a name that needs no quotes
        // What is read here is more than one answer, and nobody waits for it.
        let listen = format!("SET statement_timeout = {}; {listen}", READING.as_millis());
        let listening = async { client.batch_execute(&listen).await.map_err(|error| Fault::of(&error)) };
        carrying(&mut carrier, server.connect, listening).await?;
        Ok((client, carrier))
    };
    let (client, mut carrier) = match opened.await {
        Ok(opened) => opened,
        Err(fault) => return fault,
    };
    // ORDER: it listens, and then everything of before is forgotten. What changed in between is asked for anew.
    shared.heed(&Notice::Everything);
    tokio::select! {
        fault = heed_all(shared, &mut carrier) => fault,
        fault = attend_to(shared, &client) => fault,
    }
}

/// Heeds notices until the connection ends.
async fn heed_all(shared: &Shared, carrier: &mut Carrier) -> Fault {
    poll_fn(|cx| {
        loop {
            match std::task::ready!(carrier.poll_message(cx)) {
                Some(Ok(AsyncMessage::Notification(notification))) => {
                    shared.heed(&Notice::read(notification.payload()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(Fault::Ended),
            }
        }
    })
    .await
}

/// Asks again and again whether the database is still there. What was said before the answer has been heeded by then: it came
/// by the same connection.
async fn beat(shared: &Shared, client: &Client) -> Fault {
    loop {
        let began = Instant::now();
        match timeout(shared.settings.server.wait, is_standby(client)).await {
            Ok(Ok(false)) => shared.hearing.heard(began),
            Ok(Ok(true)) => return Fault::Standby { address: "the database".into() },
            Ok(Err(fault)) => return fault,
            Err(_) => return Fault::Late,
        }
        shared.listening.well();
        sleep(BEAT).await;
    }
}

/// Beats, and reads the tenants again whenever they may have changed. Both go over one connection at the same time.
async fn attend_to(shared: &Shared, client: &Client) -> Fault {
    match &shared.settings.tenants {
        Some(tenants) => tokio::select! {
            fault = beat(shared, client) => fault,
            fault = read_again(shared, client, tenants) => fault,
        },
        None => beat(shared, client).await,
    }
}

async fn read_again(shared: &Shared, client: &Client, settings: &Tenants) -> Fault {
    let prepared = match timeout(shared.settings.server.wait, Prepared::on(client, settings)).await {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(fault)) => return fault,
        Err(_) => return Fault::Late,
    };
    loop {
        // Before it is read: whatever is told from then on has it read once more.
        let told = shared.tenants_told.notified();
        match timeout(READING, prepared.read(client)).await {
            Ok(Ok(tenants)) => shared.take(tenants),
            Ok(Err(fault)) => return fault,
            Err(_) => return Fault::Late,
        }
        drop(timeout(settings.refresh, told).await);
        sleep(TOGETHER).await;
    }
}
