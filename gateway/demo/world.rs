use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use futures::future::BoxFuture;
use terms::Clock;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::trust::Trust;
use crate::{Issuer, MintError, Minted, Tour, User, issuer, orders, streams, web};

/// The `iss` of the gateway's assertions in the demo.
const GATEWAY: &str = "http://gateway.localhost";
/// WebSocket conversations at once.
const CONVERSATIONS: usize = 256;

/// Where everything listens. Port 0 means: any that is free.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Places {
    /// The gateway's listener.
    pub gateway: SocketAddr,
    /// The gateway's admin listener, from which the backends fetch its keys.
    pub admin: SocketAddr,
    /// The development issuer.
    pub issuer: SocketAddr,
    /// The backend with orders.
    pub orders: SocketAddr,
    /// The backend with streams and files.
    pub streams: SocketAddr,
}

/// The gateway on 8080, its admin listener on 9901, the others anywhere; all on loopback.
impl Default for Places {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            gateway: loopback(8080),
            admin: loopback(9901),
            issuer: loopback(0),
            orders: loopback(0),
            streams: loopback(0),
        }
    }
}

/// The demo's world could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No HTTP client for the backends.
    #[error("the demo has no http client")]
    Client(#[source] reqwest::Error),
    /// A port is in use, most likely.
    #[error("the demo cannot listen on `{address}`")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The issuer has no keys.
    #[error("the demo has no issuer")]
    Mint(#[from] MintError),
    /// A server ended by itself.
    #[error("a server of the demo ended")]
    Serve(#[source] io::Error),
    /// No TLS for the client, which it needs to be built even if it never uses it.
    #[error("the demo has no tls")]
    Tls(#[source] rustls::Error),
}

/// An issuer and two backends that have their ports, but answer nobody before [`Demo::run`].
#[derive(Debug)]
pub struct Demo {
    places: Places,
    issuer: Arc<Issuer>,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    listeners: [TcpListener; 3],
}

impl Demo {
    /// Takes the ports and makes the issuer's keys. Needs no runtime.
    ///
    /// # Errors
    /// When a port cannot be had or a key cannot be made.
    pub fn start(places: Places, clock: Arc<dyn Clock>) -> Result<Self, DemoError> {
        let (issuing, issuer_place) = listen(places.issuer)?;
        let (ordering, orders_place) = listen(places.orders)?;
        let (streaming, streams_place) = listen(places.streams)?;
        let (gateway, admin) = free(places.gateway, places.admin)?;
        let places = Places { gateway, admin, issuer: issuer_place, orders: orders_place, streams: streams_place };
        Ok(Self {
            issuer: Arc::new(Issuer::new(format!("http://{issuer_place}"), clock.clone())?),
            http: web::client().map_err(DemoError::Tls)?.build().map_err(DemoError::Client)?,
            places,
            clock,
            listeners: [issuing, ordering, streaming],
        })
    }

    /// Where everything listens, every port settled.
    #[must_use]
    pub const fn places(&self) -> Places {
        self.places
    }

    /// The development issuer, to mint tokens with.
    #[must_use]
    pub const fn issuer(&self) -> &Arc<Issuer> {
        &self.issuer
    }

    /// The tour of the gateway in front of this world.
    ///
    /// # Errors
    /// When no token can be minted.
    pub fn tour(&self) -> Result<Tour, MintError> {
        Tour::new(self.places.gateway, &self.issuer)
    }

    /// The `cloister.yaml` of the gateway in front of this world, with its state and its audit log in `state`.
    #[must_use]
    pub fn config(&self, state: &Path) -> String {
        let Places { gateway, admin, issuer: _, orders, streams } = self.places;
        let issuer = self.issuer.name();
        let audience = Issuer::AUDIENCE;
        // A JSON string is a YAML string, whatever stands in it.
        let quoted = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
        let (audit, state) = (quoted(&state.join("audit")), quoted(state));
        format!(
            r#"version: 1
listeners:
  - bind: "{gateway}"
admin: {{ bind: "{admin}" }}
shutdown: {{ grace: 2s }}
state: {{ directory: {state} }}
issuers:
  dev:
    issuer: "{issuer}"
    audiences: [{audience}]
    algorithms: [ES256, RS256]
    jwks: {{ url: "{issuer}/jwks.json", refresh: 10m, max_stale: 1h }}
    tenant_claim: tenant_id
    roles_claim: roles
    members: claims
upstreams:
  orders:
    addresses: ["{orders}"]
    assertion: {{ audience: orders, binding: per_request }}
  streams:
    addresses: ["{streams}"]
    assertion: {{ audience: streams, binding: per_request }}
assertion: {{ issuer: "{GATEWAY}", lifetime: 60s }}
audit: {{ directory: {audit} }}
telemetry: {{ log: {{ format: text, level: info }} }}
"#
        )
    }

    /// Lines for a shell: a live token per user, and requests to try. Names under `localhost` are loopback for curl.
    ///
    /// # Errors
    /// When no token can be minted.
    pub fn curl_lines(&self) -> Result<String, MintError> {
        let port = self.places.gateway.port();
        let mut text = String::new();
        let mut line = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        for user in User::ALL {
            let variable = user.name.to_uppercase();
            line(format!("# {} is {} of {}", user.name, user.roles.join(", "), user.tenant));
            line(format!("{variable}={}", self.issuer.mint(&user, Minted::Sound)?));
        }
        for (what, user, request) in REQUESTS {
            let authorization =
                user.map_or_else(String::new, |user| format!("-H \"Authorization: Bearer ${}\" ", user.to_uppercase()));
            line(format!("\n# {what}\ncurl -i {authorization}{}", request.replace("{port}", &port.to_string())));
        }
        let issuer = self.issuer.name();
        line(format!("\n# A fresh token, and the keys that it verifies with\ncurl -d user=ada {issuer}/token"));
        line(format!("curl {issuer}/jwks.json"));
        let admin = self.places.admin;
        line(format!("\n# What the gateway says of itself\ncurl http://{admin}/readyz http://{admin}/metrics"));
        Ok(text)
    }

    /// Serves until `shutdown` ends; then whatever is under way is cut off.
    ///
    /// # Errors
    /// When a server ends by itself.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), DemoError> {
        let trust = |audience| {
            Arc::new(Trust {
                audience,
                issuer: GATEWAY.into(),
                jwks: format!("http://{}/.well-known/cloister/jwks.json", self.places.admin),
                http: self.http.clone(),
                clock: self.clock.clone(),
                keys: Default::default(),
            })
        };
        let (start, conversations) = mpsc::channel(16);
        let [issuing, ordering, streaming] = self.listeners;
        let servers = async {
            tokio::try_join!(
                serve(issuing, issuer::router(self.issuer.clone())),
                serve(ordering, orders::router(trust("orders"))),
                serve(streaming, streams::router(trust("streams"), start)),
            )
        };
        tokio::select! {
            ended = servers => ended.map(drop).map_err(DemoError::Serve),
            () = drive(conversations) => Ok(()),
            () = shutdown => Ok(()),
        }
    }
}

/// What [`Demo::curl_lines`] offers: what it shows, whose token goes with it, and the rest of the command.
const REQUESTS: [(&str, Option<&str>, &str); 9] = [
    ("Allowed: bob may read the orders of his tenant", Some("bob"), "http://acme.localhost:{port}/api/orders"),
    (
        "Allowed: ada may place one",
        Some("ada"),
        "-H 'Content-Type: application/json' -d '{\"item\":\"anvil\",\"quantity\":2}' http://acme.localhost:{port}/api/orders",
    ),
    (
        "403: bob may not",
        Some("bob"),
        "-H 'Content-Type: application/json' -d '{\"item\":\"anvil\",\"quantity\":2}' http://acme.localhost:{port}/api/orders",
    ),
    ("403: ada is of acme, not of globex", Some("ada"), "http://globex.localhost:{port}/api/orders"),
    ("403: initech is suspended", Some("ian"), "http://initech.localhost:{port}/api/orders"),
    ("401: nobody", None, "http://acme.localhost:{port}/api/orders"),
    (
        "Allowed, and the backend still sees acme: what a client says of its tenant is removed",
        Some("ada"),
        "-H 'X-Tenant-Id: globex' http://acme.localhost:{port}/api/orders",
    ),
    (
        "400: a path that two programs could read in two ways",
        Some("ada"),
        "--path-as-is http://acme.localhost:{port}/api/orders/..%2fadmin",
    ),
    ("Allowed: events as they happen", Some("ada"), "-N http://acme.localhost:{port}/stream/events"),
];

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), DemoError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|source| DemoError::Listen { address, source })
}

/// Settles two ports that somebody else will listen on. Should another program take one in between, the gateway says so.
fn free(gateway: SocketAddr, admin: SocketAddr) -> Result<(SocketAddr, SocketAddr), DemoError> {
    let settle = |place: SocketAddr| match place.port() {
        0 => listen(place).map(|(held, place)| (Some(held), place)),
        _ => Ok((None, place)),
    };
    // Both are held until both are known, or they could be the same.
    let ((_first, gateway), (_second, admin)) = (settle(gateway)?, settle(admin)?);
    Ok((gateway, admin))
}

async fn serve(listener: TcpListener, router: Router) -> io::Result<()> {
    axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await
}

/// Drives the WebSocket conversations that the streams backend starts, so many at once.
async fn drive(mut conversations: mpsc::Receiver<BoxFuture<'static, ()>>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = running.join_next() => {}
            next = conversations.recv(), if running.len() < CONVERSATIONS => match next {
                Some(conversation) => drop(running.spawn(conversation)),
                None => return,
            },
        }
    }
}

#[cfg(test)]
mod tests;
