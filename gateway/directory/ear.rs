use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use crate::connect::{Carrier, carrying, is_standby};
use crate::directory::Shared;
use crate::fault::Fault;
use crate::notice::Notice;

/// How often the connection of notices shows that it is one.
const BEAT: Duration = Duration::from_millis(300);

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
        fault = beat(shared, &client) => fault,
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
