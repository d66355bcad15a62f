use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;

use crate::resolver::{ResolveError, Resolver};
use crate::{AddressSettings, Location, Upstream};

/// One entry under `addresses`, and what it stands for at the moment.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) at: Location,
    weight: u16,
    /// Of a name. Only the task that looks it up and those who ask for figures take the lock.
    known: Mutex<Known>,
    resolved: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    /// The last good answer.
    answer: Vec<IpAddr>,
    /// What went wrong since.
    error: Option<String>,
}

/// How long to wait after the first failure; twice as long after each further one.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Looks up every name of every upstream, again and again, until `shutdown` resolves.
pub async fn keep_resolved(
    upstreams: Vec<std::sync::Arc<Upstream>>,
    resolver: Option<Resolver>,
    shutdown: impl Future<Output = ()>,
) {
    let Some(resolver) = resolver else { return shutdown.await };
    let names = upstreams.iter().flat_map(|upstream| upstream.entries().iter().map(move |entry| (upstream, entry)));
    let names = names.filter(|(_, entry)| matches!(entry.at, Location::Name { .. }));
    let mut loops: FuturesUnordered<_> =
        names.map(|(upstream, entry)| entry.keep_resolved(upstream, &resolver)).collect();
    // A loop does not end; without one there is nothing to do but wait for the end.
    let all = std::pin::pin!(async {
        while loops.next().await.is_some() {}
        std::future::pending::<()>().await
    });
    match select(all, std::pin::pin!(shutdown)).await {
        Either::Left(_) | Either::Right(_) => {}
    }
}

impl Entry {
    pub(crate) fn new(AddressSettings { at, weight }: AddressSettings) -> Self {
        Self { at, weight, known: Mutex::default(), resolved: AtomicU64::new(0), failed: AtomicU64::new(0) }
    }

    /// What it stands for.
    pub(crate) fn sockets(&self) -> Vec<(SocketAddr, u16)> {
        match &self.at {
            Location::Literal(socket) => vec![(*socket, self.weight)],
            Location::Name { port, .. } => {
                self.known().answer.iter().map(|ip| (SocketAddr::new(*ip, *port), self.weight)).collect()
            }
        }
    }

    /// Why the last look-up failed, if it did.
    pub(crate) fn error(&self) -> Option<String> {
        self.known().error.clone()
    }

    /// How many look-ups went well, and how many failed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.resolved.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    async fn keep_resolved(&self, upstream: &Upstream, resolver: &Resolver) {
        let Location::Name { host, .. } = &self.at else { return };
        let mut failures = 0_u32;
        loop {
            let wait = match resolver.look_up(host).await {
                Ok(answer) => {
                    failures = 0;
                    self.resolved.fetch_add(1, Ordering::Relaxed);
                    if self.keep(answer.ips) {
                        upstream.relist();
                    }
                    answer.good_for
                }
                Err(error) => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    self.fail(host, &error);
                    let wait = RETRY.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_RETRY);
                    failures = failures.saturating_add(1);
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether the answer is another one than before.
    fn keep(&self, ips: Vec<IpAddr>) -> bool {
        let mut known = self.known();
        known.error = None;
        let other = known.answer != ips;
        known.answer = ips;
        other
    }

    /// The last good answer stays: an outage of name servers is not one of backends.
    fn fail(&self, host: &str, error: &ResolveError) {
        let text = terms::chain(error);
        let mut known = self.known();
        if known.error.as_ref() != Some(&text) {
            tracing::warn!(name = host, error = text, "a name cannot be looked up");
        }
        known.error = Some(text);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
