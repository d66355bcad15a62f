use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::{IntGauge, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::{
    Admin, AdminToken, Check, Desk, Guessable, KeySet, KeySetPage, Notices, Operations, Refusal, Standing, Unheard,
};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[derive(Default)]
struct Journal {
    broken: AtomicBool,
}

impl Check for Journal {
    fn name(&self) -> &'static str {
        "journal"
    }

    fn check(&self) -> Standing {
        if self.broken.load(Ordering::SeqCst) { Standing::Down("no space left on device".into()) } else { Standing::Up }
    }
}

struct Running {
    address: SocketAddr,
    journal: Arc<Journal>,
    shutdown: Option<oneshot::Sender<()>>,
    tasks: JoinSet<()>,
}

fn admin(journal: &Arc<Journal>) -> Admin {
    let registry = Registry::new();
    let depth = IntGauge::new("cloister_depth", "How deep.").unwrap();
    registry.register(Box::new(depth.clone())).unwrap();
    Admin {
        registry,
        refresh: vec![Arc::new(move || depth.inc())],
        readiness: vec![journal.clone()],
        key_sets: vec![KeySetPage {
            path: "/.well-known/cloister/jwks.json",
            keys: Arc::new(|| KeySet { json: r#"{"keys":[]}"#.into(), etag: "\"one\"".into(), max_age: 300 }),
        }],
        version: "1.2.3",
        events: None,
        notices: Some(Arc::new(Notes)),
        operations: Some(Operations::new(AdminToken::new(TOKEN.as_bytes()).unwrap(), Arc::new(Notes))),
    }
}

fn start() -> Running {
    let journal = Arc::new(Journal::default());
    serve(admin(&journal), journal)
}

fn serve(admin: Admin, journal: Arc<Journal>) -> Running {
    let bound = admin.bind(LOOPBACK).unwrap();
    let address = bound.address();
    let (shutdown, asked) = oneshot::channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        bound.serve(async { drop(asked.await) }).await.unwrap();
    });
    Running { address, journal, shutdown: Some(shutdown), tasks }
}

impl Running {
    async fn ask(&self, head: &str) -> String {
        self.ask_with(head, "").await
    }

    async fn ask_with(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{head}\r\nHost: admin\r\nConnection: close\r\n\r\n{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1")).await
    }
}

#[tokio::test]
async fn gauges_are_brought_up_to_date_before_each_scrape() {
    let running = start();
    assert!(running.get("/metrics").await.contains("\ncloister_depth 1\n"));
    let second = running.get("/metrics").await;
    assert!(second.contains("\ncloister_depth 2\n"), "{second}");
    assert!(second.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{second}");
}

#[tokio::test]
async fn readiness_names_what_is_down_and_comes_back_by_itself() {
    let running = start();
    let up = running.get("/readyz").await;
    assert!(up.starts_with("HTTP/1.1 200"), "{up}");
    assert!(up.ends_with(r#"{"ready":true,"checks":[{"name":"journal","ok":true}]}"#), "{up}");

    running.journal.broken.store(true, Ordering::SeqCst);
    let down = running.get("/readyz").await;
    assert!(down.starts_with("HTTP/1.1 503"), "{down}");
    assert!(
        down.ends_with(
            r#"{"ready":false,"checks":[{"name":"journal","ok":false,"detail":"no space left on device"}]}"#
        ),
        "{down}"
    );
    assert!(running.get("/livez").await.starts_with("HTTP/1.1 200"), "a process that is not ready still lives");

    running.journal.broken.store(false, Ordering::SeqCst);
    assert!(running.get("/readyz").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn only_the_keys_may_be_cached() {
    let running = start();
    let keys = running.get("/.well-known/cloister/jwks.json").await;
    assert!(keys.contains("cache-control: public, max-age=300\r\n"), "{keys}");
    assert!(keys.contains("content-type: application/jwk-set+json\r\n"), "{keys}");
    assert!(keys.contains("etag: \"one\"\r\n"), "{keys}");
    assert!(keys.ends_with("\r\n\r\n{\"keys\":[]}"), "{keys}");
    for path in ["/livez", "/readyz", "/metrics", "/version", "/nothing"] {
        let answer = running.get(path).await;
        assert!(answer.contains("cache-control: no-store\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn who_has_the_keys_already_is_told_so_without_them() {
    let running = start();
    let ask = async |tags: &str| {
        running.ask(&format!("GET /.well-known/cloister/jwks.json HTTP/1.1\r\nIf-None-Match: {tags}")).await
    };
    for tags in ["\"one\"", "W/\"one\"", "\"two\", \"one\"", "*"] {
        let answer = ask(tags).await;
        assert!(answer.starts_with("HTTP/1.1 304"), "{answer}");
        assert!(answer.contains("cache-control: public, max-age=300\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
    for tags in ["\"two\"", "one"] {
        assert!(ask(tags).await.starts_with("HTTP/1.1 200"), "{tags}");
    }
}

#[tokio::test]
async fn the_version_is_told() {
    let answer = start().get("/version").await;
    assert!(answer.ends_with(r#"{"name":"cloister","version":"1.2.3"}"#), "{answer}");
}

#[tokio::test]
async fn what_is_not_there_is_told_as_a_problem() {
    let running = start();
    let missing = running.get("/metricz").await;
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
    assert!(missing.contains("content-type: application/problem+json\r\n"), "{missing}");
    assert!(missing.ends_with(r#"{"status":404,"title":"Not Found","type":"about:blank"}"#), "{missing}");

    let method = running.ask("DELETE /metrics HTTP/1.1").await;
    assert!(method.starts_with("HTTP/1.1 405"), "{method}");
    assert!(method.contains("allow: GET,HEAD\r\n"), "{method}");
    assert!(method.ends_with(r#"{"status":405,"title":"Method Not Allowed","type":"about:blank"}"#), "{method}");
}

#[tokio::test]
async fn a_port_in_use_is_found_before_anything_runs() {
    let running = start();
    let error = admin(&running.journal).bind(running.address).unwrap_err();
    assert_eq!(error.to_string(), format!("the admin listener cannot listen on `{}`", running.address));
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_frees_the_port() {
    let mut running = start();
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: admin\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");

    running.shutdown.take().unwrap().send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(2), running.tasks.join_next()).await.unwrap();
    idle.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_hung_up_on() {
    let running = start();
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nHost: ").await.unwrap();
    let started = tokio::time::Instant::now();
    slow.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(11), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let running = start();
    let fields = "X-A: b\r\n".repeat(65);
    let answer = running.ask(&format!("GET /livez HTTP/1.1\r\n{}", fields.trim_end())).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A desk that takes `known` back, and has done so.
struct Notes;

impl Desk for Notes {
    fn revoke(&self, which: &[u8]) -> Result<(), Refusal> {
        match which {
            b"known" => Ok(()),
            b"broken" => Err(Refusal::Unavailable),
            _ => Err(Refusal::Unclear("it is not known".into())),
        }
    }

    fn restore(&self, which: &[u8]) -> Result<bool, Refusal> {
        Ok(which == b"known")
    }

    fn push(&self, bundle: &[u8]) -> Result<String, Refusal> {
        match bundle {
            b"good" => Ok("{}".into()),
            bundle if bundle.len() > 100_000 => Ok(bundle.len().to_string()),
            _ => Err(Refusal::Refused(vec!["a.yaml:1: no".into(), "b.yaml:2: no".into()])),
        }
    }

    fn revocations(&self) -> Result<String, Refusal> {
        Ok("[]".into())
    }
}

#[tokio::test]
async fn whoever_does_not_show_the_token_changes_and_learns_nothing() {
    let running = start();
    let (long, double) = (format!("Bearer {TOKEN}0"), format!("Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}"));
    let short = format!("Bearer {}", TOKEN.split_at(31).0);
    for shown in ["", "Bearer", "Bearer ", TOKEN, &format!("Basic {TOKEN}"), &long, &short, &double] {
        for method in ["GET", "POST", "DELETE", "PUT"] {
            let head = format!("{method} /revocations HTTP/1.1\r\nAuthorization: {shown}\r\nContent-Length: 0");
            let answer = running.ask(&head).await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{head}: {answer}");
            assert!(answer.contains("www-authenticate: Bearer\r\n"), "{answer}");
        }
    }
}

#[tokio::test]
async fn operators_are_told_what_became_of_their_wish() {
    let running = start();
    for (method, body, status, said) in [
        ("GET", "", 200, "[]"),
        ("POST", "known", 204, ""),
        ("POST", "other", 400, r#""detail":"it is not known""#),
        ("POST", "broken", 503, "Service Unavailable"),
        ("DELETE", "known", 204, ""),
        ("DELETE", "other", 404, "it is not taken back in this way"),
        ("PUT", "known", 405, "Method Not Allowed"),
    ] {
        let length = body.len();
        let head =
            format!("{method} /revocations HTTP/1.1\r\nAuthorization: bearer {TOKEN}\r\nContent-Length: {length}");
        let answer = running.ask_with(&head, body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{method} {body}: {answer}");
        assert!(answer.contains(said), "{method} {body}: {answer}");
    }
    let long = format!("POST /revocations HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 16385");
    assert!(running.ask_with(&long, &"x".repeat(16_385)).await.starts_with("HTTP/1.1 413"));
}

#[test]
fn a_token_that_could_be_guessed_is_not_taken() {
    assert_eq!(AdminToken::new(&TOKEN.as_bytes()[1..]).unwrap_err(), Guessable);
}

#[tokio::test]
async fn without_a_token_there_is_nothing_to_ask_for() {
    let journal = Arc::new(Journal::default());
    let running = serve(Admin { operations: None, ..admin(&journal) }, journal);
    let head = format!("GET /revocations HTTP/1.1\r\nAuthorization: Bearer {TOKEN}");
    assert!(running.ask(&head).await.starts_with("HTTP/1.1 404"));
}

#[async_trait::async_trait]
impl Notices for Notes {
    async fn logout(&self, token: &str) -> Result<(), Unheard> {
        self.security_event(token).await
    }

    async fn security_event(&self, token: &str) -> Result<(), Unheard> {
        match token {
            "a.b.c" => Ok(()),
            "late" => Err(Unheard::Unavailable),
            "theirs" => Err(Unheard::Audience),
            "unsigned" => Err(Unheard::Key),
            _ => Err(Unheard::Request("it is no token".into())),
        }
    }

    fn turned_away(&self) {}
}

#[tokio::test]
async fn issuers_that_are_slow_keep_nobody_else_from_being_answered() {
    let running = start();
    let head =
        "POST /notices/events HTTP/1.1\r\nHost: admin\r\nContent-Type: application/secevent+jwt\r\nContent-Length: 5";
    let mut slow = Vec::new();
    for _ in 0..16 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(format!("{head}\r\nExpect: 100-continue\r\n\r\n").as_bytes()).await.unwrap();
        let mut said = [0; 25];
        stream.read_exact(&mut said).await.unwrap(); // its body is waited for
        assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
        slow.push(stream);
    }
    let head = "POST /notices/events HTTP/1.1\r\nContent-Type: application/secevent+jwt\r\nContent-Length: 5";
    let answer = running.ask_with(head, "a.b.c").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1\r\n"), "{answer}");
    assert!(running.get("/readyz").await.starts_with("HTTP/1.1 200"));
    drop(slow.pop());
    let began = std::time::Instant::now();
    while !running.ask_with(head, "a.b.c").await.starts_with("HTTP/1.1 202") {
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "a place comes free");
    }
}

#[tokio::test]
async fn an_issuer_is_answered_as_its_protocol_wants_it() {
    const FORM: &str = "application/x-www-form-urlencoded";
    const EVENT: &str = "application/secevent+jwt";
    let running = start();
    for (path, media, body, status, said) in [
        ("logout", FORM, "logout_token=a.b.c", 200, ""),
        ("logout", "Application/X-WWW-Form-Urlencoded; charset=utf-8", "x=y&logout_token=a.b.c", 200, ""),
        ("logout", FORM, "logout_token=late", 503, "Service Unavailable"),
        (
            "logout",
            FORM,
            "logout_token=theirs",
            400,
            r#"{"error":"invalid_request","error_description":"it is not for this receiver"}"#,
        ),
        ("logout", FORM, "logout_token=a.b.c&logout_token=a.b.c", 400, "one `logout_token` is wanted"),
        ("logout", FORM, "token=a.b.c", 400, "one `logout_token` is wanted"),
        ("logout", "application/json", "logout_token=a.b.c", 400, "one `logout_token` is wanted"),
        (
            "logout",
            "text/plain\r\nContent-Type: application/x-www-form-urlencoded",
            "logout_token=a.b.c",
            400,
            "is wanted",
        ),
        ("events", EVENT, "a.b.c", 202, ""),
        ("events", EVENT, "late", 503, "Service Unavailable"),
        ("events", EVENT, "theirs", 400, r#"{"description":"it is not for this receiver","err":"invalid_audience"}"#),
        ("events", EVENT, "unsigned", 400, r#""err":"invalid_key""#),
        ("events", EVENT, "", 400, r#""err":"invalid_request""#),
        ("events", "application/json", "a.b.c", 400, "one `application/secevent+jwt` is wanted"),
    ] {
        let head = format!("POST /notices/{path} HTTP/1.1\r\nContent-Type: {media}\r\nContent-Length: {}", body.len());
        let answer = running.ask_with(&head, body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {body}: {answer}");
        assert!(answer.contains(said) && answer.contains("cache-control: no-store\r\n"), "{path} {body}: {answer}");
    }
    assert!(running.get("/notices/logout").await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn policies_are_pushed_by_whoever_shows_the_token_alone_and_findings_come_back() {
    let running = start();
    let put = async |token: &str, body: &str| {
        let length = body.len();
        let head = format!("PUT /policies HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}");
        running.ask_with(&head, body).await
    };
    let answer = put("x", "good").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let answer = put(TOKEN, "good").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("{}"), "{answer}");
    let answer = put(TOKEN, "bad").await;
    assert!(
        answer.starts_with("HTTP/1.1 422") && answer.contains("\"findings\":[\"a.yaml:1: no\",\"b.yaml:2: no\"]"),
        "{answer}"
    );
    let answer = put(TOKEN, &"x".repeat(200_000)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "larger than what else is taken: {answer}");
}
