//! Load that is too much is turned away early, and clients that keep us waiting are sent away.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Gateway, Kept};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_too_many_is_told_to_come_again_before_anybody_looks_at_its_token() {
    let gateway = Gateway::test().guard("{ requests: 1 }").start().await;
    let token = gateway.token("acme", "ada", &["viewer"]);
    let hanging = gateway.request("GET", "acme", "/orders/hangs").bearer_auth(&token);
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    let asking = tokio::spawn(hanging.send());
    let progress = || gateway.metric("cloister_requests_in_progress");
    gateway.eventually("the first is in progress", || progress() == 1.0);

    for bearer in [token.as_str(), "forged"] {
        let answer = gateway.send(gateway.request("GET", "acme", "/orders/1").bearer_auth(bearer)).await;
        assert_eq!((answer.status, answer.code()), (503, "overloaded".into()));
        assert_eq!(answer.field("retry-after"), Some("1"));
        let problem: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity");
    }

    asking.abort(); // the client leaves
    gateway.eventually("its room is free", || progress() == 0.0);
    assert_eq!(gateway.records(&["--reason", "gateway.overloaded"]).finals().len(), 2);
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_far_more_connections_than_there_may_be_those_that_are_served_are_served_well() {
    let gateway = Gateway::test().guard("{ connections: 50, connections_per_ip: 1000, head: 2s }").start().await;
    // A connection that is there before them. What a library keeps may be made anew, and then it is one too many, too.
    let (mut served, token) = (Kept::connect(&gateway), gateway.token("acme", "ada", &["viewer"]));
    let mut serve = || {
        served.ask(&token, "/orders/1");
        let answer = served.answer();
        assert!(answer.starts_with("http/1.1 200 "), "{answer}");
    };
    serve();
    let mut swarm = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        // Those that are turned away are told at once; the others hold on.
        let _held = stream.write_all(b"GET / HT").await;
        swarm.push(stream);
    }
    let refused = "cloister_connections_refused_total";
    gateway.eventually("most of them are turned away", || gateway.metric(refused) >= 250.0);
    for _ in 0..50 {
        serve();
    }
    // And when they have had their time, there is room for everybody again.
    gateway.eventually("those that held on are cut", || gateway.metric("cloister_connections") <= 2.0);
    let (mut told, mut late) = (0, 0);
    for mut stream in swarm {
        let mut answer = Vec::new();
        let _ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap();
        told += usize::from(answer.starts_with(b"HTTP/1.1 503 "));
        late += usize::from(answer.starts_with(b"HTTP/1.1 408 "));
    }
    assert!(late >= 40 && told >= 200, "{told} were told that there is no room, {late} that they were late");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_stalls_is_told_so_and_its_record_says_why() {
    let gateway = Gateway::test().guard("{ body_grace: 300ms }").start().await;
    for fields in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let token = gateway.token("acme", "ada", &["clerk"]);
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        let head = format!(
            "POST /upload HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\n{fields}\r\n\r\n5\r\nhello"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{fields}: {answer}");
    }
    let late = gateway.records(&["--reason", "request.malformed.timeout"]);
    assert_eq!(late.finals().len(), 2);
    assert_eq!(late.finals()[0]["tenant"], "acme");
    assert_eq!(gateway.metric("cloister_connections_cut_total"), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_slow_to_answer_an_upload_is_not_blamed_on_its_client() {
    let gateway = Gateway::test().guard("{ body_grace: 200ms }").start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let request = gateway.request("POST", "acme", "/orders/slow").bearer_auth(token).body("whole");
    assert_eq!(gateway.send(request).await.status, 200);
}
