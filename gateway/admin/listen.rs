use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::Admin;

/// Connections at once. The next one waits in the kernel's queue until one of these ends.
const CONNECTIONS: usize = 64;
/// From the last answer (or the connection's start) to the end of the next head.
const HEAD: Duration = Duration::from_secs(10);
/// The longest a connection lives, however busy it is; scrapers reconnect.
const LIFETIME: Duration = Duration::from_secs(120);
/// How long an answer under way may take to finish once its connection has to end.
const GRACE: Duration = Duration::from_secs(2);
const HEAD_BYTES: usize = 16 * 1024;
const FIELDS: usize = 64;

/// The admin listener cannot be had at this address.
#[derive(Debug, thiserror::Error)]
#[error("the admin listener cannot listen on `{address}`")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// The admin listener cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("the admin listener cannot be watched for connections")]
pub struct ServeError(#[source] io::Error);

/// An admin listener that has its port, but answers nobody yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

impl Admin {
    /// Takes the port at once, so that a port in use is found before anything runs. Needs no runtime.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn bind(self, address: SocketAddr) -> Result<Bound, BindError> {
        let bound = TcpListener::bind(address).and_then(|listener| self.on(listener));
        bound.map_err(|source| BindError { address, source })
    }

    /// Takes a socket that listens already.
    ///
    /// # Errors
    /// When the system does not let it be used.
    pub fn on(self, listener: TcpListener) -> io::Result<Bound> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "the admin listener asks nobody who they are, and this address is not loopback: \
                keep clients and tenants away from it");
        }
        Ok(Bound { listener, address, router: self.router() })
    }
}

impl Bound {
    pub(crate) fn of(listener: TcpListener, router: Router) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, router })
    }

    /// Where it listens: the port that the system chose, where 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket once more, for whoever takes it over.
    ///
    /// # Errors
    /// What the system says.
    pub fn duplicate(&self) -> io::Result<TcpListener> {
        self.listener.try_clone()
    }

    /// Answers until `shutdown` ends, then lets answers under way finish for two seconds.
    ///
    /// # Errors
    /// When the listener cannot be handed to the runtime. A connection that fails ends alone.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let listener = tokio::net::TcpListener::from_std(self.listener).map_err(ServeError)?;
        let mut connections = JoinSet::new();
        let (closing, _) = watch::channel(false);
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(ended) = connections.join_next() => report(ended),
                accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(converse(stream, self.router.clone(), closing.subscribe()));
                    }
                    Err(error) => {
                        // Out of file descriptors, mostly: the queue stays, so do not spin on it.
                        tracing::warn!(%error, "the admin listener could not accept a connection");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop(listener);
        closing.send_replace(true);
        let drain = async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
        };
        if timeout(GRACE, drain).await.is_err() {
            tracing::warn!("an answer of the admin listener was cut off at shutdown");
        }
        Ok(())
    }
}

/// Serves one connection, within bounds on its head, its fields and its life.
async fn converse(stream: TcpStream, router: Router, mut closing: watch::Receiver<bool>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(FIELDS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let told = async { drop(closing.wait_for(|closing| *closing).await) };
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = told => None,
        () = sleep(LIFETIME) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            timeout(GRACE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the admin listener broke off");
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an answer of the admin listener panicked");
    }
}
