//! A client of HTTP/1 that sends bytes as they are.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long to wait for an answer before the client says that nothing more will come from it.
const PATIENT: Duration = Duration::from_secs(2);
/// How long to wait for what may come behind an answer.
const CURIOUS: Duration = Duration::from_millis(200);
/// How long the gateway may take to close a connection of which the client has closed its half.
const CLOSING: Duration = Duration::from_secs(10);

/// Sends these bytes, and gives all that comes back until the gateway closes the connection.
pub async fn talk(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    if stream.write_all(bytes).await.is_ok() {
        while let Ok(true) =
            timeout(if whole(&answer) { CURIOUS } else { PATIENT }, more(&mut stream, &mut answer)).await
        {}
    }
    drop(stream.shutdown().await);
    let closing = async { while more(&mut stream, &mut answer).await {} };
    timeout(CLOSING, closing).await.expect("a connection of which one half is closed is closed");
    answer
}

/// How soon the gateway must have had enough of a client whose deadlines are half a second.
const ENOUGH: Duration = Duration::from_secs(6);

/// Sends the first bytes and then the others again and again, until the gateway closes the connection.
pub async fn trickle(mut stream: impl AsyncRead + AsyncWrite + Unpin, first: &[u8], drip: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let slowly = async {
        let mut next = first;
        loop {
            let sent = stream.write_all(next).await.is_ok() && stream.flush().await.is_ok();
            let pause = timeout(Duration::from_millis(50), more(&mut stream, &mut answer)).await;
            if !sent || pause == Ok(false) {
                return;
            }
            next = drip;
        }
    };
    timeout(ENOUGH, slowly).await.expect("a client that takes its time is sent away");
    answer
}

async fn more(stream: &mut (impl AsyncRead + Unpin), answer: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer).await {
        Ok(count) if count > 0 => {
            answer.extend_from_slice(&buffer[..count]);
            true
        }
        Ok(_) | Err(_) => false,
    }
}

/// Whether an answer is there: its head at least.
fn whole(answer: &[u8]) -> bool {
    answer.windows(4).any(|window| window == b"\r\n\r\n")
}
