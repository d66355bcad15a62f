//! A client that speaks TLS to the last detail: which name it asks for, what it shows, which HTTP it speaks.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whom a client trusts, and what it shows.
#[derive(Clone, Debug)]
pub struct TlsIdentity(Arc<ClientConfig>);

impl TlsIdentity {
    /// Trusts the certificates in these files, and shows nothing.
    pub fn nobody(roots: &[&Path]) -> Self {
        Self::new(roots, None)
    }

    /// Shows this certificate.
    pub fn showing(roots: &[&Path], certificate: &Path, key: &Path) -> Self {
        Self::new(roots, Some((certificate, key)))
    }

    fn new(roots: &[&Path], shown: Option<(&Path, &Path)>) -> Self {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(store);
        Self(Arc::new(match shown {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap).collect();
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
            }
        }))
    }

    /// Asks for this name; an address asks for none.
    pub async fn connect(&self, address: SocketAddr, name: &str) -> std::io::Result<TlsClient> {
        self.connect_with(address, name, &[b"http/1.1"]).await
    }

    /// Offers these protocols.
    pub async fn connect_with(
        &self,
        address: SocketAddr,
        name: &str,
        protocols: &[&[u8]],
    ) -> std::io::Result<TlsClient> {
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map(TlsClient)
    }
}

/// A connection.
#[derive(Debug)]
pub struct TlsClient(pub TlsStream<TcpStream>);

impl TlsClient {
    /// The certificate that the gateway has shown.
    pub fn shown(&self) -> CertificateDer<'static> {
        self.0.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }

    /// Whether the session is one that was there before.
    pub fn is_resumed(&self) -> bool {
        self.0.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// One request of HTTP/1.1 with these lines behind its `Host`, and the head of its answer; `None` if the gateway ends
    /// the connection in place of one.
    pub async fn request(&mut self, line: &str, host: &str, fields: &str) -> Option<String> {
        self.0.write_all(format!("{line} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").as_bytes()).await.ok()?;
        self.0.flush().await.ok()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tokio::time::timeout(super::PATIENCE, self.0.read_u8()).await.unwrap().ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        if !line.starts_with("HEAD ") {
            self.0.read_exact(&mut body).await.ok()?;
        }
        Some(head)
    }

    /// The status of such a request's answer.
    pub async fn status(&mut self, line: &str, host: &str, fields: &str) -> Option<u16> {
        self.request(line, host, fields).await?.split(' ').nth(1)?.parse().ok()
    }
}
