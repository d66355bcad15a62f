use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;

use crate::{Address, Check, CheckSettings, Upstream};

/// Asks one address once. This part has no connections; whoever has gives one of these.
pub trait Probe {
    /// Asks the address of this upstream what `check` says, over a connection of its own.
    fn probe(
        &self,
        upstream: &Upstream,
        check: &Check,
        address: SocketAddr,
    ) -> impl Future<Output = Result<(), ProbeError>> + Send;
}

/// Why an address did not pass.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The connection stood, and then something else came than an answer, or nothing.
    #[error("it broke off, or gave no answer that can be read: {0}")]
    Broke(String),
    /// The check was not over in time.
    #[error("no answer in time")]
    Late,
    /// It answered, by gRPC, that it does not serve.
    #[error("it does not serve: {0}")]
    NotServing(String),
    /// It answered with a status that is not among those of a healthy one.
    #[error("status {0}")]
    Status(u16),
    /// No connection stood.
    #[error("no connection: {0}")]
    Unconnected(String),
}

/// Checks every address of every upstream that wants it, again and again, until `shutdown` resolves.
pub async fn keep_checked(
    upstreams: Vec<Arc<Upstream>>,
    probe: Option<impl Probe + Sync>,
    shutdown: impl Future<Output = ()>,
) {
    let Some(probe) = probe else { return shutdown.await };
    let checked = upstreams.iter().filter_map(|upstream| Some((upstream, upstream.check()?)));
    let mut loops: FuturesUnordered<_> =
        checked.map(|(upstream, settings)| addresses(upstream, settings, &probe)).collect();
    // A loop does not end; without one there is nothing to do but wait for the end.
    let all = pin!(async {
        while loops.next().await.is_some() {}
        std::future::pending::<()>().await
    });
    match select(all, pin!(shutdown)).await {
        Either::Left(_) | Either::Right(_) => {}
    }
}

/// Checks the addresses that the upstream has, whichever those are.
async fn addresses(upstream: &Upstream, settings: &CheckSettings, probe: &(impl Probe + Sync)) {
    let (mut known, mut loops) = (Vec::<Arc<Address>>::new(), FuturesUnordered::new());
    loop {
        for address in upstream.members() {
            if !known.iter().any(|known| Arc::ptr_eq(known, &address)) {
                known.push(Arc::clone(&address));
                loops.push(one(upstream, settings, probe, address));
            }
        }
        tokio::select! {
            () = upstream.changed() => {}
            Some(gone) = loops.next() => known.retain(|known| !Arc::ptr_eq(known, &gone)),
        }
    }
}

/// Checks one address for as long as the upstream has it.
async fn one(
    upstream: &Upstream,
    settings: &CheckSettings,
    probe: &(impl Probe + Sync),
    address: Arc<Address>,
) -> Arc<Address> {
    while upstream.has(&address) {
        let asked = probe.probe(upstream, &settings.check, address.socket());
        let result = tokio::time::timeout(settings.timeout, asked).await.unwrap_or(Err(ProbeError::Late));
        upstream.checked(&address, settings, result, Instant::now());
        tokio::time::sleep(jittered(settings.every, fastrand::f64())).await;
    }
    address
}

/// A tenth more or less, so that gateways that were started together do not ask together for ever.
fn jittered(every: Duration, dice: f64) -> Duration {
    every.mul_f64(0.2_f64.mul_add(dice, 0.9))
}

#[cfg(test)]
mod tests;
