//! Values of Vault: asked for at the start, and again and again while the gateway runs.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::Cause;
use secrets::{Secret, VaultPlace};
use tokio::time::{sleep, sleep_until};
use vault::{Found, Vault, VaultError};

use crate::background::Shutdown;
use crate::following::Following;
use crate::hangup;

/// Whether Vault is asked for its values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asking {
    /// It is not. In the place of each value stands one that is made up, so that the rest can be looked at.
    Nobody,
    /// It is.
    Vault,
}

/// How long it is until Vault is asked again that did not answer; it doubles, up to `refresh`.
const AGAIN: Duration = Duration::from_secs(1);

/// Reads one value, waiting for what may pass. For the start, when nothing runs yet.
pub(crate) fn read(vault: &Vault, place: &VaultPlace, until: Instant) -> Result<Secret<Vec<u8>>, VaultError> {
    let asking = async {
        let mut wait = Duration::from_millis(100);
        loop {
            match vault.read(std::slice::from_ref(place)).await {
                Err(error) if error.may_pass() && Instant::now() + wait < until => sleep(wait).await,
                Err(error) => return Err(error),
                Ok(mut found) => return found.remove(place).unwrap_or(Err(VaultError::Answer("it is none"))),
            }
            wait = (wait * 2).min(Duration::from_secs(2));
        }
    };
    // A thread of its own, since whoever calls this may have a runtime that must not be waited in.
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(asking))
        });
        match asked.join() {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => Err(VaultError::Here(error)),
            Err(_) => Err(VaultError::Here(io::Error::other("the thread that asks broke"))),
        }
    })
}

/// Keeps values in step with Vault, and us known to it, until the gateway ends.
pub(crate) async fn run(vault: Arc<Vault>, refresh: Duration, following: Arc<Following>, shutdown: Shutdown) {
    tokio::select! {
        () = shutdown => {}
        () = keep(&vault, refresh, &following) => {}
    }
}

async fn keep(vault: &Vault, refresh: Duration, following: &Arc<Following>) {
    let Ok(mut hangup) = hangup::listen() else {
        tracing::error!("SIGHUP cannot be awaited");
        return std::future::pending().await;
    };
    let places = following.followed.places();
    let mut read_at = Instant::now() + about(refresh);
    let mut failed = 0;
    let mut told = None;
    loop {
        let tended = vault.tend().await;
        let due = tended.unwrap_or_else(|error| {
            tell(&mut told, Some(&error));
            Some(Instant::now() + pause(failed + 1, refresh))
        });
        tokio::select! {
            _ = hangup.recv() => read_at = Instant::now(),
            () = sleep_until(due.map_or(read_at, |due| due.min(read_at)).into()) => {}
        }
        if read_at > Instant::now() {
            continue;
        }
        match vault.read(&places).await {
            Ok(found) => {
                failed = 0;
                tell(&mut told, None);
                take_over(following, found).await;
                read_at = Instant::now() + about(refresh);
            }
            Err(error) => {
                failed += 1;
                tell(&mut told, Some(&error));
                read_at = Instant::now() + pause(failed, refresh);
            }
        }
    }
}

async fn take_over(following: &Arc<Following>, found: Found) {
    let following = Arc::clone(following);
    // What is told of it waits for the log.
    let looking = tokio::task::spawn_blocking(move || {
        // Whoever has changed it there is known to Vault.
        following.look(Cause::Unknown, |reference| {
            let value = found.get(reference.vault()?)?.as_ref().map_err(|error| terms::chain(error));
            let value = value.map(|value| Secret::new(value.expose().clone()));
            Some(value.and_then(|value| secrets::accept(reference, value).map_err(|error| terms::chain(&error))))
        });
    });
    if looking.await.is_err() {
        tracing::error!("taking over values of Vault broke; those in force stay");
    }
}

/// Says what has become of Vault, once.
fn tell(told: &mut Option<String>, error: Option<&VaultError>) {
    let now = error.map(|error| terms::chain(error));
    match (&told, &now) {
        (Some(_), None) => tracing::info!("Vault answers again"),
        (before, Some(why)) if before.as_ref() != Some(why) => {
            tracing::error!("Vault cannot be asked, the last good values stay: {why}");
        }
        _ => {}
    }
    *told = now;
}

/// A tenth more or less, so that gateways do not come together.
fn about(span: Duration) -> Duration {
    span.mul_f64(0.9 + 0.2 * fastrand::f64())
}

/// How long to leave a Vault alone that has not answered so often in a row.
fn pause(failed: u32, longest: Duration) -> Duration {
    about(AGAIN.saturating_mul(1 << failed.saturating_sub(1).min(10)).min(longest))
}
