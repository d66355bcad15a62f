//! A backend that answers every request of HTTP/2 with the same frames, until it is told others.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::frames::{ACK, HEADERS, PREFACE, SETTINGS, frame, split};
use super::raw_backend::Then;

/// Frames, by the stream that they are for.
type Script = (Arc<dyn Fn(u32) -> Vec<u8> + Send + Sync>, Then);

/// A backend on a free port. It ends with its test's runtime.
#[derive(Clone)]
pub struct H2Raw {
    pub address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

impl H2Raw {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nothing: Script = (Arc::new(|_| Vec::new()), Then::Keep);
        let backend = Self { address: listener.local_addr().unwrap(), script: Arc::new(Mutex::new(nothing)) };
        let script = Arc::clone(&backend.script);
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn(play(stream, Arc::clone(&script)));
            }
        });
        backend
    }

    /// Answers with these frames from now on.
    pub fn plays(&self, frames: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static, then: Then) {
        *self.script.lock().unwrap() = (Arc::new(frames), then);
    }
}

async fn play(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    let hello = [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat();
    let (mut came, mut answered) = (Vec::new(), 0);
    if stream.write_all(&hello).await.is_err() {
        return;
    }
    while let Ok(1..) = stream.read_buf(&mut came).await {
        let frames = came.get(PREFACE.len()..).unwrap_or_default();
        let asked: Vec<u32> =
            split(frames).filter(|(kind, ..)| *kind == HEADERS).map(|(_, _, stream)| stream).collect();
        for number in asked.into_iter().filter(|number| *number > answered).collect::<Vec<_>>() {
            answered = number;
            let (frames, then) = script.lock().unwrap().clone();
            if stream.write_all(&frames(number)).await.is_err() || then == Then::Close {
                return;
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}
