//! A client of HTTP/2 that sends frames as they are (RFC 9113 §4), each field spelled out (RFC 7541 §6.2.2).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const PRIORITY: u8 = 2;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

/// How long to wait for the end of the stream.
const PATIENT: Duration = Duration::from_secs(2);

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals without indexing, never compressed.
pub fn block(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(text.len(), &mut block);
            block.extend_from_slice(text);
        }
    }
    block
}

/// RFC 7541 §5.1, with a prefix of seven bits.
fn integer(number: usize, into: &mut Vec<u8>) {
    let Some(mut rest) = number.checked_sub(127) else {
        return into.push(u8::try_from(number).unwrap());
    };
    into.push(127);
    while rest >= 128 {
        into.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    into.push(u8::try_from(rest).unwrap());
}

/// TLS that trusts this certificate alone and agrees on HTTP/2.
pub async fn shake(stream: TcpStream, certificate: &Path) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("acme.example.test").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.expect("the gateway shakes hands")
}

/// Sends these frames, and gives those that come back until stream 1 has ended, the connection has, or neither will.
pub async fn talk(stream: TcpStream, certificate: &Path, frames: &[u8]) -> Vec<u8> {
    let mut stream = shake(stream, certificate).await;
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[]), frames].concat();
    let mut answer = Vec::new();
    if stream.write_all(&hello).await.is_ok() && stream.flush().await.is_ok() {
        let mut buffer = [0; 4096];
        while !is_over(&answer) {
            match timeout(PATIENT, stream.read(&mut buffer)).await {
                Ok(Ok(count)) if count > 0 => answer.extend_from_slice(&buffer[..count]),
                Ok(_) | Err(_) => break,
            }
        }
    }
    drop(stream.shutdown().await);
    answer
}

/// Whether stream 1 has ended, or the connection.
fn is_over(answer: &[u8]) -> bool {
    split(answer).any(|(kind, flags, stream)| match kind {
        GOAWAY => true,
        RST_STREAM => stream == 1,
        HEADERS | DATA => stream == 1 && flags & END_STREAM > 0,
        _ => false,
    })
}

/// The frames that are whole: kind, flags, stream.
fn split(mut bytes: &[u8]) -> impl Iterator<Item = (u8, u8, u32)> {
    std::iter::from_fn(move || {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3, rest @ ..] = bytes else { return None };
        bytes = rest.get(u32::from_be_bytes([0, *l0, *l1, *l2]) as usize..)?;
        Some((*kind, *flags, u32::from_be_bytes([*s0, *s1, *s2, *s3])))
    })
}
