//! A client of HTTP/2 that sends frames as they are.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

pub use crate::harness::frames::*;

/// How long to wait for the end of the stream.
const PATIENT: Duration = Duration::from_secs(2);
/// How long a flood may last.
const LONG: Duration = Duration::from_secs(60);

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

/// What a client does that takes more than one breath.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these frames.
    Frames(Vec<u8>),
    /// Waits until all that it has sent so far was read: a ping is answered behind it.
    Heard,
}

/// Takes these steps, reads meanwhile, and gives all that came back until there is an answer on this stream, or the
/// connection has ended.
pub async fn converse(stream: impl AsyncRead + AsyncWrite, steps: &[Step], probe: u32) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (answer, came) = (RefCell::new(Vec::new()), Notify::new());
    let reading = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            answer.borrow_mut().extend_from_slice(&buffer[..count]);
            came.notify_one();
            let answered =
                |(kind, _, stream)| kind == GOAWAY || [HEADERS, RST_STREAM].contains(&kind) && stream == probe;
            if split(&answer.borrow()).any(answered) {
                return;
            }
        }
    };
    let writing = async {
        let mut pings = 0;
        let mut frames = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        for step in steps {
            match step {
                Step::Frames(more) => frames.extend(more),
                Step::Heard => {
                    pings += 1;
                    frames.extend(frame(PING, 0, 0, &[7; 8]));
                    if writer.write_all(&frames).await.is_err() || writer.flush().await.is_err() {
                        return;
                    }
                    frames.clear();
                    while split(&answer.borrow()).filter(|frame| *frame == (PING, ACK, 0)).count() < pings {
                        came.notified().await;
                    }
                }
            }
        }
        let _ended = writer.write_all(&frames).await.is_ok() && writer.flush().await.is_ok();
    };
    let talking = async {
        tokio::select! {
            () = reading => {}
            () = async { writing.await; std::future::pending().await } => {}
        }
    };
    timeout(LONG, talking).await.expect("it is answered or sent away");
    answer.into_inner()
}

/// The code of the GOAWAY among these frames.
pub fn sent_away(mut answer: &[u8]) -> Option<u32> {
    while let [l0, l1, l2, kind, _, _, _, _, _, rest @ ..] = answer {
        if let (GOAWAY, [_, _, _, _, code @ ..]) = (*kind, rest) {
            return Some(u32::from_be_bytes(*code.first_chunk()?));
        }
        answer = rest.get(u32::from_be_bytes([0, *l0, *l1, *l2]) as usize..)?;
    }
    None
}

/// Whether a response has begun on this stream.
pub fn is_answered(answer: &[u8], stream: u32) -> bool {
    split(answer).any(|(kind, _, on)| kind == HEADERS && on == stream)
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
