//! What a TLS handshake costs the gateway in CPU: the server's half alone, in memory, with the suites and the tickets that
//! a listener has. Full, and resumed by a ticket; RSA signs some ten times as long as ECDSA.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection};

pub(crate) fn bench(criterion: &mut Criterion) {
    for (name, algorithm) in [("ecdsa_p256", &PKCS_ECDSA_P256_SHA256), ("rsa_2048", &PKCS_RSA_SHA256)] {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let certificate = CertificateParams::new(vec!["a.test".into()]).and_then(|it| it.self_signed(&key));
        let certificate = certificate.expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).expect("a root");
        let provider = Arc::new(ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key"),
            )
            .expect("a certificate and its key");
        server.ticketer = ring::Ticketer::new().expect("randomness");
        let server = Arc::new(server);
        let client = || {
            let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
            let builder = builder.with_safe_default_protocol_versions().expect("versions");
            Arc::new(builder.with_root_certificates(roots.clone()).with_no_client_auth())
        };
        criterion.bench_function(&format!("handshake/{name}/full"), |bencher| {
            bencher
                .iter_custom(|rounds| (0..rounds).map(|_| shake_hands(&server, &client(), HandshakeKind::Full)).sum());
        });
        let known = client();
        shake_hands(&server, &known, HandshakeKind::Full);
        criterion.bench_function(&format!("handshake/{name}/resumed"), |bencher| {
            bencher
                .iter_custom(|rounds| (0..rounds).map(|_| shake_hands(&server, &known, HandshakeKind::Resumed)).sum());
        });
    }
}

/// One handshake, to the tickets behind it: the time that the server's half took.
fn shake_hands(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>, expected: HandshakeKind) -> Duration {
    let name = ServerName::try_from("a.test").expect("a name");
    let mut client = ClientConnection::new(Arc::clone(client), name).expect("a client");
    let (mut took, mut bytes) = (Duration::ZERO, Vec::new());
    let start = Instant::now();
    let mut server = ServerConnection::new(Arc::clone(server)).expect("a server");
    took += start.elapsed();
    while client.wants_write() || server.wants_write() {
        bytes.clear();
        while client.wants_write() {
            client.write_tls(&mut bytes).expect("memory");
        }
        let start = Instant::now();
        let mut from_client = bytes.as_slice();
        while !from_client.is_empty() {
            server.read_tls(&mut from_client).expect("memory");
            server.process_new_packets().expect("a handshake");
        }
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).expect("memory");
        }
        took += start.elapsed();
        let mut from_server = answer.as_slice();
        while !from_server.is_empty() {
            client.read_tls(&mut from_server).expect("memory");
            client.process_new_packets().expect("a handshake");
        }
    }
    let kind = server.handshake_kind().expect("a handshake");
    assert!(kind == expected || expected == HandshakeKind::Full && kind != HandshakeKind::Resumed, "{kind:?}");
    took
}
