//! Which addresses of a backend get requests: what checks say of them, and what becomes of requests.

mod checks;
mod ejection;
mod h2;
mod tls;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Gateway, Play, Recorded, Recorder};

/// How many addresses are in this state.
fn in_state(gateway: &Gateway, upstream: &str, state: &str) -> f64 {
    labelled(gateway, "cloister_upstream_addresses_by_state", &[("upstream", upstream), ("state", state)])
}

/// The value of a metric with these labels.
fn labelled(gateway: &Gateway, name: &str, labels: &[(&str, &str)]) -> f64 {
    let (_, text) = gateway.admin("/metrics");
    let all = |line: &&str| labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")));
    let line = text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).find(all);
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(f64::NAN)
}

/// A backend that is well or ill, at any moment. Ill, it says so, and breaks every other request.
struct Switched {
    backend: Recorder,
    ill: Arc<AtomicBool>,
}

impl Switched {
    async fn start() -> Self {
        let ill = Arc::<AtomicBool>::default();
        let is_ill = Arc::clone(&ill);
        let backend = Recorder::playing(move |request| match (is_check(request), is_ill.load(Ordering::SeqCst)) {
            (true, false) => vec![Play::Body, Play::bytes("HTTP/1.1 204 Well\r\n\r\n")],
            (true, true) => {
                vec![Play::Body, Play::bytes("HTTP/1.1 302 Ill\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")]
            }
            (false, false) => Play::answer("ok"),
            (false, true) => vec![Play::Reset],
        });
        Self { backend: backend.await, ill }
    }

    fn set_ill(&self, ill: bool) {
        self.ill.store(ill, Ordering::SeqCst);
    }

    /// How many requests came that are no checks.
    fn asked(&self) -> usize {
        self.backend.requests().iter().filter(|request| !is_check(request)).count()
    }
}

fn is_check(request: &Recorded) -> bool {
    request.target == "/healthz?deep=1"
}

const QUICK: &str =
    "health: { check: http, path: \"/healthz?deep=1\", every: 50ms, timeout: 5s, unhealthy: 2, healthy: 2 }";

/// Asks so many times, for each tenant in turn, and counts the statuses.
async fn ask(gateway: &Gateway, times: usize, tenants: &[&str]) -> HashMap<u16, usize> {
    let mut statuses = HashMap::new();
    for tenant in tenants.iter().cycle().take(times) {
        *statuses.entry(gateway.get(tenant, "/orders/1").await.status).or_default() += 1;
    }
    statuses
}

fn all(status: u16, times: usize) -> HashMap<u16, usize> {
    HashMap::from([(status, times)])
}

/// An address where nobody listens, and nobody will by chance: whoever has it may listen there later.
fn nobody() -> (SocketAddr, tokio::net::TcpSocket) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    (socket.local_addr().unwrap(), socket)
}
