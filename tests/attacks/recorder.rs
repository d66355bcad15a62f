//! The backend that judges the attacks is itself held to what it promises.

use std::time::Duration;

use crate::harness::{Gateway, Play, Recorder, raw};

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_that_reaches_the_backend_is_kept() {
    let recorder = Recorder::start().await;
    let gateway = Gateway::test().upstream(recorder.address).start().await;
    let request = "POST /public/form?a=%20b HTTP/1.1\r\nHost: acme.example.test\r\nTransfer-Encoding: chunked\r\nX-Own: 1\r\n\r\n\
         3;why=not\r\nabc\r\n0\r\nTrailer: gone\r\n\r\n";
    let answer = raw(gateway.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
    let [request] = &recorder.requests()[..] else { panic!("one request: {:?}", recorder.tapes()) };
    assert_eq!((&*request.method, &*request.target), ("POST", "/public/form?a=%20b"));
    assert_eq!(request.field("host").as_deref(), Some("acme.example.test"));
    assert_eq!(request.field("x-own").as_deref(), Some("1"));
    assert_eq!((&request.body[..], request.whole), (&b"abc"[..], true));
    let bytes = String::from_utf8(recorder.tapes().remove(0).bytes).unwrap();
    assert!(bytes.ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "{bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_real_backend_might_read_in_two_ways_is_spoilt() {
    for bytes in [
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nabGET / HTTP/1.1\r\n\r\n",
    ] {
        let recorder = Recorder::start().await;
        raw(recorder.address, bytes.as_bytes()).await;
        let tape = recorder.tapes().remove(0);
        assert!(tape.spoilt.is_some(), "{bytes:?} is read as {:?}", tape.requests);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_plays_what_it_is_given() {
    let late = Play::Pause(Duration::from_millis(20));
    for (plays, expected) in [
        (vec![late, Play::bytes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")], "HTTP/1.1 200 "),
        (vec![Play::Body, Play::Close], "HTTP/1.1 502 "),
        (vec![Play::bytes("HTTP/1.1 200 OK\r\nCont"), Play::Reset], "HTTP/1.1 502 "),
        (vec![Play::bytes("SSH-2.0-garbage\r\n\r\n"), Play::Close], "HTTP/1.1 502 "),
    ] {
        let script = plays.clone();
        let recorder = Recorder::playing(move |_| script.clone()).await;
        let gateway = Gateway::test().upstream(recorder.address).start().await;
        let answer =
            raw(gateway.address, b"GET /public/a HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with(expected), "{plays:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_through_a_tunnel_is_kept_too() {
    // The answer to the key below, which the gateway looks at (RFC 6455 §1.3).
    const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let recorder = Recorder::playing(|_| vec![Play::bytes(SWITCH), Play::Tunnel]).await;
    let gateway = Gateway::test().upstream(recorder.address).start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let opening = format!(
        "GET /socket HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\nConnection: upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
         frames of a hasty client"
    );
    let answer = raw(gateway.address, opening.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    gateway.eventually("the frames have arrived", || recorder.tapes()[0].bytes.ends_with(b"frames of a hasty client"));
}
