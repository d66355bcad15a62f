//! One gateway in front of a backend that records bytes, and clients that send what no client would.
//!
//! Each attack comes from a network of its own (127.x.y.0/24), so that its records and what reached the backend are found
//! by its address, however many attacks run at once.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use h2::client::SendRequest;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

use super::http2::Step;
use super::{http1, http2};
use crate::harness::{Gateway, H2Recorder, Play, Recorded, Recorder, Setup};

/// What is sent over one connection.
#[derive(Clone, Debug)]
pub struct Attack {
    pub name: String,
    pub sent: Sent,
}

#[derive(Clone, Debug)]
pub enum Sent {
    /// HTTP/1, without TLS.
    Http1(Vec<u8>),
    /// Frames of HTTP/2, over TLS, behind the preface and the settings.
    Http2(Vec<u8>),
    /// HTTP/1: these bytes, and then those every 50 ms for as long as the gateway bears it.
    Slow1(Vec<u8>, Vec<u8>),
    /// The same inside of TLS that has agreed on HTTP/2.
    Slow2(Vec<u8>, Vec<u8>),
    /// The same where TLS is expected.
    SlowTls(Vec<u8>, Vec<u8>),
    /// Steps of HTTP/2, until there is an answer on this stream or the connection has ended.
    Steps(Over, Vec<Step>, u32),
}

/// What HTTP/2 is spoken over.
#[derive(Clone, Copy, Debug)]
pub enum Over {
    Cleartext,
    Tls,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub name: String,
    /// What the client was sent: text, or the frames of HTTP/2.
    pub answer: Vec<u8>,
    /// The final records, in order.
    pub records: Vec<Value>,
    /// What reached the backend, in order.
    pub arrived: Vec<Recorded>,
}

impl Outcome {
    /// The reasons in the log.
    pub fn reasons(&self) -> Vec<&str> {
        self.records.iter().map(|record| record["reason"].as_str().unwrap()).collect()
    }
}

pub struct Arena {
    pub gateway: Gateway,
    backend: Backend,
    certificate: std::path::PathBuf,
    clients: AtomicU16,
}

/// Who judges what arrives.
enum Backend {
    /// Byte for byte.
    Http1(Recorder),
    /// What requests say. One that says nothing a parser takes is not kept, and never answered.
    H2c(H2Recorder),
}

/// How many attacks run at once.
const AT_ONCE: usize = 96;

/// How long a record may be in coming, on a machine that does other things as well.
const LATE: Duration = Duration::from_secs(10);

impl Arena {
    pub async fn open(setup: Setup) -> Self {
        let recorder = Recorder::playing(script).await;
        let gateway = setup.tls().upstream(recorder.address).start().await;
        Self::before(gateway, Backend::Http1(recorder))
    }

    /// The same in front of a backend that speaks HTTP/2.
    pub async fn open_h2c(setup: Setup) -> Self {
        let recorder = H2Recorder::start().await;
        let gateway = setup.tls().h2c(recorder.address).start().await;
        Self::before(gateway, Backend::H2c(recorder))
    }

    fn before(gateway: Gateway, backend: Backend) -> Self {
        let certificate = gateway.folder.path().join("tls.pem");
        Self { gateway, backend, certificate, clients: AtomicU16::new(0) }
    }

    /// Runs all of them, and gives what came of each, in the same order. Each leaves a record at least.
    pub async fn run(&self, attacks: &[Attack]) -> Vec<Outcome> {
        self.run_leaving(attacks, |_| 1).await
    }

    /// The same with attacks of which some leave more records, or none.
    pub async fn run_leaving(&self, attacks: &[Attack], records: impl Fn(usize) -> usize) -> Vec<Outcome> {
        let first = self.clients.fetch_add(u16::try_from(attacks.len()).unwrap(), Ordering::Relaxed);
        let address = |index: usize| client(first + u16::try_from(index).unwrap());
        let sent = attacks.iter().enumerate().map(|(index, attack)| self.send(address(index), &attack.sent));
        let answers: Vec<Vec<u8>> = stream::iter(sent).buffered(AT_ONCE).collect().await;
        let by_network = || {
            let mut found = HashMap::<String, Vec<Value>>::new();
            for record in self.gateway.records(&[]).finals() {
                found.entry(record["ip"].as_str().unwrap().into()).or_default().push(record.clone());
            }
            found
        };
        let missing = || {
            let found = by_network();
            let count = |index| found.get(&network(address(index))).map_or(0, Vec::len);
            (0..attacks.len()).filter(|index| count(*index) < records(*index)).collect::<Vec<_>>()
        };
        let deadline = tokio::time::Instant::now() + LATE;
        while !missing().is_empty() {
            if tokio::time::Instant::now() > deadline {
                let names: Vec<_> = missing().into_iter().map(|index| &attacks[index].name).collect();
                panic!("without a record: {names:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut found = by_network();
        let mut arrived = self.arrived();
        let outcome = |(index, (attack, answer)): (usize, (&Attack, Vec<u8>))| Outcome {
            name: attack.name.clone(),
            answer,
            records: found.remove(&network(address(index))).unwrap_or_default(),
            arrived: arrived.remove(&address(index).to_string()).unwrap_or_default(),
        };
        attacks.iter().zip(answers).enumerate().map(outcome).collect()
    }

    /// Everything that reached the backend.
    pub fn all(&self) -> Vec<Recorded> {
        match &self.backend {
            Backend::Http1(recorder) => recorder.requests(),
            Backend::H2c(recorder) => recorder.requests(),
        }
    }

    /// A connection of a client that keeps to HTTP/2.
    pub async fn http2(&self, over: Over) -> (SendRequest<Bytes>, impl Future<Output = Result<(), h2::Error>>) {
        let address = match over {
            Over::Cleartext => self.gateway.address,
            Over::Tls => self.gateway.tls_address.expect("the arena has TLS"),
        };
        let stream = connect(Ipv4Addr::LOCALHOST, address).await;
        let stream: Box<dyn Duplex> = match over {
            Over::Cleartext => Box::new(stream),
            Over::Tls => Box::new(http2::shake(stream, &self.certificate).await),
        };
        h2::client::handshake(stream).await.unwrap()
    }

    /// What reached the backend, by the client that it is forwarded for. Nothing came that was forwarded for nobody, or
    /// that can be read in two ways, or that a request had hidden in it.
    fn arrived(&self) -> HashMap<String, Vec<Recorded>> {
        let mut arrived = HashMap::<String, Vec<Recorded>>::new();
        for request in self.all() {
            assert!(!request.target.contains("smuggled"), "this came through: {request:?}");
            let client = request.field("x-forwarded-for").expect("every request is forwarded for somebody");
            arrived.entry(client).or_default().push(request);
        }
        arrived
    }

    async fn send(&self, from: Ipv4Addr, sent: &Sent) -> Vec<u8> {
        let plain = async || connect(from, self.gateway.address).await;
        let secure = async || connect(from, self.gateway.tls_address.expect("the arena has TLS")).await;
        match sent {
            Sent::Http1(bytes) => http1::talk(plain().await, bytes).await,
            Sent::Http2(frames) => http2::talk(secure().await, &self.certificate, frames).await,
            Sent::Slow1(first, drip) => http1::trickle(plain().await, first, drip).await,
            Sent::Slow2(first, drip) => {
                let stream = http2::shake(secure().await, &self.certificate).await;
                http1::trickle(stream, first, drip).await
            }
            Sent::SlowTls(first, drip) => http1::trickle(secure().await, first, drip).await,
            Sent::Steps(Over::Cleartext, steps, probe) => http2::converse(plain().await, steps, *probe).await,
            Sent::Steps(Over::Tls, steps, probe) => {
                let stream = http2::shake(secure().await, &self.certificate).await;
                http2::converse(stream, steps, *probe).await
            }
        }
    }
}

/// What HTTP/2 can be spoken over.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

fn client(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, high + 1, low, 1)
}

/// As records have it.
fn network(client: Ipv4Addr) -> String {
    let [a, b, c, _] = client.octets();
    format!("{a}.{b}.{c}.0/24")
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let stream = socket.connect(to).await.expect("the gateway takes connections");
    stream.set_nodelay(true).unwrap();
    stream
}

/// `/orders/early` is answered before its body is read, everything else behind it.
fn script(request: &Recorded) -> Vec<Play> {
    let body = if request.method == "HEAD" { "" } else { "ok" };
    let mut plays = Play::answer(body);
    if request.target == "/orders/early" {
        plays.remove(0);
    }
    plays
}
