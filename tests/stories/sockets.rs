//! Web sockets: what they negotiate and carry is between the two sides; that they may is ours.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::harness::{Gateway, Play, Recorder};

#[tokio::test(flavor = "multi_thread")]
async fn extensions_protocols_and_compressed_frames_come_through_as_they_are() {
    const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
                        Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
    const COMPRESSED: &[u8] = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"; // `Hello` (RFC 7692 §7.2.3.1)
    let recorder = Recorder::playing(|_| vec![Play::Bytes([HEAD.as_bytes(), COMPRESSED].concat()), Play::Tunnel]).await;
    let gateway = Gateway::test().upstream(recorder.address).start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let opening = format!(
        "GET /socket HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\nConnection: upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Protocol: chat, mail\r\n\r\n"
    );
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(opening.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(COMPRESSED) {
        answer.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    assert!(head.contains("sec-websocket-extensions: permessage-deflate\r\n"), "{head}");
    assert!(head.contains("sec-websocket-protocol: chat\r\n"), "{head}");
    let seen = &recorder.tapes()[0].requests[0];
    let offered = seen.field("sec-websocket-extensions");
    assert_eq!(offered.as_deref(), Some("permessage-deflate; client_max_window_bits"));
    assert_eq!(seen.field("authorization"), None);

    // A client that says that it will send no more has ended it, and so it is for the backend.
    stream.write_all(b"\xc1\x80last").await.unwrap();
    stream.shutdown().await.unwrap();
    let rest = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    assert!(rest.is_ok(), "it is closed");
    gateway.eventually("the last frame has arrived", || recorder.tapes()[0].bytes.ends_with(b"last"));
    let records = gateway.records(&["--route", "socket"]);
    let record = records.finals()[0];
    assert_eq!((&record["in"], &record["out"], &record["end"]), (&6.into(), &9.into(), &"complete".into()), "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_comes_back_whole_and_is_counted() {
    let gateway = Gateway::test().start().await;
    let mut request = format!("ws://{}/socket", gateway.address).into_client_request().unwrap();
    let token = gateway.token("acme", "ada", &["viewer"]);
    request.headers_mut().insert("host", "acme.example.test".parse().unwrap());
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let large = Message::binary((0..4 << 20).map(|at: u32| at as u8).collect::<Vec<_>>());
    socket.send(large.clone()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), large);
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    gateway.eventually("the record is final", || gateway.records(&[]).finals().len() == 1);
    let records = gateway.records(&[]);
    let record = records.finals()[0];
    // Eight bytes of length, four of mask; two frames that close it.
    let (bytes_in, out) = ((4 << 20) + 14 + 6, (4 << 20) + 10 + 2);
    assert_eq!(record["in"], bytes_in, "{record}");
    assert!(record["out"] == out || record["out"] == out + 2, "with a code or without: {record}");
}
