use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::bind::{QUEUE, Socket};
use crate::cap::{Caps, Place};
use crate::reception::{Door, Reception, turn_away};
use crate::{Counters, GuardSettings, Listeners, Strangers, Unparsed};

/// The service that accepts connections and hands them to one application of pingora's.
///
/// When the server shuts down it serves who waits to be accepted and stops listening. From then on every answer of
/// HTTP/1 says that its connection ends, and HTTP/2 is told to go away. What stays idle is closed after a while
/// ([`Ingress::linger`]): a request that is on its way just then would be lost, and not all clients send it again. It is
/// done when the last connection is gone.
pub struct Ingress<A> {
    sockets: Vec<Socket>,
    app: Arc<A>,
    caps: Arc<Caps>,
    reception: Arc<Reception>,
    counters: Arc<Counters>,
    linger: Duration,
}

impl<A: ServerApp + Send + Sync + 'static> Ingress<A> {
    /// Puts the service together. It listens already, and serves as soon as pingora starts it.
    pub fn new(
        listeners: Listeners,
        app: Arc<A>,
        guard: GuardSettings,
        strangers: Strangers,
        unparsed: Arc<dyn Unparsed>,
    ) -> Self {
        let counters = Arc::new(Counters::default());
        let Listeners { sockets, certificates } = listeners;
        let GuardSettings { connections, connections_per_ip, connections_per_certificate, handshakes, .. } = guard;
        let caps = Caps::new(connections, connections_per_ip, connections_per_certificate, Arc::clone(&counters));
        let handshakes = Semaphore::new(handshakes.min(Semaphore::MAX_PERMITS));
        Self {
            sockets,
            app,
            caps: Arc::new(caps),
            reception: Arc::new(Reception {
                guard,
                strangers,
                counters: Arc::clone(&counters),
                unparsed,
                certificates,
                handshakes,
                ending: Arc::default(),
                closing: watch::Sender::new(false),
            }),
            counters,
            linger: Duration::ZERO,
        }
    }

    /// How long connections that are idle when the service is told to stop are kept open for one more request. Without
    /// it they are closed at once.
    #[must_use]
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// What is counted of connections, for metrics.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    fn start(&self, listener: &Arc<TcpListener>, door: &Door) -> Accepting<A> {
        let entrance = Entrance {
            door: door.clone(),
            app: Arc::clone(&self.app),
            caps: Arc::clone(&self.caps),
            reception: Arc::clone(&self.reception),
        };
        Accepting { listener: Arc::clone(listener), entrance }
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> Service for Ingress<A> {
    async fn start_service(&mut self, _: Option<ListenFds>, shutdown: ShutdownWatch, tasks_per_listener: usize) {
        let mut tasks = Vec::new();
        let mut listening = Vec::new();
        for Socket { listener, proxies, cleartext, tls } in std::mem::take(&mut self.sockets) {
            let listener = match TcpListener::from_std(listener) {
                Ok(listener) => Arc::new(listener),
                Err(error) => {
                    // FAIL CLOSED: an address on which nothing is served.
                    tracing::error!(%error, "cannot listen");
                    continue;
                }
            };
            let door = Door { proxies, cleartext, tls };
            for _ in 0..tasks_per_listener.max(1) {
                let accepting = self.start(&listener, &door);
                // pingora makes the runtime, so what runs in it is spawned here and not listed by cli.
                tasks.push(pingora_runtime::current_handle().spawn(accepting.run(shutdown.clone())));
            }
            listening.push(self.start(&listener, &door));
        }
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "an accept loop broke off");
            }
        }
        // ORDER: before the queue is emptied, so that no answer from here on promises that its connection goes on.
        self.reception.ending.store(true, Ordering::Release);
        let mut told = shutdown;
        told.mark_changed(); // or connections of HTTP/2 that begin only now would not hear of it
        for accepting in listening {
            accepting.empty_queue(&told);
        }
        let emptied = tokio::time::timeout(self.linger, self.caps.until_empty()).await.is_ok();
        tracing::debug!(emptied, "what is idle is closed");
        self.reception.closing.send_replace(true);
        self.app.cleanup().await;
        self.caps.until_empty().await;
    }

    fn name(&self) -> &'static str {
        "ingress"
    }
}

/// One accept loop.
struct Accepting<A> {
    listener: Arc<TcpListener>,
    entrance: Entrance<A>,
}

/// The way in from an accepted socket to the application.
struct Entrance<A> {
    door: Door,
    app: Arc<A>,
    caps: Arc<Caps>,
    reception: Arc<Reception>,
}

impl<A: ServerApp + Send + Sync + 'static> Accepting<A> {
    /// Until shutdown.
    async fn run(self, mut shutdown: ShutdownWatch) {
        while !*shutdown.borrow_and_update() {
            tokio::select! {
                biased;
                changed = shutdown.changed() => {
                    if changed.is_err() {
                        return; // whoever could say so is gone
                    }
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((tcp, peer)) => self.entrance.let_in(tcp, peer, shutdown.clone()),
                    Err(error) => {
                        self.entrance.reception.counters.accept_failures.up();
                        tracing::warn!(%error, "cannot accept a connection");
                        if !is_of_one_client(&error) {
                            // Out of descriptors or memory: the connection stays in the queue, so wait for others to end.
                            tokio::time::sleep(PAUSE).await;
                        }
                    }
                },
            }
        }
    }

    /// Takes in who waits already, for whom the kernel has shaken hands: they would be reset when the socket is closed.
    /// Then new clients are turned away by the kernel, unless another process has the socket, too.
    fn empty_queue(self, shutdown: &ShutdownWatch) {
        // The loops are over, so this is the last to have it.
        let Some(Ok(listener)) = Arc::into_inner(self.listener).map(TcpListener::into_std) else {
            return;
        };
        for _ in 0..QUEUE {
            let Ok((tcp, peer)) = listener.accept() else {
                return; // nobody waits any more
            };
            match tcp.set_nonblocking(true).and_then(|()| TcpStream::from_std(tcp)) {
                Ok(tcp) => self.entrance.let_in(tcp, peer, shutdown.clone()),
                Err(error) => tracing::debug!(%peer, %error, "a connection ended before it was one"),
            }
        }
    }
}

impl<A: ServerApp + Send + Sync + 'static> Entrance<A> {
    fn let_in(&self, tcp: TcpStream, peer: SocketAddr, shutdown: ShutdownWatch) {
        self.reception.counters.accepted.up();
        match self.enter(peer) {
            Ok(place) => self.serve(tcp, peer, place, shutdown),
            Err(Closed::Full) if self.door.tls.is_none() => turn_away(tcp),
            Err(Closed::Full | Closed::Stranger) => {}
        }
    }

    /// Takes a place for a connection, where the listener takes any from there.
    fn enter(&self, peer: SocketAddr) -> Result<Place, Closed> {
        let place = match &self.door.proxies {
            None if self.reception.keeps_out(peer.ip()) => return Err(Closed::Stranger),
            None => self.caps.enter(peer.ip()),
            Some(proxies) if proxies.contains(peer.ip()) => self.caps.enter_unknown(),
            Some(_) => {
                // FAIL CLOSED: whoever comes round the proxies could say to be anybody.
                self.reception.counters.refused_stranger.up();
                tracing::debug!(%peer, "a connection that is not from a proxy");
                return Err(Closed::Stranger);
            }
        };
        place.map_err(|full| {
            tracing::debug!(%peer, ?full, "no place for a connection");
            Closed::Full
        })
    }

    /// Serves a connection to its end, in a task of its own.
    fn serve(&self, tcp: TcpStream, peer: SocketAddr, place: Place, shutdown: ShutdownWatch) {
        let (app, reception, door) = (Arc::clone(&self.app), Arc::clone(&self.reception), self.door.clone());
        pingora_runtime::current_handle().spawn(async move {
            let mut next = reception.receive(tcp, peer, &door, place).await;
            while let Some(stream) = next {
                next = app.process_new(stream, &shutdown).await;
            }
        });
    }
}

/// Why a connection is closed as soon as it is there.
enum Closed {
    Full,
    Stranger,
}

const PAUSE: Duration = Duration::from_millis(100);

fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

impl<A> fmt::Debug for Ingress<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingress")
            .field("sockets", &self.sockets)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
