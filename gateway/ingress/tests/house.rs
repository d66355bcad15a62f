//! A gateway's front door on a free port of loopback, with an application behind it that answers by itself.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::prelude::HttpPeer;
use pingora::proxy::{HttpProxy, ProxyHttp, Session};
use pingora::server::configuration::ServerConf;
use pingora::services::Service;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use terms::{Network, Networks, SystemClock};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{
    BodyPace, Certificates, Cleartext, Connection, Counters, GuardSettings, Ingress, ListenerSettings, Listeners,
    Snapshot, Strangers, TlsFiles, Unparsed, UnparsedWhy, h2_options,
};

/// Long enough for anything that should happen, however busy the machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Nothing here runs into a deadline unless a test shortens it.
pub(super) const GUARD: GuardSettings = GuardSettings {
    connections: 100,
    connections_per_ip: 100,
    proxy_header: PATIENCE,
    handshake: PATIENCE,
    head: PATIENCE,
    idle: PATIENCE,
    body: BodyPace { rate: NonZeroU64::new(1024).unwrap(), grace: PATIENCE },
    head_bytes: 8 * 1024,
    fields: 100,
};

pub(super) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) struct House {
    pub(super) address: SocketAddr,
    pub(super) certificates: Certificates,
    pub(super) service: JoinHandle<()>,
    pub(super) shutdown: watch::Sender<bool>,
    pub(super) files: TempDir,
    unparsed: Arc<Record>,
    logged: Arc<Mutex<Vec<String>>>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Record(Mutex<Vec<UnparsedWhy>>);

impl Unparsed for Record {
    fn unparsed(&self, connection: &Connection, why: UnparsedWhy) {
        assert!(connection.peer().ip().is_loopback());
        self.0.lock().unwrap().push(why);
    }
}

impl House {
    pub(super) fn plain(guard: GuardSettings) -> Self {
        Self::open(guard, Tls::Off, None, Strangers::default())
    }

    /// Takes connections from these proxies alone.
    pub(super) fn behind_proxies(guard: GuardSettings, proxies: &str) -> Self {
        Self::open(
            guard,
            Tls::Off,
            Some([proxies.parse::<Network>().unwrap()].into_iter().collect()),
            Strangers::default(),
        )
    }

    /// Listens to none of these strangers.
    pub(super) fn wary(strangers: Strangers, proxies: Option<Networks>) -> Self {
        Self::open(GUARD, Tls::Off, proxies, strangers)
    }

    pub(super) fn behind_proxies_tls(guard: GuardSettings, proxies: &str) -> Self {
        Self::open(
            guard,
            Tls::On,
            Some([proxies.parse::<Network>().unwrap()].into_iter().collect()),
            Strangers::default(),
        )
    }

    pub(super) fn tls(guard: GuardSettings) -> Self {
        Self::open(guard, Tls::On, None, Strangers::default())
    }

    fn open(guard: GuardSettings, tls: Tls, proxies: Option<Networks>, strangers: Strangers) -> Self {
        Self::build(guard, tls, Cleartext::Http1AndHttp2, proxies, strangers)
    }

    /// Without TLS.
    pub(super) fn speaking(guard: GuardSettings, cleartext: Cleartext) -> Self {
        Self::build(guard, Tls::Off, cleartext, None, Strangers::default())
    }

    fn build(
        guard: GuardSettings,
        tls: Tls,
        cleartext: Cleartext,
        proxies: Option<Networks>,
        strangers: Strangers,
    ) -> Self {
        let files = tempfile::tempdir().unwrap();
        let paths = write_certificate(files.path(), "a.test");
        let bind = "127.0.0.1:0".parse().unwrap();
        let settings =
            ListenerSettings { bind, proxies, cleartext, tls: matches!(tls, Tls::On).then(|| paths.clone()) };
        let listeners = Listeners::bind(&[settings], Arc::new(SystemClock)).unwrap();
        let address = listeners.addresses().unwrap()[0];
        let certificates = listeners.certificates();
        let logged = Arc::<Mutex<Vec<String>>>::default();
        let ca_file = Some(paths.certificate.to_str().unwrap().into());
        let conf = Arc::new(ServerConf { ca_file, ..ServerConf::default() });
        let mut proxy = HttpProxy::new(Butler(Arc::clone(&logged)), conf);
        proxy.h2_options = Some(h2_options(&guard));
        proxy.handle_init_modules();
        let unparsed = Arc::<Record>::default();
        let mut ingress =
            Ingress::new(listeners, Arc::new(proxy), guard, strangers, Arc::clone(&unparsed) as Arc<dyn Unparsed>);
        let counters = ingress.counters();
        let (shutdown, watch) = watch::channel(false);
        let service = Handle::current().spawn(async move { ingress.start_service(None, watch, 2).await });
        Self { address, certificates, service, shutdown, files, unparsed, logged, counters }
    }

    pub(super) async fn connect(&self) -> Client<TcpStream> {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// Over TLS, with these protocols on offer.
    pub(super) async fn connect_tls(&self, alpn: &[&str]) -> Client<TlsStream<TcpStream>> {
        self.connect_tls_behind(b"", alpn).await
    }

    /// Over TLS, behind what a proxy says first.
    pub(super) async fn connect_tls_behind(&self, header: &[u8], alpn: &[&str]) -> Client<TlsStream<TcpStream>> {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.write_all(header).await.unwrap();
        let mut roots = RootCertStore::empty();
        let pem = std::fs::read(self.files.path().join("certificate.pem")).unwrap();
        roots.add(rustls_pki_types::pem::PemObject::from_pem_slice(&pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("a.test").unwrap();
        Client(TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap())
    }

    pub(super) fn counters(&self) -> Snapshot {
        self.counters.snapshot()
    }

    /// What was told of attempts that never became a request, once all connections are gone.
    pub(super) async fn unparsed(&self) -> Vec<UnparsedWhy> {
        self.eventually(|house| house.counters().open == 0).await;
        tokio::task::yield_now().await;
        assert_eq!(self.counters().unparsed, self.unparsed.0.lock().unwrap().len() as u64);
        self.unparsed.0.lock().unwrap().clone()
    }

    /// The paths of the requests that were logged.
    pub(super) fn logged(&self) -> Vec<String> {
        self.logged.lock().unwrap().clone()
    }

    pub(super) async fn eventually(&self, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < PATIENCE, "it never came to hold: {:?}", self.counters());
            tokio::time::sleep(ms(2)).await;
        }
    }
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House").field("address", &self.address).field("counters", &self.counters()).finish()
    }
}

#[derive(Clone, Copy)]
enum Tls {
    Off,
    On,
}

/// A certificate for one name that is its own root, with its key.
pub(super) fn write_certificate(folder: &Path, name: &str) -> TlsFiles {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![name.into()]).unwrap().self_signed(&key).unwrap();
    let files = TlsFiles { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.certificate, certificate.pem()).unwrap();
    write_key(&files.key, &key.serialize_pem(), 0o600);
    files
}

pub(super) fn write_key(path: &Path, pem: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, pem).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The other end of a connection.
pub(super) struct Client<S>(pub(super) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// One request of HTTP/1.1, and the body of its answer.
    pub(super) async fn get(&mut self, path: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n")).await;
        self.answer().await
    }

    /// One answer of HTTP/1.1 with a `Content-Length`: its body.
    pub(super) async fn answer(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(PATIENCE, self.0.read_u8()).await.unwrap();
            head.push(byte.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&head))));
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        String::from_utf8(body).unwrap()
    }

    /// All there is until the connection ends, and how long that took.
    pub(super) async fn rest(&mut self) -> (String, Duration) {
        let start = Instant::now();
        let mut bytes = Vec::new();
        // A reset is an end like another.
        let _ended = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await.expect("it ends");
        (String::from_utf8_lossy(&bytes).into_owned(), start.elapsed())
    }
}

/// Answers every request with what it knows of it.
struct Butler(Arc<Mutex<Vec<String>>>);

/// A request that runs. However it ends, its connection hears of it.
#[derive(Default)]
struct Visit(Option<Arc<Connection>>);

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.request_ended();
        }
    }
}

#[async_trait]
impl ProxyHttp for Butler {
    type CTX = Visit;

    fn new_ctx(&self) -> Visit {
        Visit::default()
    }

    async fn early_request_filter(&self, session: &mut Session, visit: &mut Visit) -> pingora::Result<()> {
        let connection = Connection::of(session.digest().unwrap()).unwrap();
        connection.request_started();
        visit.0 = Some(connection);
        session.set_pipelining_enabled(true);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, visit: &mut Visit) -> pingora::Result<bool> {
        let path = session.req_header().uri.path().to_owned();
        let connection = visit.0.clone().unwrap();
        if let Some(pause) = path.strip_prefix("/wait/") {
            tokio::time::sleep(ms(pause.parse().unwrap())).await;
        }
        if path.starts_with("/upload") {
            connection.body_awaited();
            let mut length = 0;
            while let Some(piece) = session.downstream_session.read_request_body().await? {
                length += piece.len();
            }
            connection.body_ended();
            assert_eq!(path, format!("/upload/{length}"));
        }
        let body = match path.strip_prefix("/bytes/") {
            Some(count) => (0..count.parse().unwrap()).map(|n: usize| char::from(b'a' + (n % 26) as u8)).collect(),
            None => format!("{path} {} {:?} {:?}", connection.requests(), connection.tls(), session.client_addr()),
        };
        if let Some(pause) = path.strip_prefix("/late/") {
            tokio::time::sleep(ms(pause.parse().unwrap())).await;
            connection.body_awaited();
            while session.downstream_session.read_request_body().await?.is_some() {}
            connection.body_ended();
        }
        let mut head = ResponseHeader::build(200, Some(1))?;
        head.insert_header("content-length", body.len().to_string())?;
        session.write_response_header(Box::new(head), false).await?;
        session.write_response_body(Some(Bytes::from(body)), true).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut Visit) -> pingora::Result<Box<HttpPeer>> {
        Err(pingora::Error::new_str("there is none"))
    }

    async fn logging(&self, session: &mut Session, _: Option<&pingora::Error>, _: &mut Visit) {
        self.0.lock().unwrap().push(session.req_header().uri.path().to_owned());
    }
}

/// The certificate that a server shows.
pub(super) fn shown(client: &Client<TlsStream<TcpStream>>) -> CertificateDer<'static> {
    client.0.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}
