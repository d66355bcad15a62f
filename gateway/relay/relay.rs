use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hub::{Connection, Server};
use redis::streams::StreamReadReply;
use redis::{RedisError, Value};
use store::{Change, Store, StoreError};
use terms::Clock;
use tokio::task::spawn_blocking;

use crate::message::Message;

/// How long one question to Redis waits for something new, and so how late what is said here may go out.
const WAIT: Duration = Duration::from_millis(100);

/// How many changes go out or come in at a time.
const BATCH: u32 = 512;

/// About how many of the latest changes Redis keeps. Whoever missed more asks the others.
const KEPT: u32 = 1_000_000;

/// How long until the next try to reach Redis.
const AGAIN: Duration = Duration::from_secs(1);

/// Carries changes between the store and a stream.
pub struct Relay {
    server: Server,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    /// Called when something new is in the store.
    changed: Box<dyn Fn() + Send + Sync>,
    heard: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    failures: AtomicU64,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("server", &self.server).field("hearing", &self.hearing()).finish_non_exhaustive()
    }
}

/// How it does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hearing {
    /// How long ago Redis has answered; `None` if it never did.
    pub silence: Option<Duration>,
    /// How many changes went out.
    pub sent: u64,
    /// How many came in, also those that were our own.
    pub received: u64,
    /// How often it failed.
    pub failures: u64,
}

/// Why it stops for a moment.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Redis cannot be reached, or says no.
    #[error("Redis")]
    Redis(#[from] RedisError),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A task of ours broke.
    #[error("a step broke off")]
    Broke,
}

impl Relay {
    /// Carries what stands in the outbox of `store` to the other gateways, and what they say into its inbox. `changed` is
    /// called when something new is there.
    pub fn new(
        server: Server,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (heard, sent, received, failures) =
            (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { server, store, clock, changed: Box::new(changed), heard, sent, received, failures }
    }

    /// How it does.
    #[must_use]
    pub fn hearing(&self) -> Hearing {
        let heard = self.heard.load(Ordering::Relaxed);
        let silence = (heard != 0).then(|| Duration::from_secs(self.clock.unix_seconds().saturating_sub(heard)));
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Hearing { silence, sent: count(&self.sent), received: count(&self.received), failures: count(&self.failures) }
    }

    /// Carries until `shutdown`. What fails is tried again.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut quiet = false;
        loop {
            let error = tokio::select! {
                () = &mut shutdown => return,
                error = self.carry() => error,
            };
            self.failures.fetch_add(1, Ordering::Relaxed);
            if !quiet {
                tracing::warn!(error = terms::chain(&error), "what is taken back here and elsewhere does not travel");
            }
            quiet = self.hearing().silence.is_none_or(|silence| silence > AGAIN * 2);
            tokio::select! {
                () = &mut shutdown => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    /// Carries until something fails.
    async fn carry(&self) -> RelayError {
        let carried = async {
            let mut connection = self.server.connect(WAIT).await?;
            let mut cursor = self.join(&mut connection).await?;
            loop {
                self.send(&mut connection).await?;
                cursor = self.hear(&mut connection, cursor).await?;
            }
        };
        let carried: Result<std::convert::Infallible, RelayError> = carried.await;
        match carried {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    /// From where on to listen. Where something may be missing, because this gateway is new, was away too long, or Redis has
    /// lost what it had, everybody tells all again.
    async fn join(&self, connection: &mut Connection) -> Result<String, RelayError> {
        let stream = self.server.key("revocations");
        let known = self.with(Store::cursor).await?;
        let oldest = bound(connection, "XRANGE", &stream, ["-", "+"]).await?;
        let newest = bound(connection, "XREVRANGE", &stream, ["+", "-"]).await?;
        let whole = match (&known, &oldest, &newest) {
            // The entry at the cursor itself is there, or a later one is, and nothing was thrown away in between.
            (Some(known), Some(oldest), Some(newest)) => order(oldest) <= order(known) && order(known) <= order(newest),
            _ => false,
        };
        self.heard.store(self.clock.unix_seconds(), Ordering::Relaxed);
        if let (Some(known), true) = (known, whole) {
            return Ok(known);
        }
        let now = self.clock.unix_seconds();
        self.with(move |store| store.post_all(now)).await?;
        self.add(connection, &Message::Ask).await?;
        tracing::info!("asking the other gateways which tokens were taken back");
        Ok("0-0".into())
    }

    /// Says what was done here.
    async fn send(&self, connection: &mut Connection) -> Result<(), RelayError> {
        loop {
            let all = self.with(|store| store.outbox(BATCH)).await?;
            let Some(last) = all.last().cloned() else { return Ok(()) };
            for posted in all {
                self.add(connection, &Message::Change(posted.change)).await?;
                self.sent.fetch_add(1, Ordering::Relaxed);
            }
            self.with(move |store| store.sent(&last)).await?;
        }
    }

    async fn add(&self, connection: &mut Connection, message: &Message) -> Result<(), RelayError> {
        let mut command = redis::cmd("XADD");
        command.arg(self.server.key("revocations")).arg("MAXLEN").arg("~").arg(KEPT).arg("*");
        for (name, text) in message.fields() {
            command.arg(name).arg(text);
        }
        command.query_async::<Value>(connection).await?;
        Ok(())
    }

    /// Takes over what was said behind the cursor, and gives the next one.
    async fn hear(&self, connection: &mut Connection, cursor: String) -> Result<String, RelayError> {
        let mut command = redis::cmd("XREAD");
        let wait = u64::try_from(WAIT.as_millis()).unwrap_or(u64::MAX);
        command.arg("COUNT").arg(BATCH).arg("BLOCK").arg(wait);
        command.arg("STREAMS").arg(self.server.key("revocations")).arg(&cursor);
        let reply: Option<StreamReadReply> = command.query_async(connection).await?;
        self.heard.store(self.clock.unix_seconds(), Ordering::Relaxed);
        let entries: Vec<_> = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect();
        let Some(next) = entries.last().map(|last| last.id.clone()) else { return Ok(cursor) };
        let (mut changes, mut asked) = (Vec::<Change>::new(), false);
        for entry in &entries {
            match Message::read(&entry.map) {
                Ok(Message::Ask) => asked = true,
                Ok(Message::Change(change)) => changes.push(change),
                // Of a later version, perhaps. Nothing that follows may wait for it.
                Err(error) => tracing::error!(%error, entry = entry.id, "what another gateway says is not understood"),
            }
        }
        let (now, at) = (self.clock.unix_seconds(), next.clone());
        self.received.fetch_add(changes.len() as u64, Ordering::Relaxed);
        let new = self.with(move |store| store.receive(&changes, &at, now)).await?;
        if asked {
            self.with(move |store| store.post_all(now)).await?;
        }
        if new {
            (self.changed)();
        }
        Ok(next)
    }

    /// Uses the store, away from whoever must not wait for a disk.
    async fn with<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, RelayError> {
        let store = Arc::clone(&self.store);
        let stepped = spawn_blocking(move || step(&store)).await.map_err(|_| RelayError::Broke)?;
        Ok(stepped?)
    }
}

/// The first entry in this direction.
async fn bound(
    connection: &mut Connection,
    command: &str,
    stream: &str,
    range: [&str; 2],
) -> Result<Option<String>, RedisError> {
    let mut command = redis::cmd(command);
    command.arg(stream).arg(range[0]).arg(range[1]).arg("COUNT").arg(1);
    let reply: redis::streams::StreamRangeReply = command.query_async(connection).await?;
    Ok(reply.ids.into_iter().next().map(|entry| entry.id))
}

/// Entries are called by time and number, with a line between them.
fn order(id: &str) -> (u64, u64) {
    let (time, number) = id.split_once('-').unwrap_or((id, "0"));
    (time.parse().unwrap_or(0), number.parse().unwrap_or(0))
}
