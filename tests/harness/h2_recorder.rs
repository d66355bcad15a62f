//! A backend that speaks HTTP/2 without TLS, and keeps what each request says: fields, body, trailers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use super::recorder::Recorded;

/// A backend on a free port. It ends with its test's runtime.
#[derive(Clone, Debug)]
pub struct H2Recorder {
    pub address: SocketAddr,
    kept: Arc<Mutex<Vec<Recorded>>>,
}

impl H2Recorder {
    /// Answers `ok` to everything, once it is there to its end.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let recorder = Self { address: listener.local_addr().unwrap(), kept: Arc::default() };
        let kept = Arc::clone(&recorder.kept);
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        recorder
    }

    /// Every request so far, in the order in which they came. The authority is the first of the fields, as `host`; trailers
    /// are the last.
    pub fn requests(&self) -> Vec<Recorded> {
        self.kept.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, kept: Arc<Mutex<Vec<Recorded>>>) {
    let mut builder = h2::server::Builder::new();
    // By default a hundred unread letters end the connection, which all clients share, and so do twenty streams that are reset
    // before they are looked at.
    builder
        .max_pending_accept_reset_streams(1000)
        .data_frame_budget(1 << 30)
        .max_concurrent_streams(1000)
        .max_header_list_size(256 << 10);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (number, body) = {
            let mut kept = kept.lock().unwrap();
            let (request, body) = heard(kept.len(), request);
            kept.push(request);
            (kept.len() - 1, body)
        };
        spawn(answer(number, body, respond, Arc::clone(&kept)));
    }
}

fn heard(number: usize, request: Request<RecvStream>) -> (Recorded, RecvStream) {
    let (head, body) = request.into_parts();
    let authority = head.uri.authority().map(|authority| ("host".to_owned(), authority.as_str().into()));
    let fields = authority.into_iter().chain(listed(&head.headers)).collect();
    let target = head.uri.path_and_query().expect("every request has a path").to_string();
    (Recorded { number, method: head.method.to_string(), target, fields, ..Recorded::default() }, body)
}

fn listed(fields: &HeaderMap) -> impl Iterator<Item = (String, Vec<u8>)> {
    fields.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
}

async fn answer(
    number: usize,
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    kept: Arc<Mutex<Vec<Recorded>>>,
) {
    while let Some(Ok(chunk)) = body.data().await {
        drop(body.flow_control().release_capacity(chunk.len()));
        kept.lock().unwrap()[number].body.extend_from_slice(&chunk);
    }
    let Ok(trailers) = body.trailers().await else { return };
    let head = {
        let request = &mut kept.lock().unwrap()[number];
        request.fields.extend(listed(&trailers.unwrap_or_default()));
        request.whole = true;
        request.method == "HEAD"
    };
    let Ok(mut response) = respond.send_response(Response::new(()), head) else { return };
    if !head {
        drop(response.send_data("ok".into(), true));
    }
}

#[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}
