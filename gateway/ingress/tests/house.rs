//! A gateway's front door on a free port of loopback, with an application behind it that answers by itself.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use certificate::{AuthoritySettings, ClientCertificate};
use pingora::http::ResponseHeader;
use pingora::prelude::HttpPeer;
use pingora::proxy::{HttpProxy, ProxyHttp, Session};
use pingora::server::configuration::ServerConf;
use pingora::services::Service;
use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
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
    CertificateFiles, Certificates, Cleartext, ClientCertificates, Connection, Counters, GuardSettings, Ingress,
    ListenerSettings, Listeners, Shown, Snapshot, Strangers, TlsSettings, TlsVersion, Unparsed, UnparsedWhy,
    h2_options,
};

/// Long enough for anything that should happen, however busy the machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Nothing here runs into a deadline unless a test shortens it.
pub(super) const GUARD: GuardSettings = GuardSettings {
    connections: 100,
    connections_per_ip: 100,
    proxy_header: PATIENCE,
    connections_per_certificate: 100,
    handshakes: 100,
    handshake: PATIENCE,
    head: PATIENCE,
    idle: PATIENCE,
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
        Self::speaking(guard, Cleartext::Http1AndHttp2)
    }

    /// Takes connections from these proxies alone.
    pub(super) fn behind_proxies(guard: GuardSettings, proxies: &str) -> Self {
        Self::without_tls(
            guard,
            ListenerSettings { proxies: Some(networks(proxies)), ..listener() },
            Strangers::default(),
        )
    }

    /// Listens to none of these strangers.
    pub(super) fn wary(strangers: Strangers, proxies: Option<Networks>) -> Self {
        Self::without_tls(GUARD, ListenerSettings { proxies, ..listener() }, strangers)
    }

    /// Without TLS.
    pub(super) fn speaking(guard: GuardSettings, cleartext: Cleartext) -> Self {
        Self::without_tls(guard, ListenerSettings { cleartext, ..listener() }, Strangers::default())
    }

    fn without_tls(guard: GuardSettings, settings: ListenerSettings, strangers: Strangers) -> Self {
        let files = tempfile::tempdir().unwrap();
        let certificate = write_certificate(files.path(), "a.test").certificate; // for pingora, which wants roots
        Self::open(guard, files, settings, strangers, &[], &certificate)
    }

    pub(super) fn behind_proxies_tls(guard: GuardSettings, proxies: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let tls = speaking(vec![write_certificate(files.path(), "a.test")]);
        let root = tls.certificates[0].certificate.clone();
        let settings = ListenerSettings { proxies: Some(networks(proxies)), tls: Some(tls), ..listener() };
        Self::open(guard, files, settings, Strangers::default(), &[], &root)
    }

    pub(super) fn tls(guard: GuardSettings) -> Self {
        let files = tempfile::tempdir().unwrap();
        let certificate = write_certificate(files.path(), "a.test");
        Self::tls_with(guard, files, speaking(vec![certificate]), &[])
    }

    /// With these settings, and the files that they name.
    pub(super) fn tls_with(
        guard: GuardSettings,
        files: TempDir,
        tls: TlsSettings,
        authorities: &[AuthoritySettings],
    ) -> Self {
        let root = tls.certificates[0].certificate.clone();
        let settings = ListenerSettings { tls: Some(tls), ..listener() };
        Self::open(guard, files, settings, Strangers::default(), authorities, &root)
    }

    fn open(
        guard: GuardSettings,
        files: TempDir,
        settings: ListenerSettings,
        strangers: Strangers,
        authorities: &[AuthoritySettings],
        root: &Path,
    ) -> Self {
        let listeners = Listeners::bind(&[settings], authorities, Arc::new(SystemClock)).unwrap();
        let address = listeners.addresses().unwrap()[0];
        let certificates = listeners.certificates();
        let logged = Arc::<Mutex<Vec<String>>>::default();
        let ca_file = Some(root.to_str().unwrap().into());
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
        let mut config = self.client_config(&rustls::crypto::ring::default_provider()).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        self.connect_behind(header, Arc::new(config), "a.test").await.unwrap()
    }

    /// A client that trusts every certificate of the house.
    pub(super) fn client_config(&self, provider: &CryptoProvider) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        let mut roots = RootCertStore::empty();
        for file in std::fs::read_dir(self.files.path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "pem") {
                roots.add(CertificateDer::from_pem_file(path).unwrap()).unwrap();
            }
        }
        ClientConfig::builder_with_provider(Arc::new(provider.clone()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
    }

    /// Asks for this name: the connection, or why there is none. An alert that comes behind the client's part of the
    /// handshake is heard as well.
    pub(super) async fn connect_as(
        &self,
        config: Arc<ClientConfig>,
        name: &str,
    ) -> std::io::Result<Client<TlsStream<TcpStream>>> {
        self.connect_behind(b"", config, name).await
    }

    async fn connect_behind(
        &self,
        header: &[u8],
        config: Arc<ClientConfig>,
        name: &str,
    ) -> std::io::Result<Client<TlsStream<TcpStream>>> {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.write_all(header).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(config).connect(name, tcp).await.map(Client)
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

/// On a free port, for everybody, without TLS.
fn listener() -> ListenerSettings {
    let bind = "127.0.0.1:0".parse().unwrap();
    ListenerSettings { bind, proxies: None, cleartext: Cleartext::Http1AndHttp2, tls: None }
}

/// TLS with these certificates, and nothing else set.
pub(super) const fn speaking(certificates: Vec<CertificateFiles>) -> TlsSettings {
    TlsSettings {
        certificates,
        min_version: TlsVersion::Tls12,
        suites: Vec::new(),
        ticket_rotation: Duration::from_secs(3600),
        clients: ClientCertificates::Off,
        hosts: Vec::new(),
    }
}

/// A certificate for one name that is its own root, with its key.
pub(super) fn write_certificate(folder: &Path, name: &str) -> CertificateFiles {
    write_certificate_as(folder, "certificate", &[name], &rcgen::PKCS_ECDSA_P256_SHA256)
}

/// A certificate in files of this name.
pub(super) fn write_certificate_as(
    folder: &Path,
    file: &str,
    names: &[&str],
    algorithm: &'static rcgen::SignatureAlgorithm,
) -> CertificateFiles {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let files = CertificateFiles {
        certificate: folder.join(format!("{file}.pem")),
        key: folder.join(format!("{file}.key")),
        ocsp: None,
        shown: Shown::ByName,
    };
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
#[derive(Debug)]
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

    /// The same, if there is an answer: a handshake may fail after the client has finished its own part.
    pub(super) async fn try_get(&mut self, path: &str) -> Option<String> {
        self.0.write_all(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").as_bytes()).await.ok()?;
        self.0.flush().await.ok()?;
        let mut first = [0];
        tokio::time::timeout(PATIENCE, self.0.read_exact(&mut first)).await.unwrap().ok()?;
        Some(self.answer_after(first.to_vec()).await)
    }

    /// One answer of HTTP/1.1 with a `Content-Length`: its body.
    pub(super) async fn answer(&mut self) -> String {
        self.answer_after(Vec::new()).await
    }

    async fn answer_after(&mut self, mut head: Vec<u8>) -> String {
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
        let body = match path.strip_prefix("/bytes/") {
            Some(count) => (0..count.parse().unwrap()).map(|n: usize| char::from(b'a' + (n % 26) as u8)).collect(),
            None => format!("{path} {} {} {:?}", connection.requests(), facts(&connection), session.client_addr()),
        };
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

fn networks(text: &str) -> Networks {
    [text.parse::<Network>().unwrap()].into_iter().collect()
}

/// What is known of TLS, in words.
fn facts(connection: &Connection) -> String {
    let Some(tls) = connection.tls() else { return "plain".into() };
    let certificate = match tls.client_certificate() {
        ClientCertificate::None => "none",
        ClientCertificate::Refused => "refused",
        ClientCertificate::Vouched(_) => "vouched",
    };
    format!("{} {} {:?} {certificate}", tls.version, tls.sni.as_deref().unwrap_or("-"), tls.scope)
}

/// The certificate that a server shows.
pub(super) fn shown(client: &Client<TlsStream<TcpStream>>) -> CertificateDer<'static> {
    client.0.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}
