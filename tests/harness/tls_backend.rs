//! A backend behind TLS that remembers over which connection, and from whom, each request came.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SerialNumber};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An authority that signs certificates, and the folder in which it leaves them.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
    name: &'static str,
}

impl Authority {
    pub fn new(folder: &Path, name: &'static str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), issuer.pem()).unwrap();
        Self { issuer, folder: folder.into(), name }
    }

    /// Where its own certificate is.
    pub fn file(&self) -> String {
        self.folder.join(format!("{}.pem", self.name)).display().to_string()
    }

    pub fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A certificate for a host name, with this serial number, and its key.
    pub fn sign(&self, host: &str, serial: u64) -> (CertificateDer<'static>, KeyPair) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), key)
    }

    /// The same in files: `certificate: …, key: …`
    pub fn client(&self, host: &str, serial: u64) -> (CertificateDer<'static>, String) {
        use std::os::unix::fs::PermissionsExt as _;
        let (certificate, key) = self.sign(host, serial);
        let path = |end: &str| self.folder.join(format!("{host}-of-{}.{end}", self.name));
        let pem = |label: &str, der: &[u8]| {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
        };
        std::fs::write(path("pem"), pem("CERTIFICATE", &certificate)).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        std::fs::set_permissions(path("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        (certificate, format!("certificate: {}, key: {}", path("pem").display(), path("key").display()))
    }
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Came {
    pub tenant: Option<String>,
    pub connection: usize,
    pub client: Option<CertificateDer<'static>>,
    pub version: hyper::Version,
}

#[derive(Clone)]
pub struct TlsBackend {
    pub address: SocketAddr,
    came: Arc<Mutex<Vec<Came>>>,
}

impl TlsBackend {
    /// A backend with a certificate for `localhost`. It asks for client certificates and takes those of `clients`.
    pub async fn start(authority: &Authority, clients: &[&Authority]) -> Self {
        Self::agreeing_to(&[], authority, clients).await
    }

    /// The same, agreeing to one of these protocols in the handshake (ALPN). It speaks what was agreed to, or HTTP/1.1.
    pub async fn agreeing_to(protocols: &[&str], authority: &Authority, clients: &[&Authority]) -> Self {
        let (certificate, key) = authority.sign("localhost", 1);
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let builder = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if clients.is_empty() {
            builder.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(clients.iter().map(|authority| authority.certificate()));
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        };
        let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Self::serve(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    /// The same without TLS.
    pub async fn plain() -> Self {
        Self::serve(None).await
    }

    async fn serve(acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = Self { address: listener.local_addr().unwrap(), came: Arc::default() };
        let came = Arc::clone(&backend.came);
        spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (acceptor, came) = (acceptor.clone(), Arc::clone(&came));
                spawn(async move {
                    match acceptor {
                        None => answer(TokioIo::new(stream), connection, None, came, Speaks::Http1).await,
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            let client = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                            let client = client.map(|certificate| certificate.clone().into_owned());
                            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                            let speaks = if http2 { Speaks::Http2 } else { Speaks::Http1 };
                            answer(TokioIo::new(stream), connection, client, came, speaks).await;
                        }
                    }
                });
            }
        });
        backend
    }

    pub fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    /// What came for one tenant.
    pub fn of(&self, tenant: &str) -> Vec<Came> {
        self.came().into_iter().filter(|came| came.tenant.as_deref() == Some(tenant)).collect()
    }
}

enum Speaks {
    Http1,
    Http2,
}

async fn answer<S>(
    stream: S,
    connection: usize,
    client: Option<CertificateDer<'static>>,
    came: Arc<Mutex<Vec<Came>>>,
    speaks: Speaks,
) where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let tenant = request.headers().get("x-tenant-id").map(|tenant| tenant.to_str().unwrap().to_owned());
        let version = request.version();
        came.lock().unwrap().push(Came { tenant, connection, client: client.clone(), version });
        std::future::ready(Ok::<_, std::convert::Infallible>(hyper::Response::new("served".to_owned())))
    });
    match speaks {
        Speaks::Http1 => drop(hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await),
        Speaks::Http2 => {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            drop(builder.serve_connection(stream, service).await);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a backend serves beside the story that asks it")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}
