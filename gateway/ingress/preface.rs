use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::connection::Protocol;

/// How the preface of HTTP/2 begins (RFC 9113 §3.4). No request of HTTP/1 does: the method `PRI` is kept free for this.
const BEGINNING: &[u8; 4] = b"PRI ";

/// Finds out by its first bytes what a client without TLS speaks, and gives them back to be read again.
///
/// Whoever says nothing until then, or leaves, is left to the reader of HTTP/1, which knows what to make of it.
pub(crate) async fn detect(tcp: &mut TcpStream, until: Instant) -> (Protocol, Vec<u8>) {
    let mut lead = Vec::with_capacity(BEGINNING.len());
    while BEGINNING.starts_with(&lead) {
        if lead.len() == BEGINNING.len() {
            return (Protocol::Http2, lead);
        }
        let mut more = tcp.take((BEGINNING.len() - lead.len()) as u64);
        match timeout_at(until, more.read_buf(&mut lead)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) | Err(_) => break,
        }
    }
    (Protocol::Http1, lead)
}
