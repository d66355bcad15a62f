mod discovery;

use std::convert::Infallible;
use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use serde_json::json;
use terms::{IssuerId, ManualClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::forge::Issuer as Forge;
use crate::{Algorithm, IssuerSettings, JwksSource, SettingsError, TokenError, Unfit, Verifier};

const NOW: u64 = 1_700_000_000;

/// An HTTP server on this machine that answers everything with the same bytes, which can be changed.
struct Server {
    listener: TcpListener,
    answer: Mutex<Vec<u8>>,
    asked: AtomicUsize,
}

impl Server {
    async fn start(answer: impl Into<Vec<u8>>) -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            answer: Mutex::new(answer.into()),
            asked: AtomicUsize::new(0),
        }
    }

    fn url(&self) -> String {
        format!("http://{}/jwks.json", self.listener.local_addr().unwrap())
    }

    fn answer(&self, answer: impl Into<Vec<u8>>) {
        *self.answer.lock().unwrap() = answer.into();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn serve(&self) -> Infallible {
        loop {
            let (stream, _) = self.listener.accept().await.unwrap();
            self.asked.fetch_add(1, Ordering::SeqCst);
            drop(self.reply(stream).await); // a client may well hang up on an answer that it does not like
        }
    }

    async fn reply(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let answer = self.answer.lock().unwrap().clone();
        stream.write_all(&answer).await?;
        stream.shutdown().await
    }
}

/// Runs `body` while `server` serves.
async fn beside<T>(server: impl Future<Output = Infallible>, body: impl Future<Output = T>) -> T {
    tokio::select! {
        never = server => match never {},
        done = tokio::time::timeout(Duration::from_secs(20), body) => done.expect("it takes too long"),
    }
}

/// Waits until it is so.
async fn eventually(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn verifier(urls: &[&str]) -> (Arc<ManualClock>, Arc<Verifier>) {
    drop(rustls::crypto::ring::default_provider().install_default()); // another test may have done it
    let clock = Arc::new(ManualClock::at(NOW));
    let issuers = urls.iter().zip(0..).map(|(url, number)| {
        let name = format!("https://{number}.example/");
        IssuerSettings::new(id(number), &name, "api", Algorithm::ES256, JwksSource::Url((*url).into()))
    });
    let verifier = Verifier::new(issuers.collect(), Arc::clone(&clock) as Arc<dyn Clock>, 100).unwrap();
    (clock, Arc::new(verifier))
}

fn id(number: usize) -> IssuerId {
    format!("issuer-{number}").parse().unwrap()
}

fn token(key: &Forge) -> String {
    key.sign(&json!({ "iss": "https://0.example/", "aud": "api", "sub": "user-1", "exp": NOW + 600 }))
}

async fn reason(verifier: &Verifier, key: &Forge) -> Option<&'static str> {
    let verdict = verifier.verify(&token(key), &[id(0)].into()).await;
    verdict.err().map(|error| error.reason().as_str())
}

#[tokio::test]
async fn keys_come_from_an_address_and_an_issuer_that_is_down_at_the_start_comes_up_later() {
    let key = Forge::es256("a");
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (_, verifier) = verifier(&[&format!("http://{free}/jwks.json")]);
    assert_eq!(reason(&verifier, &key).await, Some("auth.unavailable"), "nothing was fetched yet");
    let running = Arc::clone(&verifier).run(std::future::pending());
    let later = async {
        eventually(|| verifier.issuers()[0].failures > 0).await;
        let state = verifier.issuers().remove(0);
        assert_eq!((state.usable, state.keys, state.age), (false, 0, None));
        assert!(state.last_error.unwrap().starts_with("the keys could not be fetched: the request failed"));
        assert_eq!(reason(&verifier, &key).await, Some("auth.unavailable"));
        let server = Server {
            listener: TcpListener::bind(free).await.unwrap(),
            answer: Mutex::new(ok(&key.jwks()).into()),
            asked: AtomicUsize::new(0),
        };
        beside(server.serve(), eventually(|| verifier.issuers()[0].usable)).await;
        assert_eq!(reason(&verifier, &key).await, None);
        assert_eq!(verifier.issuers()[0].last_error, None);
    };
    tokio::select! {
        () = running => panic!("it ended by itself"),
        () = later => {}
    }
}

#[tokio::test]
async fn answers_that_are_not_keys_leave_the_known_keys_in_place() {
    let (key, new) = (Forge::es256("a"), Forge::es256("b"));
    let server = Server::start(ok(&key.jwks())).await;
    let elsewhere = Server::start(ok(&new.jwks())).await;
    let (_, verifier) = verifier(&[&server.url()]);
    let mut padded: serde_json::Value = serde_json::from_str(&new.jwks()).unwrap();
    padded["x"] = json!("x".repeat(1 << 20));
    let long = padded.to_string();
    let chunks = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let answers = [
        ("redirect", format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", elsewhere.url())),
        (
            "moved, with keys",
            format!("HTTP/1.1 301 Moved\r\nContent-Length: {}\r\n\r\n{}", new.jwks().len(), new.jwks()),
        ),
        ("an error", "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n".into()),
        ("no content", "HTTP/1.1 204 No Content\r\n\r\n".into()),
        ("garbage", ok("<html>log in</html>")),
        ("nothing", ok("")),
        ("no keys", ok(r#"{"keys":[]}"#)),
        ("too long", ok(&long)),
        ("too long, in chunks", format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunks)),
        ("cut short", format!("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n{}", new.jwks())),
        ("not http", "hello\r\n".into()),
        ("silence", String::new()),
    ];
    let rounds = async {
        verifier.prefetch().await;
        assert_eq!(reason(&verifier, &key).await, None);
        for (failures, (what, answer)) in (1..).zip(answers) {
            server.answer(answer);
            verifier.prefetch().await;
            let state = verifier.issuers().remove(0);
            assert_eq!((state.keys, state.usable, state.failures), (1, true, failures), "{what}");
            let error = state.last_error.unwrap();
            assert_eq!(error.contains("longer than 1 MiB"), what.starts_with("too long"), "{what}: {error}");
            assert_eq!(reason(&verifier, &key).await, None, "{what}");
            assert_eq!(reason(&verifier, &new).await, Some("auth.invalid.key"), "{what}");
        }
        assert_eq!(elsewhere.asked(), 0, "a redirect is not followed");
        server.answer(ok(&new.jwks()));
        verifier.prefetch().await;
        assert_eq!(reason(&verifier, &new).await, None);
        assert_eq!(reason(&verifier, &key).await, Some("auth.invalid.key"));
    };
    let both = async { tokio::join!(server.serve(), elsewhere.serve()).0 };
    beside(both, rounds).await;
}

#[tokio::test]
async fn a_new_key_costs_nobody_a_refusal_and_made_up_ones_ask_for_nothing() {
    let (key, new) = (Forge::es256("a"), Forge::es256("b"));
    let server = Server::start(ok(&key.jwks())).await;
    let (clock, verifier) = verifier(&[&server.url()]);
    let running = Arc::clone(&verifier).run(std::future::pending());
    let body = async {
        eventually(|| verifier.issuers()[0].usable).await;
        server.answer(ok(&new.jwks()));
        let many = futures::future::join_all((0..50).map(|_| reason(&verifier, &new))).await;
        assert_eq!(many, vec![None; 50], "all have waited for the same answer");
        assert_eq!(server.asked(), 2);

        for _ in 0..100 {
            assert_eq!(reason(&verifier, &Forge::es256("made-up")).await, Some("auth.invalid.key"));
        }
        assert_eq!(server.asked(), 2, "it was asked just before");

        let lost = Forge::es256("lost");
        clock.advance(Duration::from_secs(10));
        assert_eq!(reason(&verifier, &lost).await, Some("auth.invalid.key"));
        clock.advance(Duration::from_secs(10));
        assert_eq!(reason(&verifier, &lost).await, Some("auth.invalid.key"));
        assert_eq!(server.asked(), 3, "what is not there is not asked for again");

        server.answer(ok(&key.jwks()));
        assert_eq!(reason(&verifier, &key).await, None);
        assert_eq!(server.asked(), 4);
    };
    tokio::select! {
        () = running => panic!("it ended by itself"),
        () = beside(server.serve(), body) => {}
    }
}

#[tokio::test]
async fn an_issuer_that_hangs_holds_up_no_other() {
    let key = Forge::es256("a");
    let good = Server::start(ok(&key.jwks())).await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap(); // takes connections, and never says a word
    let mute_url = format!("http://{}/", mute.local_addr().unwrap());
    let (_, verifier) = verifier(&[&good.url(), &mute_url]);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let body = async {
        eventually(|| verifier.issuers()[0].usable).await;
        assert_eq!(reason(&verifier, &key).await, None);
        assert!(!verifier.issuers()[1].usable);
        stop.send(()).unwrap();
    };
    let running = Arc::clone(&verifier).run(stopped.map(|_| ()));
    beside(good.serve(), async { tokio::join!(running, body) }).await;
}

/// More of them hang than are asked side by side, and before the others.
#[tokio::test]
async fn among_many_issuers_those_that_hang_and_those_that_are_dead_hold_up_none_that_is_well() {
    let key = Forge::es256("a");
    let good = Server::start(ok(&key.jwks())).await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap(); // nobody listens any more
    let (mute, dead) = (format!("http://{}/", mute.local_addr().unwrap()), format!("http://{dead}/"));
    let hanging = PLACES + PLACES / 2;
    let settings = |number: usize| {
        let url = match number {
            many if many < hanging => mute.clone(),
            many if many < hanging + 10 => dead.clone(),
            _ => good.url(),
        };
        let name = format!("https://{number}.example/");
        IssuerSettings::new(id(number), &name, "api", Algorithm::ES256, JwksSource::Url(url))
    };
    let mut issuers: Vec<_> = (0..hanging + 20).map(settings).collect();
    let pattern = good.url() + "?{tenant}";
    issuers.push(IssuerSettings::new(
        id(999),
        "https://idp/{tenant}",
        "api",
        Algorithm::ES256,
        JwksSource::Url(pattern),
    ));
    drop(rustls::crypto::ring::default_provider().install_default());
    let verifier = Verifier::new(issuers, Arc::new(ManualClock::at(NOW)), 100).unwrap();
    let verifier = Arc::new(verifier.knowing(Arc::new(|_| true)));
    let running = Arc::clone(&verifier).run(std::future::pending());
    let body = async {
        let started = std::time::Instant::now();
        let token = key.sign(&json!({ "iss": "https://idp/acme", "aud": "api", "sub": "user-1", "exp": NOW + 600 }));
        assert!(verifier.verify(&token, &[id(999)].into()).await.is_ok(), "what a token waits for is asked at once");
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        eventually(|| verifier.issuers().iter().skip(hanging + 10).all(|issuer| issuer.usable)).await;
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        let states = verifier.issuers();
        assert!(states.iter().take(hanging).all(|issuer| issuer.failures == 0), "they still hang");
        assert!(states.iter().skip(hanging).take(10).all(|issuer| issuer.failures > 0), "those are dead");
    };
    tokio::select! {
        () = running => panic!("it ended by itself"),
        () = beside(good.serve(), body) => {}
    }
}

#[tokio::test]
async fn keys_over_https_from_someone_unknown_are_refused() {
    let certified = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let private = certified.signing_key.serialize_der().try_into().unwrap();
    drop(rustls::crypto::ring::default_provider().install_default());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], private)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let (_, verifier) = verifier(&[&url]);
    let asked = AtomicUsize::new(0);
    let serve = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            asked.fetch_add(1, Ordering::SeqCst);
            drop(acceptor.accept(stream).await);
        }
    };
    beside(serve, verifier.prefetch()).await;
    let state = verifier.issuers().remove(0);
    assert!(!state.usable);
    let error = state.last_error.unwrap();
    assert!(error.contains("certificate"), "{error}");
    assert_eq!(asked.into_inner(), 1);
}

#[test]
fn a_file_is_read_up_to_a_mebibyte_and_not_beyond() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, vec![b' '; 1 << 20]).unwrap();
    assert!(crate::fetch::read_file(&path).is_ok());
    std::fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    assert!(matches!(crate::fetch::read_file(&path), Err(FetchError::Large)));
}

#[test]
fn a_clock_that_is_set_back_does_not_make_old_keys_young() {
    let path = std::path::PathBuf::from("keys.json");
    let jwks = JwksSource::File(path.clone());
    let settings = IssuerSettings::new(id(0), "https://0.example/", "api", Algorithm::ES256, jwks);
    let issuer = Issuer::new(settings, Source::File(path));
    assert!(issuer.adopt(Ok(Forge::es256("a").jwks().into()), NOW));
    for (now, trusted) in
        [(NOW, true), (NOW + 3_600, true), (NOW + 3_601, false), (NOW - 3_600, true), (NOW - 3_601, false)]
    {
        assert_eq!(issuer.trusts_keys(now), trusted, "{now}");
        assert_eq!(issuer.keys(now).is_ok(), trusted, "{now}");
    }
}

#[test]
fn what_is_as_it_was_is_good_again_and_what_failed_in_between_is_looked_at_anew() {
    let path = std::path::PathBuf::from("keys.json");
    let jwks = JwksSource::File(path.clone());
    let settings = IssuerSettings::new(id(0), "https://0.example/", "api", Algorithm::ES256, jwks);
    let issuer = Issuer::new(settings, Source::File(path));
    let keys = Forge::es256("a").jwks();
    let read = |bytes: &str, now| issuer.adopt(Ok(bytes.into()), now);
    assert!(read(&keys, NOW) && read(&keys, NOW + 3_600));
    assert!(issuer.keys(NOW + 7_200).is_ok(), "confirmed by the same bytes");
    assert!(!read("{}", NOW + 3_600) && issuer.state(NOW + 3_600).last_error.is_some());
    assert!(read(&keys, NOW + 3_600));
    assert_eq!(issuer.state(NOW + 3_600).last_error, None);
}

#[tokio::test]
async fn a_file_is_seen_again_without_being_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let key = Forge::es256("a");
    let mut settings =
        IssuerSettings::new(id(0), "https://0.example/", "api", Algorithm::ES256, JwksSource::File(path.clone()));
    settings.refresh = Duration::from_secs(1);
    let verifier = Arc::new(Verifier::new(vec![settings], Arc::new(ManualClock::at(NOW)), 10).unwrap());
    let running = Arc::clone(&verifier).run(std::future::pending());
    let body = async {
        assert_eq!(reason(&verifier, &key).await, Some("auth.unavailable"));
        std::fs::write(&path, key.jwks()).unwrap();
        eventually(|| verifier.issuers()[0].usable).await;
        assert_eq!(reason(&verifier, &key).await, None);
    };
    tokio::select! {
        () = running => panic!("it ended by itself"),
        () = tokio::time::timeout(Duration::from_secs(20), body).map(Result::unwrap) => {}
    }
}

#[tokio::test]
async fn a_verifier_without_issuers_runs_until_it_is_told_to_stop_and_lets_nobody_in() {
    let verifier = Arc::new(Verifier::new(vec![], Arc::new(ManualClock::at(NOW)), 10).unwrap());
    assert_eq!(verifier.verify(&token(&Forge::es256("a")), &[id(0)].into()).await.unwrap_err(), TokenError::Issuer);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut running = std::pin::pin!(Arc::clone(&verifier).run(stopped.map(|_| ())));
    assert!(running.as_mut().now_or_never().is_none());
    stop.send(()).unwrap();
    running.await;
}

#[test]
fn settings_that_cannot_be_used_make_no_verifier() {
    let url = JwksSource::Url("http://idp.example.com/".into());
    let settings = IssuerSettings::new(id(0), "https://0.example/", "api", Algorithm::ES256, url);
    let SettingsError { faults } = Verifier::new(vec![settings], Arc::new(ManualClock::at(NOW)), 10).unwrap_err();
    assert_eq!(faults, [(Some(id(0)), Unfit::Url("jwks.url"))]);
}

#[test]
fn waiting_grows_while_reads_fail_and_stays_near_what_was_asked_for() {
    let settings = |jwks| IssuerSettings::new(id(0), "https://0.example/", "api", Algorithm::ES256, jwks);
    drop(rustls::crypto::ring::default_provider().install_default());
    let source =
        Source::Url(crate::fetch::client(crate::Reach::Public).unwrap(), "https://idp.example.com/".parse().unwrap());
    let remote = Issuer::new(settings(JwksSource::Url("https://idp.example.com/".into())), source);
    let seconds: Vec<_> =
        [0, 1, 2, 3, 6, 100, u32::MAX].map(|failures| remote.wait(failures, file_poll(1)).as_secs()).into();
    assert_eq!(seconds, [480, 1, 2, 4, 30, 30, 30]);
    let path = std::path::PathBuf::from("keys.json");
    let local = Issuer::new(settings(JwksSource::File(path.clone())), Source::File(path));
    let waits = [(0, 1), (9, 1), (0, 900), (0, 10_000), (0, 10_000_000)]
        .map(|(failures, files)| local.wait(failures, file_poll(files)));
    assert_eq!(
        waits.map(|wait| wait.as_secs()),
        [3, 3, 3, 33, 600],
        "thousands of files are not read every three seconds"
    );
    for random in [0, 1, 127, 128, 255, u64::MAX] {
        let wait = spread(Duration::from_secs(100), random);
        assert!((90..=110).contains(&wait.as_secs()), "{wait:?}");
    }
}
