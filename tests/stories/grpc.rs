//! Calls of gRPC take the same way as every request, and keep what gRPC needs: messages one by one, and trailers.

use std::time::{Duration, Instant};

use crate::harness::{Gateway, GrpcBackend, GrpcClient, message};

const POLICY: &str = r#"
tenants: { acme: { status: active } }
roles: { clerk: { allow: ["order:write"] } }
routes:
  - id: orders
    match: { host: "{tenant}.example.test", path: "/orders.Orders/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { POST: "order:write" }
"#;

async fn connect(gateway: &Gateway) -> GrpcClient {
    GrpcClient::connect(gateway.tls_address.unwrap(), &gateway.folder.path().join("tls.pem")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_arrives_with_its_trailers_and_is_on_record() {
    let backend = GrpcBackend::start().await;
    let gateway = Gateway::test().policies(POLICY).tls().h2c(backend.address).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);

    let call = connect(&gateway).await.call("Get", Some(&token), b"seven").await;
    let id = call.field("x-request-id").unwrap().to_string();
    let (body, trailers) = call.finish().await;
    assert_eq!(body, message(b"seven"));
    let trailers = trailers.unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers["x-cost"], "7");
    assert_eq!(trailers.len(), 2, "what only the gateway may say is taken out: {trailers:?}");

    let seen = backend.last();
    assert_eq!((&seen["x-tenant-id"], &seen["te"]), (&"acme".parse().unwrap(), &"trailers".parse().unwrap()));
    assert!(seen.contains_key("x-cloister-assertion") && !seen.contains_key("authorization"));
    let records = gateway.records(&["--id", &id]);
    let record = records.of(&id);
    assert_eq!((&record["status"], &record["end"]), (&200.into(), &"complete".into()), "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_messages_of_a_stream_arrive_one_by_one_and_then_its_trailers() {
    let backend = GrpcBackend::start().await;
    let gateway = Gateway::test().policies(POLICY).tls().h2c(backend.address).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);

    let mut call = connect(&gateway).await.call("List", Some(&token), b"").await;
    let started = Instant::now();
    assert_eq!(call.next().await, Some(message(b"0")));
    let first = started.elapsed();
    let (rest, trailers) = call.finish().await;
    assert_eq!(rest, [message(b"1"), message(b"2")].concat());
    assert_eq!(trailers.unwrap()["grpc-status"], "0");
    assert!(started.elapsed() - first > Duration::from_millis(50), "the first message came before the last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_denied_ends_with_its_head() {
    let backend = GrpcBackend::start().await;
    let gateway = Gateway::test().policies(POLICY).tls().h2c(backend.address).start().await;
    let client = connect(&gateway).await;
    let (stranger, powerless) = (None, gateway.token("acme", "ada", &[]));
    for (token, status, reason) in [(stranger, "16", "auth.missing"), (Some(powerless), "7", "policy.denied")] {
        let call = client.call("Get", token.as_deref(), b"seven").await;
        assert_eq!((call.status, call.field("grpc-status")), (200, Some(status)));
        assert!(call.is_over(), "trailers only: no frame comes behind the head");
        let id = call.field("x-request-id").unwrap();
        assert_eq!(gateway.records(&["--id", id]).of(id)["reason"], reason);
    }
    // The connection goes on, and what the backend itself says in a head alone comes through as well.
    let call = client.call("Nothing", Some(&gateway.token("acme", "ada", &["clerk"])), b"").await;
    assert_eq!((call.status, call.field("grpc-status"), call.is_over()), (200, Some("12"), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_a_call_speak_in_turn() {
    let backend = GrpcBackend::start().await;
    let gateway = Gateway::test().policies(POLICY).tls().h2c(backend.address).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let mut call = connect(&gateway).await.call_with(&[], "Chat", Some(&token), None).await.unwrap();
    for content in [b"one".as_slice(), b"two", b"three"] {
        call.say(content);
        assert_eq!(call.next().await, Some(message(content)), "it comes back before the next one goes");
    }
    call.end();
    let (rest, trailers) = call.finish().await;
    assert_eq!((rest.len(), &trailers.unwrap()["grpc-status"]), (0, &"0".parse().unwrap()));
}

/// `grpc-timeout` is the client's word for the whole call. Before a head is there it is told in an answer; behind it, only
/// the stream can be reset.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_when_its_client_waits_no_longer() {
    let backend = GrpcBackend::start().await;
    let gateway = Gateway::test().policies(POLICY).tls().h2c(backend.address).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let client = connect(&gateway).await;
    let calls = async |call, timeout, content| {
        client.call_with(&[("grpc-timeout", timeout)], call, Some(&token), content).await.unwrap()
    };

    for timeout in ["300m", "0S"] {
        let started = Instant::now();
        let call = calls("Hang", timeout, Some(b"seven".as_slice())).await;
        assert_eq!((call.status, call.field("grpc-status"), call.is_over()), (200, Some("4"), true), "{timeout}");
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        let id = call.field("x-request-id").unwrap();
        let record = gateway.records(&["--id", id]).of(id).clone();
        assert_eq!((&record["reason"], &record["end"]), (&"upstream.timeout".into(), &"upstream_failed".into()));
    }

    // Every kind of stream: the backend's messages, and both sides' (nothing is said at all).
    for (kind, content) in [("Watch", Some(b"".as_slice())), ("Chat", None)] {
        let started = Instant::now();
        let call = calls(kind, "500m", content).await;
        let id = call.field("x-request-id").unwrap().to_string();
        assert!(call.reset().await.is_reset(), "{kind}");
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(2), "{kind} took {took:?}");
        let record = gateway.records(&["--id", &id]).of(&id).clone();
        assert_eq!((&record["reason"], &record["end"]), (&"upstream.timeout".into(), &"cut".into()), "{record}");
        assert_eq!(record["out"], if kind == "Watch" { 6 } else { 0 }, "{record}");
    }

    // A call that is in time, and the rest of the connection, do not suffer from it.
    let (body, _) = calls("Get", "10S", Some(b"seven".as_slice())).await.finish().await;
    assert_eq!(body, message(b"seven"));

    // What is not a time is not guessed at.
    for timeout in ["1", "soon", "123456789S", "1.5S", "-1S"] {
        let call = calls("Get", timeout, Some(b"seven".as_slice())).await;
        assert_eq!((call.status, call.field("grpc-status")), (200, Some("3")), "{timeout}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_does_not_speak_h2c_is_told_apart_from_one_that_hangs_up() {
    for (said, status, reason) in [
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "13", "upstream.malformed"),
        ("", "14", "upstream.unavailable"),
    ] {
        let backend = answering(said).await;
        let gateway = Gateway::test().policies(POLICY).tls().h2c(backend).start().await;
        let call = connect(&gateway).await.call("Get", Some(&gateway.token("acme", "ada", &["clerk"])), b"").await;
        assert_eq!((call.status, call.field("grpc-status")), (200, Some(status)));
        let id = call.field("x-request-id").unwrap();
        assert_eq!(gateway.records(&["--id", id]).of(id)["reason"], reason);
    }
}

/// All calls share one connection to the backend. Three answers of 16 MiB that nobody reads must not fill it.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_hold_up_nobody_else() {
    let backend = GrpcBackend::start().await;
    let gateway = Gateway::test().policies(POLICY).tls().h2c(backend.address).start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let stalling = connect(&gateway).await;
    let mut stalled = Vec::new();
    for _ in 0..3 {
        stalled.push(stalling.call("Dump", Some(&token), b"").await);
    }
    tokio::time::sleep(Duration::from_millis(500)).await; // for all buffers to fill
    let other = async { connect(&gateway).await.call("Get", Some(&token), b"seven").await.finish().await };
    let (body, _) = tokio::time::timeout(Duration::from_secs(2), other).await.expect("the other call is not held up");
    assert_eq!(body, message(b"seven"));
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_end_where_http_1_begins() {
    // Towards the client: HTTP/1.1 gets the whole body, and no trailers.
    let backend = GrpcBackend::start().await;
    let gateway = Gateway::test().policies(POLICY).h2c(backend.address).start().await;
    let request = gateway.request("POST", "acme", "/orders.Orders/Get").header("content-type", "application/grpc");
    let request = request.bearer_auth(gateway.token("acme", "ada", &["clerk"])).body(message(b"seven"));
    let answer = gateway.send(request).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &message(b"seven")[..]));

    // Towards the backend: what it sends behind an HTTP/1.1 body does not come through.
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n\
                  5\r\nseven\r\n0\r\ngrpc-status: 0\r\n\r\n";
    let address = answering(answer).await;
    let gateway = Gateway::test().policies(POLICY).tls().upstream(address).start().await;
    let call = connect(&gateway).await.call("Get", Some(&gateway.token("acme", "ada", &["clerk"])), b"").await;
    assert_eq!(call.finish().await, ("seven".into(), None));
}

/// A backend that says the same to everyone.
async fn answering(text: &'static str) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.read(&mut [0; 16_384]).await);
            drop(stream.write_all(text.as_bytes()).await);
            // Whoever says something waits until it was read: its end would come first now and then.
            while !text.is_empty() && stream.read(&mut [0; 16_384]).await.is_ok_and(|read| read > 0) {}
        }
    });
    address
}

/// RFC 9113 §8.2.3 lets a client split its cookies; for a backend of HTTP/1 they are one field.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_that_came_apart_reach_a_backend_of_http_1_as_one() {
    let gateway = Gateway::test().policies(POLICY).tls().start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let cookies = [("cookie", "a=1"), ("cookie", "b=2; c=3"), ("cookie", "d=4")];
    let call = connect(&gateway).await.call_with(&cookies, "Get", Some(&token), Some(b"seven")).await.unwrap();
    assert_eq!(call.status, 200);
    assert_eq!(gateway.backend.last().field("cookie"), Some("a=1; b=2; c=3; d=4"));
}

/// Whatever a request is refused for, a client of gRPC is told in the head, as a status of its own and in words that its
/// field can carry.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_refusal_is_a_status_of_grpc() {
    let backend = GrpcBackend::start().await;
    let policy = POLICY.replace("    allow: {", "    limits: [strict]\n    max_body: 1KiB\n    allow: {");
    let policy = format!("limits: {{ strict: {{ rate: 1/h, burst: 1, key: [tenant] }} }}\n{policy}");
    let gateway = Gateway::test().policies(&policy).tls().h2c(backend.address).start().await;
    let client = connect(&gateway).await;
    let clerk = gateway.token("acme", "ada", &["clerk"]);
    let nobody = gateway.token("acme", "ada", &[]);
    let large = vec![0; 2048];
    let declared = ("content-length", "2053");
    for (fields, call, token, content, status) in [
        (&[][..], "Get", None, &b"x"[..], "16"),
        (&[], "Get", Some("nonsense"), b"x", "16"),
        (&[], "Get", Some(nobody.as_str()), b"x", "7"),
        (&[], "../Get", Some(&clerk), b"x", "3"),
        (&[("x-http-method", "GET")], "Get", Some(&clerk), b"x", "3"),
        (&[("expect", "a-miracle")], "Get", Some(&clerk), b"x", "3"),
        (&[declared], "Get", Some(&clerk), &large, "8"),
        (&[], "Get", Some(&clerk), b"x", "0"),
        (&[], "Get", Some(&clerk), b"x", "8"),
    ] {
        let call = client.call_with(fields, call, token, Some(content)).await.unwrap();
        assert_eq!(call.status, 200, "{fields:?}");
        if status == "0" {
            assert_eq!(call.finish().await.1.unwrap()["grpc-status"], "0");
            continue;
        }
        assert_eq!((call.field("grpc-status"), call.is_over()), (Some(status), true), "{fields:?} {token:?}");
        assert!(call.field("grpc-message").unwrap().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    }
}
