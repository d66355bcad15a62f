use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Stands before a server, and holds back what it answers.
pub struct Slow {
    address: SocketAddr,
    millis: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Slow {
    #[expect(clippy::disallowed_methods, reason = "tasks end with their test")]
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let millis = Arc::new(AtomicU64::new(0));
        let holds = Arc::clone(&millis);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                let holds = Arc::clone(&holds);
                tokio::spawn(async move {
                    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                        (client.into_split(), server.into_split());
                    let there = tokio::io::copy(&mut from_client, &mut to_server);
                    let back = async {
                        let mut bytes = [0; 4_096];
                        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
                            tokio::time::sleep(Duration::from_millis(holds.load(Ordering::Relaxed))).await;
                            if to_client.write_all(&bytes[..count]).await.is_err() {
                                break;
                            }
                        }
                    };
                    tokio::select! {
                        _ = there => {}
                        () = back => {}
                    }
                });
            }
        });
        Self { address, millis, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// By so much, from now on.
    pub fn by(&self, span: Duration) {
        self.millis.store(span.as_millis().try_into().unwrap(), Ordering::Relaxed);
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.task.abort();
    }
}
