//! `CLOISTER_SOAK=1000000` asks for as many requests; by default there are fewer, so that the run ends soon.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use token::forge::Issuer;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::harness::{Gateway, claims, now};

/// Rounds after which everything that is made once has been made.
const WARM: usize = 3;
/// Rounds at least.
const ROUNDS: usize = 6;

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    bytes: i64,
    descriptors: i64,
}

#[expect(clippy::disallowed_methods, reason = "how much is asked for is no business of the gateway's")]
fn wanted() -> f64 {
    std::env::var("CLOISTER_SOAK").map_or(20_000.0, |text| text.parse().expect("CLOISTER_SOAK is a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_mix_of_everything_leaves_no_memory_no_descriptor_and_no_request_behind() {
    let mut gateway = Gateway::test().guard("{ head: 2s, idle: 2s }").tls().start().await;
    let process = gateway.process().id();
    let mut held = Vec::new();
    while held.len() < ROUNDS || gateway.metric("cloister_requests_total") < wanted() {
        let wrk = tokio::task::spawn_blocking(wrk(&gateway));
        let h2load = tokio::task::spawn_blocking(h2load(&gateway));
        for _ in 0..10 {
            socket(&gateway).await;
            events(&gateway).await;
            leave(
                gateway.address,
                b"POST /upload HTTP/1.1\r\nHost: acme.example.test\r\nContent-Length: 9999\r\n\r\n12",
            )
            .await;
            leave(gateway.address, b"GET /orders/1 HTTP/1.1\r\nHost: acme.exa").await;
            leave(gateway.address, b"\x16\x03\x01 nonsense\r\n\r\n").await;
            leave(gateway.tls_address.unwrap(), b"GET / HTTP/1.1\r\n\r\n").await;
        }
        wrk.await.unwrap();
        h2load.await.unwrap();
        gateway.eventually("all connections are gone", || gateway.metric("cloister_connections") == 0.0);
        gateway.eventually("nothing is open", || gateway.metric("cloister_journal_open") == 0.0);
        held.push(look(process));
        let requests = gateway.metric("cloister_requests_total");
        eprintln!("round {}: {requests} requests, {:?}", held.len(), held.last().unwrap());
    }
    let (warm, last) = (held[WARM - 1], *held.last().unwrap());
    assert!(last.bytes - warm.bytes < 16 << 20, "memory grows: {held:?}");
    // Connections to the backend are kept for a while, as many as were needed at once.
    assert!((last.descriptors - warm.descriptors).abs() <= 64, "descriptors grow: {held:?}");
} // in the end the harness counts: as many records as requests, and a log that verifies

/// Anonymous memory and open files.
fn look(process: i32) -> Held {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    let kib: i64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    Held { bytes: kib * 1024, descriptors: i64::try_from(descriptors).unwrap() }
}

fn wrk(gateway: &Gateway) -> impl FnOnce() + Send + 'static {
    let mut stale = claims("acme", "ada", &["clerk"]);
    stale["exp"] = (now() - 600).into();
    let tokens = [
        gateway.token("acme", "ada", &["clerk"]),
        gateway.token("globex", "eve", &["viewer"]),
        Issuer::es256("key-1").sign(&claims("acme", "ada", &["clerk"])),
        gateway.issuer.sign(&stale),
    ];
    let url = format!("http://{}/", gateway.address);
    let mut wrk = Command::new("wrk");
    wrk.args(["-t2", "-c40", "-d3s", "--timeout", "30s", "-s"]);
    wrk.args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stories/soak/mix.lua"), &url, "--"]);
    wrk.args(tokens);
    move || {
        succeed(wrk, |said| {
            // What is malformed ends its connection, which wrk counts as an error of reading.
            !said.contains("Socket errors") || (said.contains("connect 0,") && said.contains("timeout 0"))
        })
    }
}

fn h2load(gateway: &Gateway) -> impl FnOnce() + Send + 'static {
    let token = gateway.token("acme", "ada", &["clerk"]);
    let mut h2load = Command::new("h2load");
    h2load.args(["-n", "2000", "-c", "10", "-m", "10", "-H", &format!("authorization: Bearer {token}")]);
    h2load.args(["--connect-to", &gateway.tls_address.unwrap().to_string(), "https://acme.example.test/orders/1"]);
    move || succeed(h2load, |said| said.contains("0 failed, 0 errored, 0 timeout"))
}

fn succeed(mut command: Command, well: impl Fn(&str) -> bool) {
    let output = command.stdin(Stdio::null()).output().expect("tests/run installs what this story needs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && well(&said), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
}

async fn socket(gateway: &Gateway) {
    let mut request = format!("ws://{}/socket", gateway.address).into_client_request().unwrap();
    let bearer = format!("Bearer {}", gateway.token("acme", "ada", &["viewer"]));
    request.headers_mut().insert("host", "acme.example.test".parse().unwrap());
    request.headers_mut().insert("authorization", bearer.parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    socket.send(Message::text("one")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("one"));
} // and it is dropped without a word

async fn events(gateway: &Gateway) {
    let token = gateway.token("acme", "ada", &["viewer"]);
    let response = gateway.request("GET", "acme", "/orders/stream").bearer_auth(token).send().await.unwrap();
    let mut chunks = response.bytes_stream();
    assert!(chunks.next().await.unwrap().is_ok());
} // and the rest is not read

/// Says something, and goes.
async fn leave(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    drop(tokio::time::timeout(Duration::from_millis(5), stream.readable()).await);
}
