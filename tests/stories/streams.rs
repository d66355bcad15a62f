//! What runs long ends with what it stood on, is on record when it begins and when it ends, and leaves nothing behind.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use crate::harness::{Gateway, GrpcBackend, GrpcClient, Play, Recorder, claims, now};

const POLICY: &str = r#"
tenants: { acme: { status: active } }
roles: { clerk: { allow: ["order:write"] } }
routes:
  - id: socket
    match: { host: "{tenant}.example.test", path: "/long/socket" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { "*": "order:write" }
    upgrade: websocket
  - id: events
    match: { host: "{tenant}.example.test", path: "/long/events" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { "*": "order:write" }
  - id: download
    match: { host: "{tenant}.example.test", path: "/long/download" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { "*": "order:write" }
  - id: upload
    match: { host: "{tenant}.example.test", path: "/long/upload" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { "*": "order:write" }
  - id: leaves
    match: { host: "{tenant}.example.test", path: "/long/leaves/{kind}" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { "*": "order:write" }
"#;

const CALLS: &str = r#"
tenants: { acme: { status: active } }
roles: { clerk: { allow: ["order:write"] } }
routes:
  - id: calls
    match: { host: "{tenant}.example.test", path: "/orders.Orders/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { POST: "order:write" }
"#;

const SUSPENDED: (&str, &str) = ("acme: { status: active }", "acme: { status: suspended }");

/// A stream that a client has open. It ends with when that was.
type Held = JoinHandle<Instant>;

/// Every kind over every version of HTTP that carries it; nothing moves on any of them after its beginning.
async fn hold(gateway: &Gateway, token: &str) -> Vec<Held> {
    let mut held = vec![socket(gateway, token).await];
    let http2 = reqwest::Client::builder()
        .danger_accept_invalid_certs(true)
        .resolve("acme.example.test", gateway.tls_address.unwrap())
        .build()
        .unwrap();
    let secure = format!("https://acme.example.test:{}", gateway.tls_address.unwrap().port());
    for path in ["/long/events", "/long/download", "/long/upload"] {
        let method = if path == "/long/upload" { "PUT" } else { "GET" };
        let over_2 = http2.request(method.parse().unwrap(), format!("{secure}{path}"));
        for request in [gateway.request(method, "acme", path), over_2] {
            held.push(exchange(request.bearer_auth(token), method == "PUT").await);
        }
    }
    held
}

/// A request whose answer has begun, or whose body has.
async fn exchange(request: reqwest::RequestBuilder, uploads: bool) -> Held {
    if uploads {
        let first = futures::stream::iter([Ok::<_, std::io::Error>(vec![b'x'; 1000])]);
        let body = reqwest::Body::wrap_stream(first.chain(futures::stream::pending()));
        return spawn(async move {
            assert!(request.body(body).send().await.is_err(), "no answer to half a body");
        });
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.bytes_stream();
    assert!(body.next().await.unwrap().is_ok());
    spawn(async move {
        while let Some(chunk) = body.next().await {
            if chunk.is_err() {
                return;
            }
        }
        panic!("what was cut must not look whole");
    })
}

fn opening(token: &str) -> String {
    format!(
        "GET /long/socket HTTP/1.1\r\nHost: acme.example.test\r\nAuthorization: Bearer {token}\r\nConnection: upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A web socket that has echoed one message.
async fn socket(gateway: &Gateway, token: &str) -> Held {
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(opening(token).as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(stream.read_u8().await.unwrap());
    }
    assert!(seen.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&seen));
    stream.write_all(b"\x81\x83\0\0\0\0one").await.unwrap();
    let mut echo = [0; 5];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"\x81\x03one");
    spawn(async move {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        // 1008, or 1001 where the gateway stops (RFC 6455 §7.4.1).
        assert!([&[0x88, 2, 0x03, 0xf0][..], &[0x88, 2, 0x03, 0xe9]].contains(&&rest[..]), "{rest:?}");
    })
}

/// Calls of gRPC: one message and silence, and nothing at all from either side.
async fn calls(gateway: &Gateway, token: &str) -> Vec<Held> {
    let certificate = gateway.folder.path().join("tls.pem");
    let client = GrpcClient::connect(gateway.tls_address.unwrap(), &certificate).await;
    let watch = client.call("Watch", Some(token), b"").await;
    let chat = client.call_with(&[], "Chat", Some(token), None).await.unwrap();
    [watch, chat].map(|call| spawn(async move { assert!(call.reset().await.is_reset()) })).into()
}

/// When they ended. All within a second of `due`, and of each other.
async fn all_end(held: Vec<Held>, due: Instant, late: Duration) {
    for held in held {
        let ended = tokio::time::timeout(Duration::from_secs(15), held).await.expect("it ends").unwrap();
        let late_by = ended.saturating_duration_since(due);
        assert!(late_by <= late, "{late_by:?} too late");
    }
}

fn spawn(what: impl Future<Output = ()> + Send + 'static) -> Held {
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    tokio::spawn(async move {
        what.await;
        Instant::now()
    })
}

/// All records of requests, once there are so many final ones.
fn records(gateway: &Gateway, finals: usize) -> Vec<Value> {
    gateway.eventually("all are final", || gateway.records(&[]).finals().len() == finals);
    let all = crate::harness::Records::query(gateway.log(), &["--all"]);
    all.all().iter().filter(|record| record["stage"].is_string()).cloned().collect()
}

/// Each stream has a record of its beginning and one of its end, which says why and how much went over it.
fn assert_told(records: &[Value], reason: &str, end: &str, streams: usize) {
    let of = |stage: &str| records.iter().filter(|record| record["stage"] == stage).cloned().collect::<Vec<_>>();
    let (opened, finals) = (of("opened"), of("final"));
    assert_eq!((opened.len(), finals.len()), (streams, streams), "{records:#?}");
    for record in finals {
        let begun = opened.iter().filter(|opened| opened["id"] == record["id"]).collect::<Vec<_>>();
        assert_eq!(begun.len(), 1, "{record}");
        assert_eq!((&begun[0]["route"], &begun[0]["tenant"]), (&record["route"], &"acme".into()));
        assert_eq!((&record["reason"], &record["end"]), (&reason.into(), &end.into()), "{record}");
        let (bytes_in, out, status) = match record["route"].as_str().unwrap() {
            "socket" => (9, 5, 101.into()),
            "events" => (0, 9, 200.into()),
            "download" => (0, 100_000, 200.into()),
            "upload" => (1000, 0, Value::Null),
            _ => continue,
        };
        assert_eq!(
            (&record["in"], &record["out"], &record["status"]),
            (&bytes_in.into(), &out.into(), &status),
            "{record}"
        );
        assert_eq!(begun[0]["status"], status);
    }
}

fn short_token(gateway: &Gateway, seconds: u64) -> (String, Instant) {
    let mut claims = claims("acme", "ada", &["clerk"]);
    claims["exp"] = (now() + seconds).into();
    (gateway.issuer.sign(&claims), Instant::now() + Duration::from_secs(seconds))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_long_ends_when_its_token_expires() {
    let gateway = Gateway::test().policies(POLICY).tls().start().await;
    let (token, due) = short_token(&gateway, 3);
    let held = hold(&gateway, &token).await;
    let streams = held.len();
    gateway.eventually("all are told of", || gateway.metric("cloister_streams_open") == 7.0);
    all_end(held, due, Duration::from_secs(1)).await;
    assert_told(&records(&gateway, streams), "stream.expired", "cut", streams);
    assert_eq!(gateway.metric("cloister_streams_open"), 0.0);
    let (_, metrics) = gateway.admin("/metrics");
    assert!(metrics.contains(r#"cloister_streams_ended_total{kind="websocket",why="stream.expired"} 1"#), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_long_ends_when_its_tenant_is_suspended() {
    let gateway = Gateway::test().policies(POLICY).tls().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let held = hold(&gateway, &token).await;
    let streams = held.len();
    gateway.eventually("all are told of", || gateway.metric("cloister_streams_open") == 7.0);
    // A change of policies that does not suspend it changes nothing.
    gateway.reload(&format!("{POLICY}\n# changed\n"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(held.iter().all(|held| !held.is_finished()));
    gateway.reload(&POLICY.replace(SUSPENDED.0, SUSPENDED.1));
    all_end(held, Instant::now(), Duration::from_secs(1)).await;
    assert_told(&records(&gateway, streams), "tenant.suspended", "cut", streams);
}

/// How lately a user has proven itself counts to the end, and so does what its tenant says by now.
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_long_ends_when_its_user_has_proven_itself_too_long_ago_or_its_tenant_is_closed() {
    let aged = POLICY.replace("[token, host] }", "[token, host], max_age: 3s }");
    let (active, mine) = ("acme: { status: active }", |more: &str| POLICY.replace("status: active", more));
    for (policies, then, reason) in [
        (aged.as_str(), None, "stream.stale"),
        (POLICY, Some(mine("status: active, session_max: 30s")), "stream.stale"),
        (POLICY, Some(mine("status: closed")), "tenant.closed"),
    ] {
        assert!(policies.contains(active));
        let gateway = Gateway::test().policies(policies).tls().start().await;
        let mut claims = claims("acme", "ada", &["clerk"]);
        claims["auth_time"] = (if then.is_some() { now() - 60 } else { now() }).into();
        let due = Instant::now() + Duration::from_secs(4); // the first second that is beyond the third
        let held = hold(&gateway, &gateway.issuer.sign(&claims)).await;
        let streams = held.len();
        gateway.eventually("all are told of", || gateway.metric("cloister_streams_open") == 7.0);
        let due = match &then {
            Some(policies) => {
                gateway.reload(policies);
                Instant::now()
            }
            None => due,
        };
        all_end(held, due, Duration::from_secs(1)).await;
        assert_told(&records(&gateway, streams), reason, "cut", streams);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_long_ends_when_its_token_is_taken_back_and_others_go_on() {
    let gateway = Gateway::test().policies(POLICY).tls().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let (held, kept) =
        (hold(&gateway, &token).await, socket(&gateway, &gateway.token("acme", "bob", &["clerk"])).await);
    let streams = held.len();
    gateway.eventually("all are told of", || gateway.metric("cloister_streams_open") == 8.0);
    // Not by SIGHUP: whoever writes the file down waits for nothing else.
    let taken_back = format!("{POLICY}\nrevoked: [{{ issuer: main, user: ada }}]\n");
    std::fs::write(gateway.folder.path().join("policies/policy.yaml"), taken_back).unwrap();
    all_end(held, Instant::now(), Duration::from_secs(1)).await;
    assert!(!kept.is_finished());
    kept.abort();
    gateway.eventually("the other is over", || gateway.metric("cloister_streams_open") == 0.0);
    let cut = gateway.records(&["--reason", "stream.revoked"]);
    assert_eq!(cut.finals().len(), streams);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_what_it_held() {
    let gateway = Gateway::test().policies(POLICY).tls().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let held = hold(&gateway, &token).await;
    gateway.eventually("all are told of", || gateway.metric("cloister_streams_open") == 7.0);
    let streams = held.len();
    for held in &held {
        held.abort();
    }
    drop(held);
    let records = records(&gateway, streams);
    for record in records.iter().filter(|record| record["stage"] == "final") {
        // A web socket whose client closes the connection has ended as such things end.
        let end = if record["route"] == "socket" { "complete" } else { "client_gone" };
        assert_eq!((&record["reason"], &record["end"]), (&"allowed".into(), &end.into()), "{record}");
    }
    assert_eq!(gateway.metric("cloister_streams_open"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_leaves_is_told_as_such() {
    let gateway = Gateway::test().policies(POLICY).tls().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    for kind in ["events", "download"] {
        let request = gateway.request("GET", "acme", &format!("/long/leaves/{kind}")).bearer_auth(&token);
        let held = exchange(request, false).await;
        all_end(vec![held], Instant::now() + Duration::from_millis(1500), Duration::from_secs(1)).await;
    }
    let records = records(&gateway, 2);
    assert_told(&records, "upstream.unavailable", "upstream_failed", 2);

    // Half a body has gone: nobody tries that again, and the client is told at once.
    let gone = Recorder::playing(|_| vec![Play::Reset]).await;
    let gateway = Gateway::test().policies(POLICY).upstream(gone.address).start().await;
    let first = futures::stream::iter([Ok::<_, std::io::Error>(vec![b'x'; 1000])]);
    let body = reqwest::Body::wrap_stream(first.chain(futures::stream::pending()));
    let request = gateway.request("PUT", "acme", "/long/upload").bearer_auth(gateway.token("acme", "ada", &["clerk"]));
    assert_eq!(gateway.send(request.body(body)).await.status, 502);
    assert_eq!(gone.tapes().len(), 1);

    // A call that has begun breaks off.
    let backend = GrpcBackend::start().await;
    let gateway = Gateway::test().policies(CALLS).tls().h2c(backend.address).start().await;
    let client = GrpcClient::connect(gateway.tls_address.unwrap(), &gateway.folder.path().join("tls.pem")).await;
    let call = client.call("Break", Some(&gateway.token("acme", "ada", &["clerk"])), b"").await;
    let id = call.field("x-request-id").unwrap().to_string();
    assert!(call.reset().await.is_reset());
    let records = gateway.records(&["--id", &id]);
    assert_eq!((&records.of(&id)["end"], &records.of(&id)["out"]), (&"upstream_failed".into(), &6.into()));
}

/// Either side of a web socket ends it, whether it says so or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_leaves_a_web_socket_has_ended_it() {
    const OPENED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x01\x02hi";
    let recorder = Recorder::playing(|_| vec![Play::bytes(OPENED), Play::Close]).await;
    let gateway = Gateway::test().policies(POLICY).upstream(recorder.address).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(opening(&token).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok() && answer.ends_with(b"\x01\x02hi"), "{read:?} {}", String::from_utf8_lossy(&answer));
    gateway.eventually("it is on record", || gateway.records(&[]).finals().len() == 1);
    let records = gateway.records(&[]);
    assert_eq!((&records.finals()[0]["out"], &records.finals()[0]["status"]), (&4.into(), &101.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_by_itself_is_ended_before_the_grace_is_over() {
    let mut gateway = Gateway::test().policies(POLICY).tls().shutdown("grace: 2s").start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let held = hold(&gateway, &token).await;
    let streams = held.len();
    gateway.eventually("all are told of", || gateway.metric("cloister_streams_open") == 7.0);
    let told = Instant::now();
    gateway.process().signal("TERM");
    all_end(held, told + Duration::from_millis(1500), Duration::from_secs(1)).await;
    assert!(gateway.process().wait().success());
    let all = crate::harness::Records::query(gateway.log(), &["--all"]);
    let records: Vec<_> = all.all().iter().filter(|record| record["stage"].is_string()).cloned().collect();
    assert_told(&records, "gateway.stopping", "cut", streams);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_run_long_end_in_the_same_ways() {
    let backend = GrpcBackend::start().await;
    let mut gateway = Gateway::test().policies(CALLS).tls().h2c(backend.address).shutdown("grace: 2s").start().await;
    let opened =
        |gateway: &Gateway| gateway.eventually("both are told of", || gateway.metric("cloister_streams_open") == 2.0);

    let (token, due) = short_token(&gateway, 3);
    let held = calls(&gateway, &token).await;
    opened(&gateway);
    all_end(held, due, Duration::from_secs(1)).await;
    assert_told(&records(&gateway, 2), "stream.expired", "cut", 2);

    let token = gateway.token("acme", "ada", &["clerk"]);
    let held = calls(&gateway, &token).await;
    opened(&gateway);
    for held in held {
        held.abort();
    }
    gateway.eventually("both are gone", || gateway.metric("cloister_streams_open") == 0.0);
    let gone = records(&gateway, 4);
    assert_eq!(gone.iter().filter(|record| record["end"] == "client_gone").count(), 2, "{gone:#?}");

    let held = calls(&gateway, &token).await;
    opened(&gateway);
    gateway.reload(&CALLS.replace(SUSPENDED.0, SUSPENDED.1));
    all_end(held, Instant::now(), Duration::from_secs(1)).await;
    gateway.reload(CALLS);

    let held = calls(&gateway, &token).await;
    opened(&gateway);
    let told = Instant::now();
    gateway.process().signal("TERM");
    all_end(held, told + Duration::from_millis(1500), Duration::from_secs(1)).await;
    assert!(gateway.process().wait().success());
    let ended = crate::harness::Records::query(gateway.log(), &[]);
    let count = |reason: &str| ended.finals().iter().filter(|record| record["reason"] == reason).count();
    assert_eq!((count("tenant.suspended"), count("gateway.stopping"), ended.finals().len()), (2, 2, 8));
}

/// Longer than a backend may take for the next bytes of an answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_may_be_silent_and_its_opening_may_not() {
    let gateway = Gateway::test().policies(POLICY).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let held = socket(&gateway, &token).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(!held.is_finished());
    held.abort();
    gateway.eventually("it is over", || gateway.records(&[]).finals().len() == 1);

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Gateway::test().policies(POLICY).upstream(silent.local_addr().unwrap()).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(opening(&token).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(8), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok() && answer.starts_with(b"HTTP/1.1 504 "), "{read:?} {}", answer.escape_ascii());
    assert_told_once(&gateway, "upstream.timeout");
}

/// What says `101` and has not read the opening is no web socket.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_has_not_read_the_opening_opens_nothing() {
    use tokio::net::TcpListener;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.read(&mut [0; 16_384]).await);
            let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                          Sec-WebSocket-Accept: bm90IHJlYWQgYXQgYWxsLi4u\r\n\r\n\x01\x02hi";
            drop(stream.write_all(answer.as_bytes()).await);
            drop(stream.read(&mut [0; 16_384]).await);
        }
    });
    let gateway = Gateway::test().policies(POLICY).upstream(address).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let answer = crate::harness::raw(gateway.address, opening(&token).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_told_once(&gateway, "upstream.malformed");
}

fn assert_told_once(gateway: &Gateway, reason: &str) {
    gateway.eventually("it is on record", || gateway.records(&["--reason", reason]).finals().len() == 1);
}
