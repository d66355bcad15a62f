//! The same over HTTP/2, where one stream of a connection can fail alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::Response;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Outcome, ask, outcome, patient};
use crate::harness::{Gateway, POLICIES};

/// A backend that does to each request what the last segment of its path says, the first time that it comes.
#[derive(Clone, Default)]
struct Faulty {
    asked: Arc<AtomicUsize>,
    cancelled: Arc<Mutex<Option<Reason>>>,
    goes_away: bool,
}

/// Closes a connection, and says that it has not looked at any of its streams (RFC 9113 §6.8).
async fn go_away(mut stream: tokio::net::TcpStream) {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut came = Vec::new();
    stream.write_all(&SETTINGS).await.unwrap();
    while !came.windows(4).any(|bytes| bytes == b"body") {
        assert_ne!(stream.read_buf(&mut came).await.unwrap(), 0);
    }
    stream.write_all(&GOAWAY).await.unwrap();
    drop(stream.read_to_end(&mut came).await);
}

impl Faulty {
    async fn start() -> (Self, std::net::SocketAddr) {
        Self::default().listen().await
    }

    async fn listen(self) -> (Self, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, serving) = (listener.local_addr().unwrap(), self.clone());
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn(serving.clone().serve(stream));
            }
        });
        (self, address)
    }

    async fn serve(self, stream: tokio::net::TcpStream) {
        if self.goes_away && self.asked.fetch_add(1, Ordering::SeqCst) == 0 {
            return go_away(stream).await;
        }
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let fault = request.uri().path().rsplit('/').next().unwrap_or_default().to_string();
            let first = self.asked.fetch_add(1, Ordering::SeqCst) == 0;
            match fault.as_str() {
                "refuses" if first => respond.send_reset(Reason::REFUSED_STREAM),
                "always-refuses" => respond.send_reset(Reason::REFUSED_STREAM),
                "goes-away-having-looked" if first => connection.abrupt_shutdown(Reason::NO_ERROR),
                "breaks" if first => respond.send_reset(Reason::INTERNAL_ERROR),
                "waits" => {
                    let told = Arc::clone(&self.cancelled);
                    spawn(async move {
                        let reason = std::future::poll_fn(|context| respond.poll_reset(context)).await;
                        *told.lock().unwrap() = reason.ok();
                        drop(request);
                    });
                }
                "hangs" => spawn(async move {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    drop((request, respond));
                }),
                "dies-in-the-body" => {
                    let mut body = respond.send_response(Response::new(()), false).unwrap();
                    body.send_data(Bytes::from_static(b"half"), false).unwrap();
                    spawn(async move {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        body.send_reset(Reason::INTERNAL_ERROR);
                    });
                }
                _ => spawn(async move {
                    let mut body = request.into_body();
                    let mut length = 0;
                    while let Some(Ok(chunk)) = body.data().await {
                        length += chunk.len();
                        drop(body.flow_control().release_capacity(chunk.len()));
                    }
                    let mut answer = respond.send_response(Response::new(()), false).unwrap();
                    drop(answer.send_data(length.to_string().into(), true));
                }),
            }
        }
    }
}

async fn start(backend: std::net::SocketAddr) -> Gateway {
    let policies = POLICIES.replace("    upgrade: websocket\n", "");
    patient(Gateway::test()).policies(&policies).h2c(backend).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stream_that_fails_does_to_its_client_is_bounded_and_on_record() {
    let (unavailable, failed) = ("upstream.unavailable", "upstream_failed");
    let fine = |attempts| outcome(200, "allowed", attempts, "complete");
    let broken = || Outcome { whole: false, ..outcome(200, unavailable, 1, failed) };
    let late = || outcome(504, "upstream.timeout", 1, failed);
    // What goes wrong; what comes of a GET, which may be sent again, and of a POST, which may only if it was not looked at.
    let table = [
        ("fine", fine(1), fine(1)),
        ("refuses", fine(2), fine(2)),
        ("always-refuses", outcome(502, unavailable, 3, failed), outcome(502, unavailable, 3, failed)),
        ("goes-away-having-looked", fine(2), outcome(502, unavailable, 1, failed)),
        ("breaks", fine(2), outcome(502, unavailable, 1, failed)),
        ("hangs", late(), late()),
        ("dies-in-the-body", broken(), broken()),
    ];
    let mut differ = Vec::new();
    for (fault, get, post) in table {
        let (faulty, address) = Faulty::start().await;
        let gateway = start(address).await;
        for (method, expected) in [("GET", get), ("POST", post)] {
            faulty.asked.store(0, Ordering::SeqCst);
            let came = ask(&gateway, method, &format!("/orders/{fault}")).await;
            if came != expected {
                differ.push(format!("{method} {fault}: {came:?}, not {expected:?}"));
            }
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_goes_away_without_having_looked_costs_nobody_a_request() {
    for method in ["GET", "POST"] {
        let (_faulty, address) = Faulty { goes_away: true, ..Faulty::default() }.listen().await;
        let gateway = start(address).await;
        let token = gateway.token("acme", "ada", &["clerk"]);
        let request = gateway.request(method, "acme", "/orders/1").bearer_auth(token).body("body");
        let answer = gateway.send(request).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "4"), "{method}");
        let records = gateway.records(&[]);
        assert_eq!(records.finals().last().unwrap()["attempts"], 2, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_request_back_from_the_backend_whose_failure_it_is_not() {
    let (faulty, address) = Faulty::start().await;
    let gateway = start(address).await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let request = gateway.request("GET", "acme", "/orders/waits").bearer_auth(token).send();
    let request = super::spawn(tokio::time::timeout(Duration::from_millis(500), request));
    assert!(request.await.unwrap().is_err(), "nothing came");
    gateway.eventually("the backend is told", || faulty.cancelled.lock().unwrap().is_some());
    assert_eq!(*faulty.cancelled.lock().unwrap(), Some(Reason::CANCEL));
    let records = gateway.records(&[]);
    let record = *records.finals().last().unwrap();
    assert_eq!((&record["end"], &record["attempts"]), (&"client_gone".into(), &1.into()), "{record}");
    assert_eq!(gateway.metric("cloister_upstream_in_flight"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_a_refused_stream_took_in_is_sent_again_whole() {
    let (faulty, address) = Faulty::start().await;
    let gateway = start(address).await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let post =
        |length: usize| gateway.request("POST", "acme", "/orders/refuses").bearer_auth(&token).body("x".repeat(length));
    let answer = gateway.send(post(10_000)).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "10000"));
    faulty.asked.store(0, Ordering::SeqCst);
    let answer = gateway.send(post(1_000_000)).await;
    if answer.status == 200 {
        assert_eq!(answer.text(), "1000000", "what was not kept is never left out");
    } else {
        assert_eq!(answer.status, 502);
    }
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(super::spawn(task));
}
