//! Checks over HTTP/2: a GET, and gRPC's health checking protocol.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use super::{all, ask, in_state};
use crate::harness::{Gateway, POLICIES, Setup, message};

/// A backend that speaks HTTP/2 without TLS. It serves some services, and says so.
#[derive(Clone)]
struct Health {
    address: SocketAddr,
    serving: Arc<Mutex<Vec<&'static str>>>,
    came: Arc<Mutex<Vec<Came>>>,
}

/// The connection over which a request came, and its head.
type Came = (usize, Request<()>);

impl Health {
    async fn start(serving: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let serving = Arc::new(Mutex::new(serving.to_vec()));
        let backend = Self { address: listener.local_addr().unwrap(), serving, came: Arc::default() };
        let serves = backend.clone();
        spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                spawn(serves.clone().serve(stream, connection));
            }
        });
        backend
    }

    async fn serve(self, stream: TcpStream, number: usize) {
        let Ok(mut connection) = ::h2::server::handshake(stream).await else { return };
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let (head, mut body) = request.into_parts();
            let head = Request::from_parts(head, ());
            self.came.lock().unwrap().push((number, head.clone()));
            let this = self.clone();
            spawn(async move {
                let mut asked = Vec::new();
                while let Some(Ok(piece)) = body.data().await {
                    asked.extend_from_slice(&piece);
                }
                if head.uri().path() != "/grpc.health.v1.Health/Check" {
                    let status = if this.serving.lock().unwrap().is_empty() { 503 } else { 200 };
                    drop(respond.send_response(Response::builder().status(status).body(()).unwrap(), true));
                    return;
                }
                let status = this.status(&asked);
                let response = Response::builder().header("content-type", "application/grpc");
                let Some(status) = status else {
                    let response = response.header("grpc-status", "5").body(()).unwrap(); // not found
                    drop(respond.send_response(response, true));
                    return;
                };
                let mut stream = respond.send_response(response.body(()).unwrap(), false).unwrap();
                stream.send_data(message(&[0x08, status]), false).unwrap();
                let ok = [("grpc-status".parse().unwrap(), "0".parse().unwrap())];
                drop(stream.send_trailers(HeaderMap::from_iter(ok)));
            });
        }
    }

    /// `HealthCheckResponse.status` for a `HealthCheckRequest` in its frame.
    fn status(&self, asked: &[u8]) -> Option<u8> {
        let service = match asked.strip_prefix(&[0, 0, 0, 0]).unwrap() {
            [0] => "",
            [length, 0x0a, name_length, name @ ..] => {
                assert_eq!((usize::from(*length), usize::from(*name_length)), (name.len() + 2, name.len()));
                std::str::from_utf8(name).unwrap()
            }
            other => panic!("{other:?} is no HealthCheckRequest"),
        };
        let serving = self.serving.lock().unwrap();
        match service {
            "" => Some(if serving.is_empty() { 2 } else { 1 }),
            "orders.Orders" => Some(if serving.contains(&service) { 1 } else { 2 }),
            _ => None,
        }
    }

    fn serves(&self, services: &[&'static str]) {
        *self.serving.lock().unwrap() = services.to_vec();
    }

    /// How many requests came that are no checks.
    fn asked(&self) -> usize {
        self.came.lock().unwrap().iter().filter(|(_, head)| head.uri().path() == "/orders/1").count()
    }
}

/// Over HTTP/2 backends take no WebSockets.
fn world() -> Setup {
    Gateway::test().policies(&POLICIES.replace("    upgrade: websocket\n", ""))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_backend_is_asked_whether_it_serves() {
    let backends = [Health::start(&["orders.Orders"]).await, Health::start(&["other.Other"]).await];
    let addresses = backends.each_ref().map(|backend| backend.address);
    let setup = world().h2c(addresses[0]).addresses(&addresses).defence("slow_return: 0s");
    let setup = setup.defence("health: { check: grpc, service: orders.Orders, every: 50ms }");
    let gateway = setup.start().await;
    gateway.eventually("one is out", || in_state(&gateway, "backend", "unhealthy") == 1.0);
    let before = backends[1].asked();
    assert_eq!(ask(&gateway, 10, &["acme"]).await, all(200, 10));
    assert_eq!((backends[0].asked() >= 10, backends[1].asked()), (true, before));

    backends[1].serves(&["orders.Orders"]);
    gateway.eventually("both are in", || in_state(&gateway, "backend", "available") == 2.0);
    assert_eq!(ask(&gateway, 10, &["acme"]).await, all(200, 10));
    assert!(backends[1].asked() > before);

    let came = backends[0].came.lock().unwrap().clone();
    let (checks, requests): (Vec<_>, Vec<_>) = came.iter().partition(|(_, head)| head.uri().path() != "/orders/1");
    let connections = |of: &[&Came]| of.iter().map(|(connection, _)| *connection).collect::<Vec<_>>();
    let (mut own, shared) = (connections(&checks), connections(&requests));
    own.dedup();
    assert_eq!(own.len(), checks.len(), "each check has a connection of its own");
    assert!(own.iter().all(|connection| !shared.contains(connection)), "and no request comes over it");
    for (_, head) in checks {
        let names: Vec<_> = head.headers().keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["user-agent", "content-type", "te"]);
        assert_eq!(head.uri().authority().unwrap().as_str(), addresses[0].to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_the_backend_does_not_know_is_not_served() {
    let backend = Health::start(&["orders.Orders"]).await;
    let setup = world().h2c(backend.address).unready();
    let gateway = setup.defence("health: { check: grpc, service: orders.Odrers, every: 50ms }").start().await;
    gateway.eventually("it is out", || in_state(&gateway, "backend", "unhealthy") == 1.0);
    let (_, text) = gateway.admin("/readyz");
    assert!(text.contains("(it does not serve: grpc-status 5)"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_goes_over_http2_where_requests_do() {
    let backend = Health::start(&["orders.Orders"]).await;
    let setup = world().h2c(backend.address);
    let gateway =
        setup.defence("health: { check: http, path: /healthz, host: orders.test, every: 50ms }").start().await;
    gateway.eventually("it was asked", || gateway.metric("cloister_upstream_checks_total") > 1.0);
    assert_eq!(in_state(&gateway, "backend", "available"), 1.0);
    let (_, head) = backend.came.lock().unwrap()[0].clone();
    assert_eq!((head.method().as_str(), head.uri().to_string().as_str()), ("GET", "http://orders.test/healthz"));
    backend.serves(&[]);
    gateway.eventually("it is out", || in_state(&gateway, "backend", "unhealthy") == 1.0);
}

#[expect(clippy::disallowed_methods, reason = "a backend serves beside the story that asks it")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}
