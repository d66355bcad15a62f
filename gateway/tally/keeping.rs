use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, join_all};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use hub::{Connection, Together};
use redis::RedisError;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::leases::{LASTS, RENEWED};
use crate::owed::{self, Owed};
use crate::parts::Parts;
use crate::script::{self, SETTLE};
use crate::tally::{Shared, micros};

/// How often it is looked whether the store can be written, also while nobody asks.
const BEAT: Duration = Duration::from_secs(1);

/// How long the store may take for what no request waits for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long until the next try to reach it.
const AGAIN: Duration = Duration::from_millis(500);

/// In how many parts of a cluster it is looked for one that is well.
const PARTS: usize = 8;

/// How much of what is due goes out at a time.
const BATCH: usize = 256;

/// What is due, on its way to the store.
#[derive(Default)]
struct Waiting<'a> {
    telling: FuturesUnordered<BoxFuture<'a, Option<Owed>>>,
    /// What could not be told before.
    telling_again: FuturesUnordered<BoxFuture<'a, Option<Owed>>>,
    put_off: Vec<Owed>,
}

impl Shared {
    /// Until `shutdown`, and then until what is due was told or cannot be.
    pub(crate) async fn keep(&self, shutdown: impl Future<Output = ()>) {
        let taken = self.owed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut owed) = taken else { return }; // somebody keeps it already
        let mut waiting = Waiting::default();
        tokio::select! {
            () = shutdown => {}
            () = self.connect() => {}
            () = self.settle(&mut owed, &mut waiting) => {}
            () = self.renew() => {}
        }
        let Waiting { telling, telling_again, put_off: mut rest } = waiting;
        rest.extend(telling.chain(telling_again).filter_map(std::future::ready).collect::<Vec<_>>().await);
        while let Ok(next) = owed.try_recv() {
            rest.push(next);
        }
        let untold = self.tell(rest).await.len();
        if untold > 0 {
            tracing::warn!(count = untold, "what was due at limits was not told: its leases run out by themselves");
        }
    }

    /// Has a connection that is good for something, or none.
    async fn connect(&self) {
        loop {
            match self.try_to_connect().await {
                Ok(connection) => {
                    self.connection.replace(Some(connection.clone()));
                    self.health.well();
                    let error = self.watch(connection).await;
                    self.connection.replace(None);
                    self.health.ill(error);
                }
                Err(error) => self.health.ill(error),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn try_to_connect(&self) -> Result<Connection, String> {
        let mut connection =
            self.settings.server.connect(Duration::ZERO).await.map_err(|error| terms::chain(&error))?;
        self.beat(&mut connection).await?;
        Ok(connection)
    }

    /// Until it is good for nothing any more.
    async fn watch(&self, mut connection: Connection) -> String {
        loop {
            tokio::select! {
                () = self.doubt.notified() => {}
                () = tokio::time::sleep(BEAT) => {}
            }
            if let Err(error) = self.beat(&mut connection).await {
                return error;
            }
        }
    }

    /// Whether we may write there, and run scripts: one that was a primary says `PONG` all the same. Of a cluster some part is
    /// enough: a node that is lost takes its own keys with it, and no others.
    async fn beat(&self, connection: &mut Connection) -> Result<(), String> {
        let parts = if connection.together() == Together::All { 1 } else { PARTS };
        let beats = (0..parts).map(|part| self.beat_in(connection.clone(), part));
        let beats = join_all(beats).await;
        let mut last = Ok(());
        for beat in beats {
            if beat.is_ok() {
                return beat;
            }
            last = beat;
        }
        last
    }

    async fn beat_in(&self, mut connection: Connection, part: usize) -> Result<(), String> {
        let key = self.settings.server.key(&format!("limits:{{beat-{part}}}"));
        let beat = SETTLE.run::<i64>(&mut connection, |command| {
            command.arg(1).arg(&key).arg("beat");
        });
        match timeout(PATIENCE, beat).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(terms::chain(&error)),
            Err(_) => Err("it does not answer".to_owned()),
        }
    }

    /// Tells the store what is due. While there is none, that waits; what only some part of it does not take is put off, and
    /// nothing else waits for it.
    async fn settle<'a>(&'a self, owed: &mut mpsc::Receiver<Owed>, waiting: &mut Waiting<'a>) {
        let Waiting { telling, telling_again, put_off } = waiting;
        let (mut batch, mut again) = (Vec::with_capacity(BATCH), Instant::now());
        loop {
            let connection = self.connection.glance().as_ref().clone();
            let tell = |connection: &Connection, owed| self.tell_one(connection.clone(), owed).boxed();
            let has_room = telling.len() <= BATCH && (connection.is_some() || put_off.is_empty());
            let wait = again.saturating_duration_since(Instant::now());
            tokio::select! {
                Some(told) = telling.next() => if let Some(untold) = told {
                    put_off.push(untold);
                    self.doubt.notify_one();
                },
                Some(told) = telling_again.next() => if let Some(untold) = told {
                    put_off.push(untold);
                    again = Instant::now() + AGAIN;
                },
                count = owed.recv_many(&mut batch, BATCH), if has_room => {
                    if count == 0 {
                        return;
                    }
                    if let Some(connection) = connection {
                        let (together, now) = (connection.together(), self.now());
                        let is_left_alone = |owed: &mut Owed| self.parts.is_left_alone(Parts::of(together, &owed.key), now);
                        put_off.extend(batch.extract_if(.., is_left_alone));
                        telling.extend(batch.drain(..).map(|owed| tell(&connection, owed)));
                    } else {
                        put_off.append(&mut batch);
                    }
                }
                () = tokio::time::sleep(wait), if telling_again.is_empty() && !put_off.is_empty() => {
                    if let Some(connection) = connection {
                        let oldest = put_off.drain(..put_off.len().min(BATCH));
                        telling_again.extend(oldest.map(|owed| tell(&connection, owed)));
                    } else {
                        again = Instant::now() + AGAIN;
                    }
                }
            }
            let beyond = put_off.len().saturating_sub(owed::MOST);
            put_off.drain(..beyond);
            self.counts.unsettled.fetch_add(u64::try_from(beyond).unwrap_or(u64::MAX), Ordering::Relaxed);
            self.counts.underway.store(telling.len() + telling_again.len() + put_off.len(), Ordering::Relaxed);
        }
    }

    /// What could not be told, and is to be told again.
    async fn tell(&self, batch: Vec<Owed>) -> Vec<Owed> {
        let Some(connection) = self.connection.glance().as_ref().clone() else { return batch };
        // All at once, over one connection.
        let told = join_all(batch.into_iter().map(|owed| self.tell_one(connection.clone(), owed))).await;
        let untold: Vec<_> = told.into_iter().flatten().collect();
        if !untold.is_empty() {
            self.doubt.notify_one();
        }
        untold
    }

    async fn tell_one(&self, mut connection: Connection, owed: Owed) -> Option<Owed> {
        let Owed { key, due, lease, begun } = &owed;
        let complete = |command: &mut redis::Cmd| {
            command.arg(1).arg(key);
            script::due(command, *due, lease, *begun);
        };
        match timeout(PATIENCE, SETTLE.run::<i64>(&mut connection, complete)).await {
            Ok(Ok(_)) => None,
            // The script itself does not get on with what it finds there: it never will.
            Ok(Err(error)) if is_of_the_script(&error) => {
                self.counts.unsettled.fetch_add(1, Ordering::Relaxed);
                tracing::error!(error = terms::chain(&error), key, "what is due at a limit cannot be settled");
                None
            }
            Ok(Err(_)) | Err(_) => Some(owed),
        }
    }

    /// Renews the places of requests that last.
    async fn renew(&self) {
        loop {
            tokio::time::sleep(RENEWED).await;
            let connection = self.connection.glance().as_ref().clone();
            let Some(connection) = connection else { continue };
            let together = connection.together();
            let mut lasting = self.leases.lasting(Instant::now());
            // Those that a lost node has are lost with it, and do not hold up the others.
            lasting.retain(|(key, _)| !self.parts.is_left_alone(Parts::of(together, key), self.now()));
            for some in lasting.chunks(BATCH) {
                let renewed =
                    join_all(some.iter().map(|(key, lease)| self.renew_one(connection.clone(), key, lease))).await;
                if renewed.contains(&false) {
                    self.doubt.notify_one();
                }
            }
        }
    }

    /// Whether the store was told that a place is still taken.
    async fn renew_one(&self, mut connection: Connection, key: &str, lease: &str) -> bool {
        let complete = |command: &mut redis::Cmd| {
            command.arg(1).arg(key).arg("renew").arg(lease).arg(micros(LASTS));
        };
        matches!(timeout(PATIENCE, SETTLE.run::<i64>(&mut connection, complete)).await, Ok(Ok(_)))
    }
}

/// Whether a key is not what the script has made.
fn is_of_the_script(error: &RedisError) -> bool {
    error.code().is_some_and(|code| ["ERR", "WRONGTYPE"].contains(&code))
}
