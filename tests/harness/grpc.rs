//! A gRPC backend and its client, without the protocol buffers: calls, messages and trailers as they are on the wire.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpListener, TcpStream};

/// A backend that speaks HTTP/2 without TLS and answers `/orders.Orders/<call>`.
#[derive(Clone, Debug)]
pub struct GrpcBackend {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
}

impl GrpcBackend {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let seen = Arc::clone(&backend.seen);
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn(serve(stream, Arc::clone(&seen)));
            }
        });
        backend
    }

    /// The fields of the latest call that got here.
    pub fn last(&self) -> HeaderMap {
        self.seen.lock().unwrap().last().expect("no call reached the backend").clone()
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Vec<HeaderMap>>>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (head, body) = request.into_parts();
        seen.lock().unwrap().push(head.headers);
        spawn(answer(head.uri.path().to_string(), body, respond));
    }
}

/// `Get` echoes, `List` sends three messages 50 ms apart, `Dump` sends 16 MiB, `Chat` sends back each message when it comes,
/// `Watch` sends one message and then falls silent, `Hang` does not even do that, `Break` breaks off behind one, everything else is not there.
async fn answer(path: String, mut body: RecvStream, mut respond: SendResponse<Bytes>) {
    let head = Response::builder().header("content-type", "application/grpc");
    let messages = match path.as_str() {
        "/orders.Orders/Get" => vec![read(&mut body).await],
        "/orders.Orders/List" => (0..3).map(|number| message(&[b'0' + number])).collect(),
        "/orders.Orders/Hang" => std::future::pending().await,
        "/orders.Orders/Watch" => {
            let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), false) else { return };
            if send(&mut stream, message(b"0")).await.is_some() {
                drop(std::future::poll_fn(|context| stream.poll_reset(context)).await);
            }
            return;
        }
        "/orders.Orders/Break" => {
            let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), false) else { return };
            if send(&mut stream, message(b"0")).await.is_some() {
                tokio::time::sleep(Duration::from_millis(50)).await;
                stream.send_reset(h2::Reason::INTERNAL_ERROR);
            }
            return;
        }
        "/orders.Orders/Chat" => {
            let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), false) else { return };
            while let Some(Ok(chunk)) = body.data().await {
                body.flow_control().release_capacity(chunk.len()).unwrap();
                if send(&mut stream, chunk).await.is_none() {
                    return;
                }
            }
            let status = [("grpc-status".parse().unwrap(), "0".parse().unwrap())];
            drop(stream.send_trailers(HeaderMap::from_iter(status)));
            return;
        }
        "/orders.Orders/Dump" => vec![Bytes::from(vec![b'x'; 16 << 20])],
        _ => {
            let head = head.header("grpc-status", "12").body(()).unwrap();
            drop(respond.send_response(head, true));
            return;
        }
    };
    let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), false) else { return };
    for message in messages {
        if send(&mut stream, message).await.is_none() {
            return; // the caller is gone
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let fields = [("grpc-status", "0"), ("x-cloister-forged", "yes"), ("x-request-id", "forged"), ("x-cost", "7")];
    let trailers = fields.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    drop(stream.send_trailers(HeaderMap::from_iter(trailers)));
}

/// Sends no more than the other side has room for.
async fn send(stream: &mut SendStream<Bytes>, mut bytes: Bytes) -> Option<()> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await?.ok()?;
        stream.send_data(bytes.split_to(room.min(bytes.len())), false).ok()?;
    }
    Some(())
}

/// Reads a body to its end.
async fn read(body: &mut RecvStream) -> Bytes {
    let mut all = Vec::new();
    while let Some(Ok(chunk)) = body.data().await {
        body.flow_control().release_capacity(chunk.len()).unwrap();
        all.extend_from_slice(&chunk);
    }
    all.into()
}

/// A message with its five bytes in front.
pub fn message(content: &[u8]) -> Bytes {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[0], &length[..], content].concat().into()
}

/// One connection of a client that verifies the gateway's certificate and speaks HTTP/2 over TLS.
#[derive(Clone, Debug)]
pub struct GrpcClient {
    send: SendRequest<Bytes>,
}

/// An answer of which the head is there.
#[derive(Debug)]
pub struct Call {
    pub fields: HeaderMap,
    pub status: u16,
    send: SendStream<Bytes>,
    body: RecvStream,
}

impl GrpcClient {
    pub async fn connect(address: SocketAddr, certificate: &Path) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
        let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("acme.example.test").unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        spawn(connection);
        Self { send }
    }

    /// Calls `/orders.Orders/<call>` with one message, and waits for the head of the answer.
    pub async fn call(&self, call: &str, token: Option<&str>, content: &[u8]) -> Call {
        self.call_with(&[], call, token, Some(content)).await.unwrap()
    }

    /// The same with these fields. Without a message the client's side stays open.
    pub async fn call_with(
        &self,
        fields: &[(&str, &str)],
        call: &str,
        token: Option<&str>,
        content: Option<&[u8]>,
    ) -> Result<Call, h2::Error> {
        let mut request = Request::post(format!("https://acme.example.test/orders.Orders/{call}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut sender = self.send.clone().ready().await?;
        let (response, mut send) = sender.send_request(request.body(()).unwrap(), false)?;
        if let Some(content) = content {
            send.send_data(message(content), true)?;
        }
        let (head, body) = response.await?.into_parts();
        Ok(Call { fields: head.headers, status: head.status.as_u16(), send, body })
    }
}

impl Call {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.to_str().unwrap())
    }

    /// Whether the head was all there is.
    pub fn is_over(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Says one more message.
    pub fn say(&mut self, content: &[u8]) {
        self.send.send_data(message(content), false).unwrap();
    }

    /// Says that there are no more messages.
    pub fn end(&mut self) {
        self.send.send_data(Bytes::new(), true).unwrap();
    }

    /// The next bytes of the body.
    pub async fn next(&mut self) -> Option<Bytes> {
        let chunk = self.body.data().await?.unwrap();
        self.body.flow_control().release_capacity(chunk.len()).unwrap();
        Some(chunk)
    }

    /// How it breaks off, after whatever still comes.
    pub async fn reset(mut self) -> h2::Error {
        loop {
            match self.body.data().await {
                Some(Ok(chunk)) => self.body.flow_control().release_capacity(chunk.len()).unwrap(),
                Some(Err(error)) => return error,
                None => panic!("it ends well"),
            }
        }
    }

    /// The body to its end, and what comes after it.
    pub async fn finish(mut self) -> (Bytes, Option<HeaderMap>) {
        let body = read(&mut self.body).await;
        (body, self.body.trailers().await.unwrap())
    }
}

#[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
fn spawn<F: Future<Output: Send> + Send + 'static>(task: F) {
    drop(tokio::spawn(task));
}
